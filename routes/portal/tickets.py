"""Tickets: taking one in, and the page on which everything about one stands."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app import clock
from app.ids import Id
from app.security import Role
from matching import Candidate
from models.account import Site
from models.enums import Priority, TicketCategory, TicketStatus, VehicleType
from models.part import Part, PartUsage
from models.technician_action import TechnicianAction
from models.ticket import Ticket, TicketContent
from routes.portal import options, render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.picking import FEW, Offer, entries, fleet, looking, offer, settle, shelf
from routes.portal.uploads import Uploads
from routes.portal.visit import Visit, see_other
from services.diagnosis import likely_causes, matches
from services.diagnosis.guided import overrides, sessions
from services.diagnosis.matches import DEFAULT_SCORER, Matched, MatchOptions
from services.diagnosis.translate import ticket_case
from services.knowledge.confidence import Evidence
from services.repairs import actions, photos, sla, stock, ticket_states, tickets, usage
from services.repairs.cards import required_parts
from services.repairs.tickets import TicketFilter
from services.repairs.visibility import load_visible, works_at

router = page_router()

STAFF = (Role.technician, Role.expert, Role.admin)
DIAGNOSES_LISTED = 10
PHOTOS_SHOWN = 8
PREFERRED_SCORER = "calibrated"
UNLIKELY = 0.02
"""Suspects below it are folded away, but for the first ones."""
ALWAYS_SHOWN = 2
TICKET_FIELDS = tuple(TicketContent.model_fields)


async def _load(ticket_id: Annotated[Id, Path()]) -> Ticket:
    return await load_visible(ticket_id)


CurrentTicket = Annotated[Ticket, Depends(_load)]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A known failure that may explain the ticket, and what repairs of this vehicle variant say of its fix."""

    candidate: Candidate
    evidence: Evidence
    likely: bool


def ticket_filter(visit: Visit) -> TicketFilter:
    """What the address asks for."""
    status = visit.request.query_params.get("status")
    return TicketFilter(status=TicketStatus(status) if status in list(TicketStatus) else None)


@router.get("/tickets/new")
async def new_ticket(visit: CurrentVisit) -> Response:
    return await _new_ticket(visit)


@router.post("/tickets/new")
async def create_ticket(visit: CurrentVisit) -> Response:
    form = visit.form
    uploads = Uploads(visit)

    if looking(form):
        return await _new_ticket(visit)

    async def work() -> Response:
        await settle(form, "vehicle_id", fleet(visit))
        await settle(form, "site_id", entries(visit, Site))
        content = read(TicketContent, ticket_values(form))
        ticket = await tickets.create(content, site_id=form.get("site_id") or None)
        await uploads.attach(ticket)
        return see_other(f"/tickets/{ticket.id}")

    return await submit(visit, work, lambda: _new_ticket(visit), prepare=uploads.take_in)


def ticket_values(form: Form) -> dict[str, object]:
    """A form's values as TicketContent takes them; codes may be separated by commas or space."""
    values: dict[str, object] = {name: form.get(name) for name in TICKET_FIELDS}
    values["error_codes_reported"] = form.get("error_codes_reported").replace(",", " ").split()
    return values


async def _new_ticket(visit: Visit) -> Response:
    sites = await offer(visit.form, "site_id", entries(visit, Site))
    return visit.page(
        "ticket_new.html",
        vehicles=await offer(visit.form, "vehicle_id", fleet(visit)),
        sites=sites if len(sites.options) > 1 or not sites.every else None,
        categories=list(TicketCategory),
        priorities=list(Priority),
        vehicle_types=list(VehicleType),
    )


