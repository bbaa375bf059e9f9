"""Reuse is review: who repairs by a card with success has checked it. What the ledger of outcomes says about that."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.failure_card import FailureCard
from models.learning import CardOutcome

_FIELDS = dict.fromkeys(
    (
        "card_id",
        "technician_id",
        "site_id",
        "firmware",
        "variant",
        "success",
        "occurred_at",
        "taken_back_at",
        "superseded_at",
    ),
    1,
)


@dataclass(frozen=True, slots=True)
class Use:
    """One passage of a ticket in which the card was used; `worked` as it stands today."""

    card_id: str
    technician_id: str | None
    site_id: str | None
    model: str
    firmware: str
    worked: bool
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewedByUse:
    """How often the card's fix was confirmed, by how many people and workshops: counts, never names.

    `version_confirmed` is the version that stood at the last confirmation, and `changed_since` the fields that have
    been changed after it: nobody has confirmed those by use.
    """

    confirmations: int
    technicians: int
    sites: int
    last_confirmed_at: datetime | None
    version_confirmed: int | None
    changed_since: list[str]


async def by_use(card: FailureCard) -> ReviewedByUse:
    """The card's record, with what was repaired by the cards that were merged into it."""
    uses = (await uses_of({card.id: card.merged_from}))[card.id]
    confirmed = [use for use in uses if use.worked]
    last = max((use.occurred_at for use in confirmed), default=None)
    after = [entry for entry in card.version_history if last is not None and entry.timestamp > last]
    return ReviewedByUse(
        confirmations=len(confirmed),
        technicians=len({use.technician_id for use in confirmed} - {None}),
        sites=len({use.site_id for use in confirmed} - {None}),
        last_confirmed_at=last,
        version_confirmed=None if last is None else card.version - len(after),
        changed_since=list(dict.fromkeys(name for entry in after for name in entry.changed_fields)),
    )


async def uses_of(cards: Mapping[str, Iterable[str]]) -> dict[str, list[Use]]:
    """The uses that count for each card, in order of time; `cards` names for each those that were merged into it."""
    survivor = {retired: card_id for card_id, merged in cards.items() for retired in (card_id, *merged)}
    found: defaultdict[str, list[Use]] = defaultdict(list)
    rows = CardOutcome.get_pymongo_collection().find({"card_id": {"$in": sorted(survivor)}}, _FIELDS)
    async for row in rows:
        if row.get("superseded_at") is None:
            found[survivor[row["card_id"]]].append(_use(row))
    return {card_id: sorted(found[card_id], key=lambda use: use.occurred_at) for card_id in cards}


def _use(row: Mapping[str, Any]) -> Use:
    return Use(
        card_id=row["card_id"],
        technician_id=row.get("technician_id"),
        site_id=row.get("site_id"),
        model=row["variant"].rpartition("|")[0],
        firmware=row.get("firmware", ""),
        worked=row["success"] and row.get("taken_back_at") is None,
        occurred_at=row["occurred_at"],
    )


def last_confirmed(uses: Sequence[Use]) -> datetime | None:
    """When the fix last worked, of uses in order of time."""
    return next((use.occurred_at for use in reversed(uses) if use.worked), None)
