"""Failure cards: writing, reading and editing them. Their way through review is in `lifecycle`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from app.database import transaction
from app.errors import Invalid, Stale
from app.security import current_actor
from models.enums import ConfidenceLevel, FailureCardStatus, FailureMode, Severity, SubsystemCategory
from models.event import CardCreated, CardUpdated
from models.failure_card import CardContent, FailureCard
from models.record import ActorRef
from services import fault_codes
from services.events import record
from services.knowledge import learning, reviews, symptoms, versions
from services.knowledge.access import require_editor, sees_every_card
from services.knowledge.changes import announce
from services.knowledge.content import changed_fields, completed, completed_anew, content_of
from services.paging import Page, by_index, page
from services.writing import update

WRITTEN_CONFIDENCE = 0.5
"""Of a card that a person wrote on purpose: the specification's default, neither trusted nor doubted."""
DISCOVERED_CONFIDENCE = 0.3
"""Of a card drafted out of one repair: one technician's word, not yet reviewed (specification, §4.2)."""


async def create(
    content: CardContent,
    *,
    created_by: str | None = None,
    source_ticket_id: str | None = None,
    source_action_id: str | None = None,
    source_garage_id: str | None = None,
    incident_id: str | None = None,
    confidence_score: float = WRITTEN_CONFIDENCE,
) -> FailureCard:
    """Store a new draft with its first version. `created_by` defaults to the current actor.

    Raises Invalid for illegal codes, symptoms that the library does not know, and an unsound diagnostic tree.
    """
    whole = completed(content)
    await symptoms.require(whole.symptom_codes)
    author = created_by or current_actor().id
    card = draft_of(whole, author, confidence_score=confidence_score).model_copy(
        update={
            "source_ticket_id": source_ticket_id,
            "source_action_id": source_action_id,
            "source_garage_id": source_garage_id,
        }
    )
    async with transaction():
        await card.insert()
        await versions.snapshot(card, whole, "created").insert()
        created = CardCreated(card_id=card.id, source_ticket_id=source_ticket_id, incident_id=incident_id)
        await record(created, site_id=source_garage_id)
        announce(card.id)
    return card


def draft_of(whole: CardContent, author: str, *, confidence_score: float) -> FailureCard:
    """A new card out of completed content, not yet stored."""
    signature = whole.failure_signature
    card = FailureCard(
        **{name: getattr(whole, name) for name in CardContent.model_fields},
        signature_hash=signature.signature_hash if signature else "",
        confidence_score=confidence_score,
        confidence_level=learning.level_of(confidence_score),
        created_by=author,
        updated_by=author,
    )
    card.version_history = [versions.entry(1, "created", [])]
    return card


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which cards to list; what is None does not matter."""

    status: FailureCardStatus | None = None
    subsystem_category: SubsystemCategory | None = None
    failure_mode: FailureMode | None = None
    severity: Severity | None = None
    confidence_level: ConfidenceLevel | None = None
    make: str | None = None
    model: str | None = None
    error_code: str | None = None
    symptom_code: str | None = None
    created_by: str | None = None
    tag: str | None = None


# Each is indexed together with `_id`; the most selective first.
_INDEXED = (
    "symptom_codes",
    "error_codes",
    "tags",
    "created_by",
    "vehicle_models.make",
    "failure_mode",
    "subsystem_category",
    "severity",
    "confidence_level",
    "status",
)
_PLAIN = {field.name for field in fields(CardFilter)} - {"make", "model", "error_code", "symptom_code", "tag"}


async def states_of(card_ids: Sequence[str]) -> dict[str, FailureCardStatus]:
    """The editorial state of each card that exists."""
    found = FailureCard.get_pymongo_collection().find({"_id": {"$in": list(card_ids)}}, {"status": 1})
    return {card["_id"]: FailureCardStatus(card["status"]) async for card in found}


async def list_cards(wanted: CardFilter, *, limit: int = 50, after: str | None = None) -> Page[FailureCard]:
    """Newest first, of those that the current actor may see. Raises Invalid for an illegal code or a bare model."""
    query = _query(wanted)
    if not sees_every_card(current_actor()):
        if wanted.status not in (None, FailureCardStatus.approved):
            return Page([], None)
        query["status"] = FailureCardStatus.approved
    first, rest = by_index(query, _INDEXED)
    return await page(FailureCard, first, also=rest, limit=limit, after=after)


def _query(wanted: CardFilter) -> dict[str, Any]:
    query: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(wanted, name)) is not None}
    if wanted.error_code is not None:
        query["error_codes"] = fault_codes.normalised([wanted.error_code], "error_code")[0]
    if wanted.symptom_code is not None:
        query["symptom_codes"] = wanted.symptom_code
    if wanted.tag is not None:
        query["tags"] = wanted.tag
    if wanted.make is not None:
        query["vehicle_models.make"] = wanted.make
    if wanted.model is not None:
        if wanted.make is None:
            raise Invalid.field("model", "needs a make beside it")
        # One and the same vehicle must be of this make and model.
        query["vehicle_models"] = {"$elemMatch": {"make": wanted.make, "model": wanted.model}}
    return query


async def titles(card_ids: Iterable[str]) -> dict[str, str]:
    """Titles of those of these cards that exist, for lists that name cards. Few at a time: one page's."""
    wanted = {"_id": {"$in": sorted(set(card_ids))}}
    return {row["_id"]: row["title"] async for row in FailureCard.get_pymongo_collection().find(wanted, {"title": 1})}