@router.get("/tickets/{ticket_id}")
async def show_ticket(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    return await ticket_page(visit, ticket)


async def ticket_page(visit: Visit, ticket: Ticket) -> Response:
    """The whole ticket; a customer is shown its course, and nothing of the workshop's own notes."""
    works = visit.has(*STAFF) and works_at(visit.actor, ticket.site_id)
    matched, suspects = await suspects_of(ticket) if works else (None, [])
    reopened_counts = ticket.resolved_at is not None and clock.now() - ticket.resolved_at <= timedelta(
        days=visit.settings.return_window_days
    )
    told = not works and await likely_causes.may_be_told(ticket)
    gallery = await photos.list_photos(ticket, limit=PHOTOS_SHOWN)
    return visit.page(
        "ticket.html",
        ticket=ticket,
        works=works,
        due_at=sla.due_at(ticket),
        due=sla.state(ticket, clock.now()),
        causes=await likely_causes.of(ticket) if told else [],
        matched=matched,
        likely=[one for one in suspects if one.likely],
        unlikely=[one for one in suspects if not one.likely],
        moves=ticket_states.legal_moves(ticket.status),
        workable=ticket.status in ticket_states.WORKABLE,
        reopened_counts=reopened_counts,
        diagnoses=(await sessions.list_sessions(ticket.id, limit=DIAGNOSES_LISTED)).items if works else [],
        actions=await actions_on(ticket) if works else [],
        usage=await parts_of(ticket) if works else [],
        passed_over=await overrides.on_ticket(ticket.id) if works else [],
        outstanding=usage.outstanding,
        shelf=await _shelf(visit, ticket) if works else None,
        photos=gallery.items,
        more_photos=gallery.next is not None,
        removable=photos.removable(gallery.items),
    )


async def suspects_of(ticket: Ticket) -> tuple[Matched, list[Suspect]]:
    """Known failures that may explain the ticket, by the scorer that gives probabilities if there is one."""
    scorer = PREFERRED_SCORER if PREFERRED_SCORER in matches.scorers() else DEFAULT_SCORER
    case = ticket_case(ticket)
    matched = await matches.with_evidence(await matches.match(case, MatchOptions(scorer=scorer)), case)
    return matched, [
        Suspect(one, matched.evidence[one.card_id], likely=place < ALWAYS_SHOWN or _odds(one) >= UNLIKELY)
        for place, one in enumerate(matched.result.candidates)
    ]


def _odds(candidate: Candidate) -> float:
    return candidate.score if candidate.probability is None else candidate.probability


async def actions_on(ticket: Ticket) -> list[TechnicianAction]:
    return (await actions.list_actions(ticket_id=ticket.id, limit=100)).items


async def parts_of(ticket: Ticket) -> list[PartUsage]:
    return (await usage.list_usage(ticket_id=ticket.id, limit=100)).items


async def stock_for(ticket: Ticket, suspected: Iterable[str] = ()) -> list[Part]:
    """Parts on hand at the ticket's site that its cards or other `suspected` ones ask for."""
    if ticket.site_id is None:
        return []
    cards = [ticket.selected_failure_card, *ticket.suggested_failure_cards, *suspected]
    wanted = await required_parts(card_id for card_id in cards if card_id is not None)
    names = {name for parts in wanted.values() for one in parts for name in (one.part_number, one.part_name)}
    return sorted(await stock.on_hand(names, site_id=ticket.site_id), key=lambda part: part.part_name.casefold())


async def _shelf(visit: Visit, ticket: Ticket) -> Offer | None:
    """What can be taken for the ticket, first what its cards ask for; None where nothing is on hand."""
    if ticket.site_id is None:
        return None
    wanted = await stock_for(ticket)
    shown = await offer(visit.form, "part_id", shelf(ticket.site_id))
    if shown.every and not shown.options:
        return None
    first = options.parts((part, True) for part in wanted[:FEW])
    ids = {key for key, _ in first}
    return replace(shown, options=[*first, *(pair for pair in shown.options if pair[0] not in ids)])


def changed_since(ticket: Ticket, form: Form) -> str:
    """Who changed the ticket last, and what, if it changed after the form was shown."""
    seen = form.revision()
    if seen is None or seen == ticket.revision:
        return ""
    happened: list[tuple[datetime, str, dict[str, str]]] = []
    for moved in ticket.status_history[-1:]:
        told = {"who": moved.updated_by.name, "status": render.word(moved.status)}
        happened.append((moved.timestamp, "ticket.changed", told))
    for corrected in ticket.corrections[-1:]:
        told = {"who": corrected.updated_by.name, "fields": ", ".join(map(render.word, corrected.fields))}
        happened.append((corrected.timestamp, "ticket.corrected", told))
    if ticket.assigned_at is not None:
        happened.append((ticket.assigned_at, "ticket.assigned", {"who": ticket.assigned_technician_name}))
    if not happened:
        return ""
    instant, key, told = max(happened, key=lambda one: one[0])
    return render.text(key, ago=render.ago(instant), **told)
