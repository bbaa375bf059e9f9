"""Knowledge from files: cards and symptoms that are there already are updated, the rest is added."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from app import clock
from app.database import in_transaction
from app.errors import Invalid
from app.security import current_actor
from models.enums import FailureCardStatus
from models.event import CardApproved, CardCreated, Payload
from models.failure_card import CardContent, CardVersion, FailureCard
from models.symptom import Symptom, SymptomContent
from services.events.record import record_all
from services.knowledge import symptoms, versions
from services.knowledge.cards import WRITTEN_CONFIDENCE, draft_of, store_version
from services.knowledge.changes import announce
from services.knowledge.content import changed_fields, completed, content_of
from services.writing import update


@dataclass
class LoadResult:
    """What became of the entries: counts, and why entries were refused, by key."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: dict[str, Invalid] = field(default_factory=dict)


async def upsert_by_natural_key(
    entries: Sequence[tuple[str, CardContent]], *, confidence_score: float = WRITTEN_CONFIDENCE
) -> LoadResult:
    """Load cards, each known by its key, in one transaction; a few hundred at a time is a good measure.

    New cards are approved at once. One that was loaded before gets a new version if what is loaded differs from what
    was loaded last; an expert's edits in between survive the loading of unchanged content, and a deprecated card stays
    deprecated. Entries that break a rule are refused and reported, the others are loaded.
    """
    contents = dict(entries)
    fingerprints = {key: _fingerprint(content) for key, content in contents.items()}
    return await in_transaction(lambda: _upsert(contents, fingerprints, confidence_score))


def _fingerprint(content: CardContent) -> str:
    return hashlib.blake2b(content.model_dump_json().encode(), digest_size=16).hexdigest()


async def _upsert(
    contents: dict[str, CardContent], fingerprints: dict[str, str], confidence_score: float
) -> LoadResult:
    result = LoadResult()
    existing, settled = await _existing(fingerprints)
    result.unchanged = len(settled)
    library = await symptoms.known({code for content in contents.values() for code in _symptom_codes(content)})
    fresh: list[tuple[FailureCard, CardContent]] = []
    for key, content in contents.items():
        if key in settled:
            continue
        try:
            symptoms.require_known(_symptom_codes(content), library)
            whole = completed(content)
        except Invalid as invalid:
            result.refused[key] = invalid
            continue
        card = existing.get(key)
        if card is None:
            fresh.append((_approved(key, whole, fingerprints[key], confidence_score), whole))
        elif await _renew(card, whole, fingerprints[key]):
            result.updated += 1
        else:
            result.unchanged += 1
    await _insert(fresh)
    result.created = len(fresh)
    return result


def _symptom_codes(content: CardContent) -> set[str]:
    return {*content.symptom_codes, *(symptom.symptom_code for symptom in content.symptoms if symptom.symptom_code)}


async def _existing(fingerprints: dict[str, str]) -> tuple[dict[str, FailureCard], set[str]]:
    """The cards that may need a new version, and the keys of those that do not: only the former are read whole."""
    ids, settled = {}, set()
    rows = FailureCard.get_pymongo_collection().find(
        {"natural_key": {"$in": list(fingerprints)}}, {"natural_key": 1, "loaded_fingerprint": 1, "status": 1}
    )
    async for row in rows:
        key = row["natural_key"]
        if row["loaded_fingerprint"] == fingerprints[key] or row["status"] == FailureCardStatus.deprecated:
            settled.add(key)
        else:
            ids[row["_id"]] = key
    cards = await FailureCard.find({"_id": {"$in": list(ids)}}).to_list() if ids else []
    return {ids[card.id]: card for card in cards}, settled


def _approved(key: str, whole: CardContent, fingerprint: str, confidence_score: float) -> FailureCard:
    author = current_actor().id
    return draft_of(whole, author, confidence_score=confidence_score).model_copy(
        update={
            "natural_key": key,
            "loaded_fingerprint": fingerprint,
            "status": FailureCardStatus.approved,
            "approved_by": author,
            "approved_at": clock.now(),
        }
    )


async def _renew(card: FailureCard, whole: CardContent, fingerprint: str) -> bool:
    """Make what was loaded the next version; False if the card says the same already."""
    changed = changed_fields(content_of(card), whole)
    if changed:
        await store_version(
            card, whole, changed, change="loaded", summary="loaded again", also={"loaded_fingerprint": fingerprint}
        )
    else:
        await update(card, {"loaded_fingerprint": fingerprint})
    return bool(changed)


async def _insert(fresh: list[tuple[FailureCard, CardContent]]) -> None:
    if not fresh:
        return
    await FailureCard.insert_many([card for card, _ in fresh])
    await CardVersion.insert_many([versions.snapshot(card, whole, "loaded") for card, whole in fresh])
    payloads: list[Payload] = []
    for card, _ in fresh:
        payloads += [CardCreated(card_id=card.id), CardApproved(card_id=card.id, version=card.version)]
    await record_all(payloads)
    announce(*(card.id for card, _ in fresh))


async def upsert_symptoms(contents: Sequence[SymptomContent]) -> LoadResult:
    """Load entries of the symptom library, each known by its code, in one transaction."""
    return await in_transaction(lambda: _upsert_symptoms(contents))


async def _upsert_symptoms(contents: Sequence[SymptomContent]) -> LoadResult:
    result = LoadResult()
    codes = [content.symptom_code for content in contents]
    existing = {
        symptom.symptom_code: symptom for symptom in await Symptom.find({"symptom_code": {"$in": codes}}).to_list()
    }
    fresh = []
    for content in contents:
        symptom = existing.get(content.symptom_code)
        if symptom is None:
            fresh.append(Symptom(**content.model_dump()))
        elif all(getattr(symptom, name) == value for name, value in content):
            result.unchanged += 1
        else:
            await symptoms.edit(symptom, content, revision=symptom.revision)
            result.updated += 1
    if fresh:
        await Symptom.insert_many(fresh)
    result.created = len(fresh)
    return result
