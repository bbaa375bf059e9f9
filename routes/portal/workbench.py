"""The lists of tickets: the work that waits, most urgent first, and everything there ever was.

What stands in the list is drawn once for all who are shown the same: `_work` knows nothing but its arguments, so that
nobody can be shown what another may see. What is drawn around it (who is here, their token) is drawn for each visit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup
from starlette.responses import Response

from app import clock
from app.security import Role
from models.enums import DueState, TicketStatus
from models.ticket import Ticket
from routes.portal import render
from routes.portal.http import CurrentVisit, page_router
from routes.portal.tickets import STAFF, ticket_filter
from routes.portal.visit import Visit
from services.repairs import board, sla, tickets
from services.repairs.board import Listing, Order, Row, Wanted

router = page_router()

SHOWN = 50
"""Tickets on one page: what a phone loads in good time."""
LATE = (DueState.overdue, DueState.due_soon)
DRAWN_KEPT = 256


@dataclass(frozen=True, slots=True)
class Line:
    """A ticket in a list, and how it stands against its time."""

    ticket: Row | Ticket
    due_at: datetime | None
    due: DueState | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for, and the views that the visitor has."""

    view: str
    views: tuple[str, ...]
    order: Order = Order.urgency
    due: DueState | None = None
    page: int = 1

    def query(self, **other: object) -> dict[str, object]:
        """The address of this list but for `other`."""
        order = self.order if self.order is not Order.urgency else ""
        page = self.page if self.page > 1 else ""
        return {"view": self.view, "order": order, "due": self.due or "", "page": page, **other}


@dataclass(frozen=True, slots=True)
class Drawn:
    """`digest` tells one content from another."""

    html: Markup
    digest: str


@router.get("/tickets")
async def list_tickets(visit: CurrentVisit) -> Response:
    asked = asked_of(visit)
    drawn = await _everything(visit, asked) if asked.view == "all" else await _work_of(visit, asked)
    return visit.page("tickets.html", content=drawn.digest, list=drawn.html)


def asked_of(visit: Visit) -> Asked:
    """What the address asks for; the visitor's first view where it names none."""
    given = visit.request.query_params
    views = _views(visit)
    view, order, due, page = (given.get(name, "") for name in ("view", "order", "due", "page"))
    return Asked(
        view if view in views else views[0],
        views,
        Order(order) if order in list(Order) else Order.urgency,
        DueState(due) if due in LATE else None,
        int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1,
    )


def _views(visit: Visit) -> tuple[str, ...]:
    if not visit.has(*STAFF):
        return ("all",)
    return ("mine", "open", "all") if visit.has(Role.technician) else ("open", "all")


async def work_asked_for(visit: Visit, asked: Asked) -> Listing:
    """The tickets in work of a view other than all."""
    mine = asked.view == "mine"
    return await board.list_active(
        Wanted(
            status=None if mine else TicketStatus.open,
            technician_id=visit.actor.id if mine else None,
            due=asked.due,
            order=asked.order,
        )
    )


async def _work_of(visit: Visit, asked: Asked) -> Drawn:
    listing = await work_asked_for(visit, asked)
    start = (max(asked.page, 1) - 1) * SHOWN
    rows = listing.rows[start : start + SHOWN]
    return _work(asked, rows, len(listing.rows), listing.overdue, listing.due_soon, listing.at)


@lru_cache(maxsize=DRAWN_KEPT)
def _work(asked: Asked, rows: tuple[Row, ...], total: int, overdue: int, due_soon: int, at: datetime) -> Drawn:
    """The list as it looks at the instant `at`."""
    lines = [Line(row, sla.due_at(row), sla.state_at(row, at)) for row in rows]
    last = (total + SHOWN - 1) // SHOWN
    return _drawn(asked, lines, at, total=total, counts={"overdue": overdue, "due_soon": due_soon}, last=last)


async def _everything(visit: Visit, asked: Asked) -> Drawn:
    """All tickets, newest first, the finished ones too."""
    wanted = ticket_filter(visit)
    page = await tickets.list_tickets(wanted, limit=SHOWN, after=visit.request.query_params.get("after"))
    now = clock.now()
    lines = [Line(ticket, sla.due_at(ticket), sla.state(ticket, now)) for ticket in page.items]
    return _drawn(asked, lines, now, only=wanted.status or "", next=page.next)


def _drawn(asked: Asked, lines: Sequence[Line], at: datetime, **more: object) -> Drawn:
    shown = {"total": len(lines), "counts": {}, "last": 1, "only": "", "next": None} | more
    html = render.page("ticket_list.html", asked=asked, lines=lines, at=at, orders=list(Order), late=LATE, **shown)
    return Drawn(Markup(html), hashlib.sha256(html.encode()).hexdigest())  # noqa: S704 - escaped by the template
