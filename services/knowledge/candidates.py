"""Candidates for the symptom library: phrases of tickets gathered, counted, and accepted, merged or dropped by experts.

A phrase is kept as a hash until MIN_VOICES different customers have used it; only then its words are stored. What
nobody repeats is forgotten, what an expert has dropped never comes back.
"""

import base64
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import InsertOne, UpdateOne

from app import clock
from app.errors import IllegalMove, Invalid, NotFound
from app.security import current_actor
from models.enums import SubsystemCategory
from models.symptom import Symptom, SymptomContent
from models.symptom_candidate import CandidateStatus, Spelling, SymptomCandidate
from models.ticket import Ticket
from services.expiry import has_expired
from services.knowledge import symptoms
from services.knowledge.phrases import Phrase, Wordings, parts, surprise
from services.writing import encode, update

MIN_VOICES = 5
"""Customers who must have used a phrase before it is shown."""
FORGOTTEN_AFTER = timedelta(days=90)
"""A phrase that has not been shown yet and is not repeated for so long is forgotten."""
STALE_AFTER = timedelta(days=730)
"""So is one that nobody has decided on."""
TICKETS_KEPT = 10
SPELLINGS_KEPT = 5
COVERED = 0.7
"""A phrase that occurs so often as part of a longer one is shown as that: "filter housing" as "oil filter housing"."""
_BANDS = (1 << 62, *(2**power for power in range(12, 3, -1)), MIN_VOICES, 0)
"""Counts that part the list: the store reads all that a query matches, so it is read band by band from the top."""


def id_of(key: str) -> str:
    return f"cnd_{hashlib.blake2b(key.encode(), digest_size=15).hexdigest()}"


async def gather(
    found: Sequence[Phrase], ticket: Ticket, subsystem: SubsystemCategory | None, occurred_at: datetime
) -> int:
    """Count phrases of one ticket, each once; returns how many were counted. Belongs in the caller's transaction.

    What has expired counts from nothing again.
    """
    by_id = {id_of(phrase.key): phrase for phrase in found}
    if not by_id:
        return 0
    stored = {one.id: one for one in await SymptomCandidate.find({"_id": {"$in": list(by_id)}}).to_list()}
    voice = _voice(ticket)
    writes: list[InsertOne[Any] | UpdateOne] = []
    for identifier, phrase in by_id.items():
        before = stored.get(identifier)
        if before is None or has_expired(before):
            before = SymptomCandidate(id=identifier, first_seen=occurred_at, last_seen=occurred_at)
        elif before.status not in (CandidateStatus.gathering, CandidateStatus.open) or ticket.id in before.ticket_ids:
            continue
        after = _seen(before, phrase, ticket.id, voice, subsystem, occurred_at)
        if identifier not in stored:
            writes.append(InsertOne(encode(after) | {"_id": identifier}))
        else:
            changes = encode(after.model_dump(exclude={"id", "revision"})) | {"updated_at": clock.now()}
            writes.append(UpdateOne({"_id": identifier}, {"$set": changes, "$inc": {"revision": 1}}))
    if writes:
        await SymptomCandidate.get_pymongo_collection().bulk_write(writes)
    return len(writes)


def _voice(ticket: Ticket) -> str:
    """Who speaks: tickets of one customer, or of one vehicle, count as one voice until the phrase is shown."""
    who = ticket.organisation_id or ticket.customer_id or ticket.vehicle_id or ticket.vehicle_number
    named = f"{ticket.customer_name}|{ticket.customer_contact}".casefold()
    spoken = who or (named if len(named) > 1 else ticket.id)
    return hashlib.blake2b(spoken.encode(), digest_size=6).hexdigest()


def _seen(
    before: SymptomCandidate,
    phrase: Phrase,
    ticket_id: str,
    voice: str,
    subsystem: SubsystemCategory | None,
    occurred_at: datetime,
) -> SymptomCandidate:
    """The candidate after one more ticket."""
    changes: dict[str, Any] = {
        "tickets": before.tickets + 1,
        "ticket_ids": [*before.ticket_ids, ticket_id][-TICKETS_KEPT:],
        "first_seen": min(before.first_seen, occurred_at),
        "last_seen": max(before.last_seen, occurred_at),
        "subsystems": dict(before.subsystems),
        "expires_at": clock.now() + FORGOTTEN_AFTER,
    }
    if subsystem is not None:
        changes["subsystems"][subsystem] = changes["subsystems"].get(subsystem, 0) + 1
    voices = list(dict.fromkeys([*before.voices, voice]))
    if before.status is CandidateStatus.open or len(voices) >= MIN_VOICES:
        changes |= {
            "status": CandidateStatus.open,
            "key": phrase.key,
            "voices": [],
            "spellings": _spellings(before.spellings, phrase.text),
            "within": [id_of(part) for part in parts(phrase.key)],
            "expires_at": clock.now() + STALE_AFTER,
        }
    else:
        changes["voices"] = voices
    return before.model_copy(update=changes)


def _spellings(before: Iterable[Spelling], text: str) -> list[Spelling]:
    counts = {spelling.text: spelling.tickets for spelling in before}
    counts[text] = counts.get(text, 0) + 1
    # The latest one stays, or a new spelling could never rise among five older ones.
    ranked = sorted(counts, key=lambda one: (one != text, -counts[one], one))[:SPELLINGS_KEPT]
    return [Spelling(text=one, tickets=counts[one]) for one in sorted(ranked, key=lambda one: (-counts[one], one))]


@dataclass(frozen=True, slots=True)
class Listed:
    """A candidate as experts see it. `surprise` tells phrases from words that meet by chance (above about 3)."""

    candidate: SymptomCandidate
    text: str
    subsystem: SubsystemCategory | None
    surprise: float