async def edit(
    card: FailureCard,
    content: CardContent,
    *,
    edition: int,
    summary: str = "",
    proposed_by: ActorRef | None = None,
) -> FailureCard:
    """Replace the content of a card; a real change makes a new version. `proposed_by` names whose words they are.

    Raises Stale unless `edition` is the card's present one, Forbidden or CardDeprecated (see `require_editor`), and
    Invalid as `create` does.
    """
    require_editor(card)
    require_edition(card, edition)
    stored = content_of(card)
    whole = completed_anew(content, stored)
    changed = changed_fields(stored, whole)
    if not changed:
        return card
    await symptoms.require(set(whole.symptom_codes) - set(stored.symptom_codes))
    return await store_version(card, whole, changed, change="edited", summary=summary, proposed_by=proposed_by)


async def store_version(
    card: FailureCard,
    whole: CardContent,
    changed: list[str],
    *,
    change: str,
    summary: str = "",
    also: Mapping[str, Any] | None = None,
    merged_from: str | None = None,
    proposed_by: ActorRef | None = None,
) -> FailureCard:
    """Write completed content as the next version of a card, together with other fields (`also`).

    `merged_from` names a card that is merged into this one by the change.
    """
    number = card.version + 1
    changes: dict[str, Any] = {name: getattr(whole, name) for name in changed}
    if whole.failure_signature:
        changes["signature_hash"] = whole.failure_signature.signature_hash
    changes |= {
        "version": number,
        "edition": card.edition + 1,
        "updated_by": current_actor().id,
        "synced_to_network": False,
        **(also or {}),
    }
    line = versions.entry(number, summary, changed, proposed_by)
    async with transaction():
        edited = await update(
            card, changes, push={"version_history": {"$each": [line], "$slice": -versions.HISTORY_KEPT}}
        )
        await versions.snapshot(edited, whole, summary, proposed_by).insert()
        await record(
            CardUpdated(
                card_id=card.id,
                version=number,
                changed_fields=changed,
                change=change,
                reason=summary,
                merged_from=merged_from,
            )
        )
        await _tell_open_review(edited, changed)
        announce(card.id)
    return edited


def require_edition(card: FailureCard, edition: int | None) -> None:
    """Raise Stale if somebody has changed content or status since `edition` was read; None does not care."""
    if edition is not None and card.edition != edition:
        raise Stale(
            f"{card.id} is at edition {card.edition}, you have read {edition}. Read it again.", current=card.edition
        )


async def _tell_open_review(card: FailureCard, changed: list[str]) -> None:
    """An open review shows the title and subsystem of its card."""
    if {"title", "subsystem_category"}.isdisjoint(changed):
        return
    review = await reviews.open_review(card.id)
    if review is not None:
        await update(review, {"card_title": card.title, "subsystem_category": card.subsystem_category})
