"""Two versions of a card that have not seen each other, beside the last one that both have seen. Pure functions."""

from dataclasses import dataclass
from typing import Any

from models.enums import FailureCardStatus
from models.failure_card import CardContent
from models.network import PublicCard
from services.knowledge.content import completed_anew
from services.knowledge.diff import differences
from services.knowledge.network.public import public_card
from services.knowledge.three_way import DERIVED
from services.knowledge.three_way import three_way as three_way_content

_STATE = ("status", "deprecation_reason", "successor_id", "merged_into")


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
    lines = [
        ThreeWay(line.field, line.base, line.present, line.proposed, line.conflict)
        for line in three_way_content(base.content, ours.content, theirs.content)
    ]
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
        if getattr(theirs.content, name) == getattr(base.content, name) and name not in DERIVED
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
