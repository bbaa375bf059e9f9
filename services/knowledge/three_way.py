"""An edit that was made out of an older version of a card, beside what the card has become since. Pure functions."""

from models.failure_card import CardContent
from services.knowledge.content import changed_fields, completed_anew
from services.knowledge.diff import differences
from services.three_way import Line

DERIVED = frozenset({"failure_signature", "keywords"})
"""Follow from the rest as a rule: they are made anew instead of being disputed."""


def three_way(base: CardContent, present: CardContent, proposed: CardContent) -> list[Line]:
    """Where the present card or the proposal differs from their common base, in the card's order.

    `field` of a line is a path as in `Difference`; it is a conflict if both changed that field of the card otherwise.
    """
    disputed = set(conflicts(base, present, proposed))
    since = {one.field: one for one in differences(base, present)}
    wanted = {one.field: one for one in differences(base, proposed)}
    order = {name: number for number, name in enumerate(CardContent.model_fields)}
    lines = []
    for path in sorted(since | wanted, key=lambda path: order[_top(path)]):
        ours, theirs = since.get(path), wanted.get(path)
        old = ours.old if ours else wanted[path].old
        lines.append(Line(path, old, ours.new if ours else old, theirs.new if theirs else old, _top(path) in disputed))
    return lines


def conflicts(base: CardContent, present: CardContent, proposed: CardContent) -> list[str]:
    """Fields of the card that both have changed, and not alike."""
    both = set(changed_fields(base, present)) & set(changed_fields(base, proposed)) - DERIVED
    return [name for name in changed_fields(present, proposed) if name in both]


def carried_over(base: CardContent, present: CardContent, proposed: CardContent) -> CardContent:
    """The present card with the fields that the proposal changed; right only where there are no `conflicts`.

    Raises Invalid if the two do not go together.
    """
    wanted = [name for name in changed_fields(base, proposed) if name not in DERIVED]
    mixed = present.model_copy(update={name: getattr(proposed, name) for name in wanted})
    return completed_anew(mixed, present)


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
