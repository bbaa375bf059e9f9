"""Incidents: failures that emerge, with the tickets that tell of them and the draft of what these share."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import NotFound
from app.ids import Id
from models.account import Site
from models.failure_card import FailureCard
from models.incident import Incident, IncidentStatus
from routes.portal.health import SHOWN, list_page
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import Visit, see_other
from services.accounts import directory
from services.knowledge import reviews
from services.knowledge.access import load_visible
from services.workflows.patterns import incidents

router = page_router()

SITES_NAMED = 5


async def _load(incident_id: Annotated[Id, Path()]) -> Incident:
    return await incidents.get(incident_id)


CurrentIncident = Annotated[Incident, Depends(_load)]


@router.get("/health/incidents")
async def list_incidents(visit: CurrentVisit) -> Response:
    """Newest first, whatever became of them unless the address says so."""
    status = incident_filter(visit)
    page = await incidents.list_incidents(status=status, limit=SHOWN, after=visit.after)
    return list_page(visit, "incidents.html", page, state=status or "", statuses=list(IncidentStatus))


def incident_filter(visit: Visit) -> IncidentStatus | None:
    """What the address asks for."""
    return visit.asked(IncidentStatus, "status")


@router.get("/health/incidents/{incident_id}")
async def show_incident(visit: CurrentVisit, incident: CurrentIncident) -> Response:
    return await _page(visit, incident)


async def _page(visit: Visit, incident: Incident) -> Response:
    tickets = await incidents.page_of_tickets(incident, limit=SHOWN, after=visit.after)
    card = await _card(incident)
    review = await reviews.open_review(card.id) if card is not None else None
    return visit.page(
        "incident.html",
        incident=incident,
        tickets=tickets.items,
        next=tickets.next,
        card=card,
        review=review,
        sites=[await _site(visit, site_id) for site_id in incident.facts.site_ids[:SITES_NAMED]],
        living=incident.status is not IncidentStatus.closed,
    )


async def _card(incident: Incident) -> FailureCard | None:
    try:
        return await load_visible(incident.card_id) if incident.card_id else None
    except NotFound:
        return None


async def _site(visit: Visit, site_id: str) -> str:
    try:
        return (await directory.get(Site, site_id, visit.actor)).name
    except NotFound:
        return site_id


@router.post("/health/incidents/{incident_id}/dismiss")
async def dismiss(visit: CurrentVisit, incident: CurrentIncident) -> Response:
    """Nothing emerges here."""

    async def work() -> Response:
        await incidents.dismiss(await incidents.get(incident.id), visit.form.said("reason", needed=True))
        return see_other("/health/incidents")

    return await submit(visit, work, lambda: _again(visit, incident))


@router.post("/health/incidents/{incident_id}/remove")
async def take_out(visit: CurrentVisit, incident: CurrentIncident) -> Response:
    """One of its tickets does not belong to it."""

    async def work() -> Response:
        await incidents.take_out(await incidents.get(incident.id), visit.form.get("ticket"))
        return see_other(f"/health/incidents/{incident.id}")

    return await submit(visit, work, lambda: _again(visit, incident))


async def _again(visit: Visit, incident: Incident) -> Response:
    return await _page(visit, await incidents.get(incident.id))
