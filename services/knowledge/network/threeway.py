"""Two versions of a card that have not seen each other, beside the last one that both have seen. Pure functions."""

from dataclasses import dataclass
from typing import Any

from models.enums import FailureCardStatus
from models.failure_card import CardContent
from models.network import PublicCard
from services.knowledge.content import completed_anew
from services.knowledge.diff import differences
from services.knowledge.network.public import public_card

_STATE = ("status", "deprecation_reason", "successor_id", "merged_into")
_DERIVED = frozenset({"failure_signature", "keywords"})
"""Follow from the rest, as a rule: not worth an expert's time when they differ beside it."""


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """One place where the versions differ. `conflict`: both changed this field of the card, and not alike.

    `field` is a path as in `Difference`; `base` is None where there is no common version.
    """

    field: str
    base: Any
    ours: Any
    theirs: Any
    conflict: bool


def three_way(base: PublicCard | None, ours: PublicCard, theirs: PublicCard) -> list[ThreeWay]:
    """Where either differs from the base or, without one, where they differ from each other; in the card's order."""
    if base is None:
        found = [ThreeWay(one.field, None, one.old, one.new, True) for one in differences(ours.content, theirs.content)]
        return found + [
            ThreeWay(name, None, getattr(ours, name), getattr(theirs, name), True)
            for name in _STATE
            if getattr(ours, name) != getattr(theirs, name)
        ]
    by_us = {one.field: one for one in differences(base.content, ours.content)}
    by_them = {one.field: one for one in differences(base.content, theirs.content)}
    shared = _fields(by_us) & _fields(by_them)
    apart = {name for name in shared if getattr(ours.content, name) != getattr(theirs.content, name)}
    lines = []
    for path in _in_order(by_us | by_them):
        mine, other = by_us.get(path), by_them.get(path)
        old = (mine or other).old  # type: ignore[union-attr]
        lines.append(
            ThreeWay(
                path,
                old,
                mine.new if mine else old,
                other.new if other else old,
                _top(path) in apart - _DERIVED,
            )
        )
    for name in _STATE:
        old, mine, other = (getattr(one, name) for one in (base, ours, theirs))
        if not old == mine == other:
            lines.append(ThreeWay(name, old, mine, other, mine != old != other and mine != other))
    return lines


def merged(base: PublicCard | None, ours: PublicCard, theirs: PublicCard) -> PublicCard:
    """Their changes on top of ours: a field that only we changed stays, one that both changed becomes theirs.

    Without a common version everything becomes theirs. Raises Invalid if the two do not go together.
    """
    if base is None:
        return theirs
    stays = {
        name
        for name in CardContent.model_fields
        if getattr(theirs.content, name) == getattr(base.content, name) and name not in _DERIVED
    }
    ours_only = {name for name in stays if getattr(ours.content, name) != getattr(base.content, name)}
    content = theirs.content
    if ours_only:
        mixed = content.model_copy(update={name: getattr(ours.content, name) for name in ours_only})
        content = completed_anew(mixed, theirs.content)
    state = theirs if any(getattr(theirs, name) != getattr(base, name) for name in _STATE) else ours
    return PublicCard(content=content, **{name: getattr(state, name) for name in _STATE})


def with_content(shown: PublicCard, content: CardContent) -> PublicCard:
    """What an expert wrote out of both; it is approved, whatever the two were."""
    return public_card(completed_anew(content, shown.content), FailureCardStatus.approved)


def _fields(paths: Any) -> set[str]:
    return {_top(path) for path in paths}


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _in_order(paths: Any) -> list[str]:
    order = {name: number for number, name in enumerate(CardContent.model_fields)}
    return sorted(paths, key=lambda path: order[_top(path)])
