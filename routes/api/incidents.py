"""Incidents: failures that emerge, for those who decide what counts as knowledge.

Makers do not see them: an incident is a suspicion drawn from several customers' tickets. What comes of it reaches them
as an approved card.
"""

from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Path
from pydantic import ConfigDict, Field
from starlette.requests import Request

from app.ids import Id
from models.incident import ClosedBecause, Incident, IncidentStatistic, IncidentStatus, SharedFacts
from models.record import ActorRef
from models.types import ShortText, Strict, UtcDatetime
from routes.api.deps import PageQuery
from routes.api.http import ApiRoute, api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.workflows.patterns import incidents
from services.workflows.patterns.detection import Detector

router = api_router("/efi/incidents", tag="incidents")
# Incidents commit one by one: what was found stays found if a later one fails.
detection = api_router("/efi/incidents", tag="incidents", route_class=ApiRoute)


class IncidentOut(Out):
    incident_id: str = Field(validation_alias="id")
    title: str
    status: IncidentStatus = Field(description="`watching`: dismissed; it opens again if it grows clearly.")
    failure_id: str | None = Field(validation_alias="card_id", description="The draft; after its approval the card.")
    ticket_count: int
    facts: SharedFacts
    statistic: IncidentStatistic
    created_at: UtcDatetime
    updated_at: UtcDatetime
    dismissed_by: ActorRef | None
    dismissed_at: UtcDatetime | None
    dismissal_reason: str
    closed_because: ClosedBecause | None
    closed_at: UtcDatetime | None
    merged_into: str | None


class IncidentDetail(IncidentOut):
    ticket_ids: list[str] = Field(description=f"Newest first, {incidents.MOST_READ} at most.")


class Dismissal(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Known: cables of one rental fleet."}]})

    reason: Annotated[ShortText, Field(min_length=1)]


class DetectionOut(Out):
    idle: bool = Field(description="Another run was under way, so this one did nothing.")
    tickets: int = Field(description="Tickets of the window that were looked at.")
    unexplained: int
    earlier_tickets: int
    tests: int = Field(description="Groups that were tested.")
    opened: list[str] = Field(description="New incidents.")
    extended: list[str] = Field(description="Incidents with new tickets.")
    merged: list[str] = Field(description="Incidents that became part of another.")


async def _load(incident_id: Annotated[Id, Path()]) -> Incident:
    return await incidents.get(incident_id)


async def _detector(request: Request) -> Detector:
    return request.app.state.service.detector


CurrentIncident = Annotated[Incident, Depends(_load)]
CurrentDetector = Annotated[Detector, Depends(_detector)]


@router.get("")
async def list_incidents(page: PageQuery, status: IncidentStatus | None = None) -> PageOut[IncidentOut]:
    """Newest first."""
    return PageOut[IncidentOut].of(await incidents.list_incidents(status=status, **page.as_arguments()))


@router.get("/{incident_id}", responses=problems(404))
async def get_incident(incident: CurrentIncident) -> IncidentDetail:
    """One incident with its tickets."""
    return await _detail(incident)


@router.post("/{incident_id}/dismiss", responses=problems(404, 409))
async def dismiss_incident(incident: CurrentIncident, body: Dismissal) -> IncidentDetail:
    """Nothing emerges here. Its draft is given up, unless somebody has edited it; the incident comes back only once it
    has twice as many tickets and is still unusual."""
    return await _detail(await incidents.dismiss(incident, body.reason))


@router.post("/{incident_id}/tickets/{ticket_id}/remove", responses=problems(404, 409))
async def remove_ticket(incident: CurrentIncident, ticket_id: Annotated[Id, Path()]) -> IncidentDetail:
    """The ticket does not belong here. It does not come back into this incident."""
    return await _detail(await incidents.take_out(incident, ticket_id))


@detection.post("/detect", responses=problems(503))
async def detect(detector: CurrentDetector) -> DetectionOut:
    """Look for incidents now, instead of within the hour."""
    return DetectionOut.model_validate(asdict(await detector.detect()))


async def _detail(incident: Incident) -> IncidentDetail:
    shown = {**dict(incident), "ticket_ids": await incidents.tickets_of(incident)}
    return IncidentDetail.model_validate(shown)
