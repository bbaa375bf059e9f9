"""Matching: which known failures may explain a complaint, and what was shown before."""

from typing import Annotated

from fastapi import Depends, Path

from app.ids import Id
from models.match_run import MatchRun
from models.ticket import Ticket
from routes.api.deps import CurrentActor, PageQuery
from routes.api.http import QuestionRoute, api_router
from routes.api.match_schemas import FailureMatchRequest, HowToMatch, MatchOut, MatchRunEntry, MatchRunOut
from routes.api.problems import problems
from routes.api.schemas import PageOut
from services.diagnosis import matches, runs
from services.diagnosis.translate import ticket_case
from services.repairs.visibility import load_visible

router = api_router("/efi", tag="matching", route_class=QuestionRoute)


async def _ticket(ticket_id: Annotated[Id, Path()]) -> Ticket:
    return await load_visible(ticket_id)


async def _run(run_id: Annotated[Id, Path()]) -> MatchRun:
    return await runs.load_visible(run_id)


CurrentTicket = Annotated[Ticket, Depends(_ticket)]
CurrentRun = Annotated[MatchRun, Depends(_run)]


@router.post("/match")
async def match(body: FailureMatchRequest, actor: CurrentActor) -> MatchOut:
    """Known failures that may explain a complaint, best first, each with the reasons."""
    return MatchOut.of(await matches.match_recorded(body.case(), body.options(actor)))


@router.post("/match-ticket/{ticket_id}", responses=problems(404))
async def match_ticket(ticket: CurrentTicket, actor: CurrentActor, body: HowToMatch | None = None) -> MatchOut:
    """Match a ticket anew and note the suggestions on it, as happens by itself when it is created."""
    matched = await matches.match_ticket(ticket, (body or HowToMatch()).options(actor))
    return MatchOut.of(await matches.with_evidence(matched, ticket_case(ticket)))


@router.get("/match-runs", responses=problems(404))
async def list_match_runs(page: PageQuery, ticket_id: Id | None = None) -> PageOut[MatchRunEntry]:
    """Matches of a ticket, or the caller's own, newest first."""
    return PageOut[MatchRunEntry].of(await runs.list_runs(ticket_id=ticket_id, **page.as_arguments()))


@router.get("/match-runs/{run_id}", responses=problems(404))
async def get_match_run(run: CurrentRun) -> MatchRunOut:
    """One match as it was shown. Visible to those who see its ticket; without one, to its maker and to experts."""
    return MatchRunOut.model_validate(run)