@dataclass(frozen=True, slots=True)
class CandidatePage:
    items: list[Listed]
    next: str | None


async def list_candidates(known: Wordings, *, limit: int = 50, after: str | None = None) -> CandidatePage:
    """Open candidates, those of most tickets first, without what the library says by now and what a longer one covers.

    Raises Invalid for a cursor that is none.
    """
    beyond = (1 << 62, "") if after is None else _place(after)
    tickets = await Ticket.get_pymongo_collection().estimated_document_count()
    kept: list[SymptomCandidate] = []
    for above, least in itertools.pairwise(_BANDS):
        if least > beyond[0]:
            continue
        query = {"status": CandidateStatus.open, "tickets": {"$gte": least, "$lt": above}}
        band = await SymptomCandidate.find(query).to_list()
        there = [one for one in band if not has_expired(one)]
        fresh = [one for one in there if _order(one) > (-beyond[0], beyond[1]) and not known.knows(one.key)]
        kept += await _uncovered(sorted(fresh, key=_order), limit + 1 - len(kept))
        if len(kept) > limit:
            break
    items = [shown(one, tickets) for one in kept[:limit]]
    return CandidatePage(items, _cursor(kept[limit - 1]) if len(kept) > limit else None)


def shown(one: SymptomCandidate, tickets: int) -> Listed:
    """The candidate with its commonest spelling, the subsystem most of its tickets are about, and its surprise."""
    text = one.spellings[0].text if one.spellings else one.key
    hint = max(one.subsystems, key=lambda subsystem: (one.subsystems[subsystem], subsystem), default=None)
    return Listed(one, text, hint, surprise(one.tickets, max(tickets, one.tickets + 1), one.key))


async def _uncovered(ordered: Sequence[SymptomCandidate], wanted: int) -> list[SymptomCandidate]:
    """The first `wanted` that no longer phrase covers."""
    kept: list[SymptomCandidate] = []
    for start in range(0, len(ordered), 2 * wanted):
        batch = ordered[start : start + 2 * wanted]
        longest: dict[str, int] = {}
        async for longer in SymptomCandidate.find({"within": {"$in": [one.id for one in batch]}}):
            if longer.status is CandidateStatus.open and not has_expired(longer):
                for part in longer.within:
                    longest[part] = max(longest.get(part, 0), longer.tickets)
        kept += [one for one in batch if longest.get(one.id, 0) < COVERED * one.tickets]
        if len(kept) >= wanted:
            break
    return kept[:wanted]


async def get(candidate_id: str) -> SymptomCandidate:
    """Raises NotFound, also for one that is not open to anybody's eyes yet."""
    found = await SymptomCandidate.find_one({"_id": candidate_id})
    if found is None or found.status is CandidateStatus.gathering or has_expired(found):
        raise NotFound.of("symptom candidate", candidate_id)
    return found


async def accept(candidate: SymptomCandidate, content: SymptomContent) -> Symptom:
    """Make it a symptom of the library, its spellings among the synonyms. Raises IllegalMove, and as `symptoms.create`.

    Belongs in the caller's transaction, as do the other decisions.
    """
    _require_open(candidate, CandidateStatus.accepted)
    symptom = await symptoms.create(content.model_copy(update={"synonyms": _with_spellings(content, candidate)}))
    await _decide(candidate, CandidateStatus.accepted, symptom_code=symptom.symptom_code)
    return symptom


async def merge(candidate: SymptomCandidate, symptom_code: str) -> Symptom:
    """Make it a wording of a symptom of the library. Raises IllegalMove, NotFound, Invalid where there is no room."""
    _require_open(candidate, CandidateStatus.merged)
    symptom = await symptoms.get(symptom_code)
    content = SymptomContent.model_validate(symptom.model_dump(include=set(SymptomContent.model_fields)))
    whole = content.model_copy(update={"synonyms": _with_spellings(content, candidate)})
    edited = await symptoms.edit(symptom, whole, revision=symptom.revision)
    await _decide(candidate, CandidateStatus.merged, symptom_code=symptom_code)
    return edited


async def drop(candidate: SymptomCandidate, reason: str = "") -> SymptomCandidate:
    """Never show it again. Raises IllegalMove."""
    _require_open(candidate, CandidateStatus.dropped)
    return await _decide(candidate, CandidateStatus.dropped, reason=reason)


def _with_spellings(content: SymptomContent, candidate: SymptomCandidate) -> list[str]:
    said = {text.casefold() for text in (content.name, *content.synonyms)}
    added = [spelling.text for spelling in candidate.spellings if spelling.text.casefold() not in said]
    if len(content.synonyms) + len(added) > MAX_SYNONYMS:
        raise Invalid.field("synonyms", f"can hold {MAX_SYNONYMS}; the candidate adds {len(added)}")
    return [*content.synonyms, *added]


MAX_SYNONYMS = 50


def _require_open(candidate: SymptomCandidate, wanted: CandidateStatus) -> None:
    if candidate.status is not CandidateStatus.open:
        raise IllegalMove.between("symptom candidate", candidate.status, wanted, [])


async def _decide(candidate: SymptomCandidate, status: CandidateStatus, **fields: Any) -> SymptomCandidate:
    decision: Mapping[str, Any] = {"status": status, "decided_by": current_actor().id, "decided_at": clock.now()}
    return await update(candidate, {**decision, **fields, "expires_at": None})


def _order(one: SymptomCandidate) -> tuple[int, str]:
    return -one.tickets, one.id


def _cursor(one: SymptomCandidate) -> str:
    return base64.urlsafe_b64encode(f"{one.tickets}:{one.id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        count, identifier = text.split(":", 1)
        return int(count), identifier
    except ValueError:
        raise Invalid.field("after", "is not a cursor that this service gave out") from None
