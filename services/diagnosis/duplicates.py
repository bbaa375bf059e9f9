"""The duplicate guard: which cards describe the same failure as a draft, and in which facts they differ.

Always computed anew from the matching index, so that it speaks of the cards as they are now.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from matching import CardRecord, VehicleRange
from matching.likeness import alike
from matching.results import Reason
from models.failure_card import FailureCard
from services.diagnosis import matches
from services.diagnosis.translate import card_record
from services.writing import encode

THRESHOLD = 0.40
"""Similarity from which a card is held for a near duplicate (docs/decisions/0011): of the starter cards no two reach
it, of their shortened and reworded copies nearly all."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fact:
    """One field in which two cards differ: what only `here` says, what only `there` says, and what both say."""

    field: str
    here: tuple[str, ...]
    there: tuple[str, ...]
    both: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A card that probably describes the same failure. `similarity` in [0, 1]; the reasons' contributions add up to it.

    `differences` compare the card that was asked about (`here`) with this one (`there`).
    """

    card_id: str
    title: str
    version: int
    status: str
    similarity: float
    reasons: tuple[Reason, ...]
    differences: tuple[Fact, ...]


async def near_duplicates(
    card: FailureCard, *, limit: int = SHOWN, min_similarity: float = THRESHOLD
) -> list[NearDuplicate]:
    """Approved cards, drafts and pending ones that are at least so similar, most similar first.

    The card may be as yet unsaved, and is not compared with itself. Raises Unavailable while there is no index.
    """
    live = matches.serving()
    await live.caught_up()
    record = card_record(encode(card))
    found = await asyncio.to_thread(alike, live.index, record, limit=limit, least=min_similarity)
    return [
        NearDuplicate(
            card_id=other.card.card_id,
            title=other.card.title,
            version=other.card.version,
            status=other.card.status,
            similarity=other.similarity,
            reasons=other.reasons,
            differences=tuple(differing(record, other.card)),
        )
        for other in found
    ]


def differing(here: CardRecord, there: CardRecord) -> Iterable[Fact]:
    """The facts in which two cards differ, in the order in which an expert asks for them."""
    for field, values in _FACTS.items():
        own, other = list(dict.fromkeys(values(here))), list(dict.fromkeys(values(there)))
        both = tuple(value for value in own if value in other)
        fact = Fact(
            field,
            here=tuple(value for value in own if value not in both),
            there=tuple(value for value in other if value not in both),
            both=both,
        )
        if fact.here or fact.there:
            yield fact


def _vehicle(span: VehicleRange) -> str:
    """As people write it: "Ather 450X 2021-2023"."""
    first, last = span.year_from, span.year_to
    years = "" if first is None and last is None else str(first) if first == last else f"{first or ''}-{last or ''}"
    return " ".join(filter(None, (span.make, span.model, years, *span.variants)))


def _one(value: str | None) -> Iterable[str]:
    return [value] if value else []


_FACTS: dict[str, Callable[[CardRecord], Iterable[str]]] = {
    "root_cause": lambda card: _one(card.root_cause),
    "error_codes": lambda card: card.error_codes,
    "vehicle_models": lambda card: map(_vehicle, card.vehicles),
    "subsystem_category": lambda card: _one(card.subsystem),
    "failure_mode": lambda card: _one(card.failure_mode),
    "symptoms": lambda card: card.symptom_phrases or card.symptom_codes,
    "required_parts": lambda card: card.components,
    "resolution": lambda card: _one(card.resolution),
}
"""What two descriptions of one failure must agree on, by field of the card."""
