"""The health of the knowledge: what waits for somebody, which cards should be read again and why; and one's credit."""

from typing import Any

from starlette.responses import Response

from models.enums import FailureCardStatus, SubsystemCategory
from models.failure_card import FailureCard
from models.governance import DueReason, FlagStatus
from models.incident import IncidentStatus
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import CurrentCard
from routes.portal.visit import Visit, see_other
from services.diagnosis.guided import overrides
from services.knowledge import credit, flags, health, health_summary, use_review
from services.knowledge.access import load_visible
from services.knowledge.cards import require_edition
from services.paging import Page
from services.workflows.patterns import incidents

router = page_router()

SHOWN = 30
DAYS = 90
FLAGS_SHOWN = 20
SECTIONS = (
    ("overview", "/health"),
    ("due", "/health/due"),
    ("flags", "/health/flags"),
    ("proposals", "/health/proposals"),
    ("phrases", "/health/phrases"),
    ("incidents", "/health/incidents"),
)


def list_page(visit: Visit, template: str, page: Page[Any], **context: Any) -> Response:
    """One of the lists of what waits for somebody (`health_list.html`)."""
    return visit.page(template, sections=SECTIONS, rows=page.items, next=page.next, **context)


@router.get("/health")
async def overview(visit: CurrentVisit) -> Response:
    emerging = await incidents.list_incidents(status=IncidentStatus.open, limit=SHOWN)
    return visit.page(
        "health.html",
        sections=SECTIONS,
        summary=await health_summary.summary(days=DAYS),
        incidents=f"{len(emerging.items)}{'+' if emerging.next else ''}",
        days=DAYS,
    )


@router.get("/health/due")
async def list_due(visit: CurrentVisit) -> Response:
    """Cards that somebody should read again."""
    asked = due_filter(visit)
    page = await health.list_due(**asked, limit=SHOWN, after=visit.after)
    return list_page(
        visit,
        "due.html",
        page,
        reason=asked["reason"] or "",
        subsystem=asked["subsystem_category"] or "",
        reasons=list(DueReason),
        subsystems=list(SubsystemCategory),
    )


def due_filter(visit: Visit) -> dict[str, DueReason | SubsystemCategory | None]:
    """What the address asks for, as `health.list_due` takes it."""
    return {
        "reason": visit.asked(DueReason, "reason"),
        "subsystem_category": visit.asked(SubsystemCategory, "subsystem"),
    }


@router.get("/health/due/{card_id}")
async def show_due(visit: CurrentVisit, card: CurrentCard) -> Response:
    return await _page(visit, card)


async def _page(visit: Visit, card: FailureCard) -> Response:
    row = await health.health_of(card.id)
    raised = await flags.list_flags(card_id=card.id, status=FlagStatus.open, limit=FLAGS_SHOWN)
    return visit.page(
        "due_card.html",
        card=card,
        notes=row.notes if row is not None else [],
        by_use=await use_review.by_use(card),
        passed_over=await overrides.on_card(card),
        flags=raised.items,
        confirmable=card.status is FailureCardStatus.approved,
    )


@router.post("/health/due/{card_id}")
async def confirm_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    """Say that the card, as it was shown, is still right."""

    async def work() -> Response:
        fresh = await load_visible(card.id)
        require_edition(fresh, visit.form.revision())
        await health.reviewed(fresh)
        return see_other("/health/due")

    async def again() -> Response:
        return await _page(visit, await load_visible(card.id))

    return await submit(visit, work, again)


@router.get("/credit")
async def show_credit(visit: CurrentVisit) -> Response:
    """What came of one's own contributions; nobody else can ask for it."""
    return visit.page("credit.html", credit=await credit.mine())
