"""Matching for those who ask: routes, workflows and the evaluation."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

from app import clock
from app.database import in_transaction
from app.errors import Invalid, Unavailable
from matching import Case, MatchResult, UnknownScorer
from models.event import MatchCompleted, MatchFailed, MatchRequested, Payload, Suggestion
from models.symptom import Symptom
from models.ticket import Ticket
from services.diagnosis import runs
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.translate import ticket_case
from services.events.record import record_all
from services.knowledge import confidence, learning
from services.knowledge.confidence import Evidence

DEFAULT_SCORER = "calibrated"
"""It finds more on the gold set than the specification's ensemble `efi_v2` (see `efi evaluate`)."""
SUGGESTIONS = 5
"""How many cards a ticket is given (specification, §4.3)."""
IN_THREAD_ABOVE = 20_000
"""Cards above which a search takes long enough to be kept off the event loop; below, the detour costs more."""
LONG_TEXT = 2_000
"""Characters above which reading a complaint does: the longest allowed takes 17 ms."""
_EMBEDDING = ThreadPoolExecutor(1, "efi-embed")
"""The sentence model lets go of the interpreter: one thread of it keeps a second processor busy, more only wait."""
_SEARCHING = ThreadPoolExecutor(1, "efi-search")
"""Searches take turns at the index: more threads would only wait for each other."""


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How to match. `min_score` is on the scorer's own scale from 0 to 1; only some scorers give a probability."""

    scorer: str = DEFAULT_SCORER
    limit: int = SUGGESTIONS
    include_drafts: bool = False
    min_score: float = 0.0
    min_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Matched:
    """A match in an index of so many cards, and what repairs of the vehicle's variant say of each card shown.

    `run_id` names the record of it, None where nobody was shown the match.
    """

    result: MatchResult
    index_size: int
    evidence: dict[str, Evidence] = field(default_factory=dict)
    run_id: str | None = None


class _Serving:
    live: LiveIndex | None = None


def serve(live: LiveIndex | None) -> None:
    """Match with this index from now on; None stops it."""
    _Serving.live = live


def scorers() -> list[str]:
    return sorted(serving().matcher.scorers)


async def match(case: Case, options: MatchOptions | None = None, *, traced: bool = False) -> Matched:
    """Known failures that may explain the case, best first; `traced`, with what every channel proposed.

    Sees every change that has been committed in this process. Raises Invalid for an unknown scorer, and for a least
    probability if the scorer gives none; Unavailable while there is no index.
    """
    live, chosen = serving(), options or MatchOptions()
    loop, matcher = asyncio.get_running_loop(), live.matcher
    try:
        matcher.scorer(chosen.scorer)
    except UnknownScorer as error:
        raise Invalid.field("scorer", str(error), chosen.scorer) from None
    await live.caught_up()
    # A remote model is waited for by many at once; the installed one computes, one after the other.
    embedding = None if live.remote else _EMBEDDING
    large = len(live.index) > IN_THREAD_ABOVE
    if large or len(case.text) > LONG_TEXT:
        prepared = await loop.run_in_executor(embedding, matcher.prepare, case)
    else:
        # Read here, a complaint costs least: in the thread it would fight for the interpreter and the index.
        prepared = matcher.read(case)
        if live.index.semantic.embeds(prepared.query):
            prepared = await loop.run_in_executor(embedding, matcher.embed, prepared)

    def search() -> Matched:
        result = matcher.match(
            prepared,
            scorer=chosen.scorer,
            limit=chosen.limit,
            include_drafts=chosen.include_drafts,
            min_score=chosen.min_score,
            min_probability=chosen.min_probability,
            traced=traced,
        )
        return Matched(result, len(live.index))

    matched = await loop.run_in_executor(_SEARCHING, search) if large else search()
    if chosen.min_probability and matched.result.none_probability is None:
        reason = f"{chosen.scorer} gives no probability: leave it out or choose another scorer"
        raise Invalid.field("min_probability", reason, chosen.min_probability)
    return matched


