"""Match runs: keeping what was shown to whom, and who may look at it later."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from app import clock
from app.database import in_a_transaction
from app.errors import NotFound
from app.ids import new_id
from app.security import current_actor
from matching import Candidate, Case, MatchResult, Vehicle
from models.match_run import AskedVehicle, MatchRun
from models.record import ActorRef
from models.ticket import Ticket
from services.expiry import has_expired
from services.group_commit import GroupCommit
from services.knowledge.access import is_curator
from services.paging import Page, page
from services.repairs.visibility import load_visible as load_ticket
from services.repairs.visibility import may_see

Document = dict[str, Any]
"""What a MatchRun is stored as. Every match writes one, so it is put together without a model, which would cost a tenth
of the match; only readers make models."""


class _Keeping:
    days = timedelta(days=90)
    commits: GroupCommit | None = None


def configure(*, keep_days: int) -> None:
    """Set after how many days runs without a ticket go (Settings.match_run_days)."""
    _Keeping.days = timedelta(days=keep_days)


@contextmanager
def writes_shared() -> Iterator[None]:
    """Within it those who are shown matches at the same time, outside of transactions, share a write. For one event
    loop."""
    _Keeping.commits = GroupCommit(MatchRun, "match runs")
    try:
        yield
    finally:
        _Keeping.commits = None


def run_of(case: Case, options: Document, result: MatchResult, *, index_size: int) -> Document:
    """A run by the current actor, without a ticket: it expires. `options` has the fields of AskedOptions."""
    now, who = clock.now(), current_actor()
    return {
        "_id": new_id("match_run"),
        "created_at": now,
        "updated_at": now,
        "revision": 1,
        "actor": ActorRef.current().model_dump(),
        "ticket_id": None,
        "site_id": None,
        "organisation_id": who.organisation_id,
        "case": _asked(case),
        "options": options,
        "scorer_version": result.scorer_version,
        "embedder": result.embedder,
        "channels_off": result.channels_off,
        "index_size": index_size,
        "symptom_codes": list(result.symptoms),
        "candidates": [_shown(candidate) for candidate in result.candidates],
        "shared": result.shared,
        "none_probability": result.none_probability,
        "abstained": result.abstained,
        "duration_ms": result.duration_ms,
        "expires_at": now + _Keeping.days,
    }


def on_ticket(run: Document, ticket: Ticket) -> Document:
    """The same run as one of this ticket, which is kept as long as the ticket is."""
    fields = {"ticket_id": ticket.id, "site_id": ticket.site_id, "organisation_id": ticket.organisation_id}
    return run | fields | {"expires_at": None}


async def record(run: Document) -> None:
    """Return once the run is stored: with the running transaction, else durably, in one write with others'."""
    if in_a_transaction() or _Keeping.commits is None:
        await MatchRun.get_pymongo_collection().insert_one(run)
    else:
        await _Keeping.commits.insert(run)


async def load_visible(run_id: str) -> MatchRun:
    """The run. Raises NotFound if there is none that the current actor may see: that of a ticket goes with the ticket,
    any other is its maker's, and experts' and admins' to look at."""
    run = await MatchRun.find_one({"_id": run_id})
    if run is None or not await _visible(run):
        raise NotFound.of("match run", run_id)
    return run


async def _visible(run: MatchRun) -> bool:
    actor = current_actor()
    if run.ticket_id is not None:
        ticket = await Ticket.find_one({"_id": run.ticket_id})
        return ticket is not None and may_see(actor, ticket)
    return not has_expired(run) and (run.actor.id == actor.id or is_curator(actor))


async def list_runs(*, ticket_id: str | None = None, limit: int = 50, after: str | None = None) -> Page[MatchRun]:
    """Runs of a ticket, or the current actor's own, newest first. Raises NotFound for a ticket they may not see."""
    if ticket_id is not None:
        ticket = await load_ticket(ticket_id)
        return await page(MatchRun, {"ticket_id": ticket.id}, limit=limit, after=after)
    still_there = {"expires_at": {"$not": {"$lte": clock.now()}}}
    return await page(MatchRun, {"actor.id": current_actor().id}, also=still_there, limit=limit, after=after)


def case_of(run: MatchRun) -> Case:
    """The recorded complaint, ready to be matched again."""
    asked = run.case
    return Case(
        text=asked.text,
        error_codes=tuple(asked.error_codes),
        symptom_codes=tuple(asked.symptom_codes),
        vehicle=Vehicle(**asked.vehicle.model_dump()),
        mileage_km=asked.mileage_km,
        vehicle_age_months=asked.vehicle_age_months,
        subsystem=asked.subsystem,
        conditions=tuple(asked.conditions),
    )


def _asked(case: Case) -> Document:
    return {
        "text": case.text,
        "error_codes": list(case.error_codes),
        "symptom_codes": list(case.symptom_codes),
        "vehicle": {name: getattr(case.vehicle, name) for name in AskedVehicle.model_fields},
        "mileage_km": case.mileage_km,
        "vehicle_age_months": case.vehicle_age_months,
        "subsystem": case.subsystem,
        "conditions": list(case.conditions),
    }


def _shown(candidate: Candidate) -> Document:
    return {
        "card_id": candidate.card_id,
        "card_version": candidate.version,
        "title": candidate.title,
        "score": candidate.score,
        "probability": candidate.probability,
        "match_type": candidate.match_type,
        "confidence_level": candidate.confidence_level,
        "is_draft": candidate.is_draft,
        "matched_symptoms": list(candidate.matched_symptoms),
        "channels": candidate.channels,
        "reasons": [reason._asdict() for reason in candidate.reasons],
        "inputs": candidate.inputs,
    }