async def match_recorded(case: Case, options: MatchOptions | None = None) -> Matched:
    """As `match`, with evidence, for somebody who is shown the result: the run is on record, and durable, when this
    returns."""
    chosen = options or MatchOptions()
    matched = await match(case, chosen)
    run = _run(case, chosen, matched)
    # The store syncs the one while it reads the other.
    shown, _ = await asyncio.gather(with_evidence(matched, case), runs.record(run))
    return replace(shown, run_id=run["_id"])


async def with_evidence(matched: Matched, case: Case) -> Matched:
    """The same with what repairs of this vehicle variant say of each card."""
    vehicle = case.vehicle
    variant = learning.variant_of(vehicle.make or "", vehicle.model or "", vehicle.year)
    card_ids = [candidate.card_id for candidate in matched.result.candidates]
    return replace(matched, evidence=await confidence.evidence_on(card_ids, variant))


async def match_ticket(ticket: Ticket, options: MatchOptions | None = None) -> Matched:
    """Match a ticket and note the suggestions on it, with the run and the events of §4.1. Raises as `match` does."""
    chosen, case = options or MatchOptions(), ticket_case(ticket)
    matched = await match(case, chosen)
    run = runs.on_ticket(_run(case, chosen, matched), ticket)
    suggestions = [
        Suggestion(
            card_id=candidate.card_id,
            card_version=candidate.version,
            score=candidate.score,
            match_type=candidate.match_type,
        )
        for candidate in matched.result.candidates
    ]

    async def note() -> None:
        now = clock.now()
        await runs.record(run)
        # Not an edit: the ticket's revision stays, or whoever opened its form meanwhile could not save it.
        await Ticket.get_pymongo_collection().update_one(
            {"_id": ticket.id},
            {
                "$set": {
                    "suggested_failure_cards": [suggestion.card_id for suggestion in suggestions],
                    "symptom_codes": list(matched.result.symptoms),
                    "match_run_id": run["_id"],
                    "ai_match_performed": True,
                    "ai_match_timestamp": now,
                    "updated_at": now,
                }
            },
        )
        duration = round(matched.result.duration_ms, 3)
        await _record(
            ticket,
            MatchRequested(ticket_id=ticket.id, scorer=chosen.scorer),
            MatchCompleted(
                ticket_id=ticket.id,
                scorer=chosen.scorer,
                suggestions=suggestions,
                duration_ms=duration,
                match_run_id=run["_id"],
            ),
        )

    await in_transaction(note)
    return replace(matched, run_id=run["_id"])


async def note_failure(ticket: Ticket, reason: str, options: MatchOptions | None = None) -> None:
    """Leave in the log that a match was asked for and failed."""
    scorer = (options or MatchOptions()).scorer

    async def note() -> None:
        await _record(
            ticket,
            MatchRequested(ticket_id=ticket.id, scorer=scorer),
            MatchFailed(ticket_id=ticket.id, scorer=scorer, reason=reason[:2000]),
        )

    await in_transaction(note)


async def symptoms_named(text: str) -> list[Symptom]:
    """Symptoms of the library that a text names, in the order of their codes."""
    codes = serving().matcher.symptoms(Case(text=text))
    return await Symptom.find({"symptom_code": {"$in": list(codes)}}).sort([("symptom_code", 1)]).to_list()


def _run(case: Case, options: MatchOptions, matched: Matched) -> runs.Document:
    return runs.run_of(case, asdict(options), matched.result, index_size=matched.index_size)


async def _record(ticket: Ticket, *payloads: Payload) -> None:
    await record_all(list(payloads), site_id=ticket.site_id, organisation_id=ticket.organisation_id)


def serving() -> LiveIndex:
    """The index that answers. Raises Unavailable while there is none."""
    if _Serving.live is None:
        raise Unavailable("Matching has not started yet.", retry_after=1)
    return _Serving.live
