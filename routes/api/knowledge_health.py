"""The health of the knowledge: cards due for review, figures of the whole, and credit for those who wrote it."""

from typing import Annotated

from fastapi import Path, Query, Response

from app.ids import Id
from models.enums import SubsystemCategory
from models.governance import DueReason
from routes.api.card_schemas import CardOut
from routes.api.deps import PageQuery, etag
from routes.api.failure_cards import CardAsRead, CurrentCard
from routes.api.governance_schemas import (
    CardHealthOut,
    CreditOut,
    DueCardOut,
    HealthSummaryOut,
    SiteCreditOut,
)
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from services.diagnosis.guided import overrides
from services.knowledge import credit, health, health_summary, use_review

router = api_router("", tag="knowledge health")


@router.get("/efi/knowledge-health")
async def get_knowledge_health(
    days: Annotated[int, Query(ge=1, le=366, description="The period: so many days back from now.")] = 90,
) -> HealthSummaryOut:
    """Cards by state, due for review, flagged; drafts that wait; how far resolved tickets are covered by cards."""
    return HealthSummaryOut.model_validate(await health_summary.summary(days=days))


@router.get("/efi/knowledge-health/due")
async def list_due_cards(
    page: PageQuery, reason: DueReason | None = None, subsystem_category: SubsystemCategory | None = None
) -> PageOut[DueCardOut]:
    """Cards that somebody should read again, with the reasons."""
    found = await health.list_due(reason=reason, subsystem_category=subsystem_category, **page.as_arguments())
    return PageOut[DueCardOut].of(found)


@router.get("/efi/failure-cards/{failure_id}/health", responses=problems(404))
async def get_failure_card_health(card: CurrentCard) -> CardHealthOut:
    """By how many people and workshops the card was confirmed in use, how often people relied on it without a check
    that would decide, and whether it is due for review."""
    row = await health.health_of(card.id)
    return CardHealthOut.model_validate(
        {
            "failure_id": card.id,
            "reviewed_by_use": await use_review.by_use(card),
            "last_reviewed_at": card.last_reviewed_at,
            "open_flags": card.open_flags,
            "due": row is not None and row.due,
            "notes": row.notes if row is not None else [],
            "passed_over": await overrides.on_card(card),
        }
    )


@router.post("/efi/failure-cards/{failure_id}/reviewed", responses=problems(404, 409, 412))
async def confirm_failure_card(card: CardAsRead, response: Response) -> CardOut:
    """Say that a card was read and is still right: no new version. Open flags stay."""
    seen = await health.reviewed(card)
    etag(response, seen.edition)
    return CardOut.of(seen, inside=True)


@router.get("/users/me/credit")
async def get_my_credit() -> CreditOut:
    """What came of one's own contributions. Nobody else can ask for it, and nobody is ranked."""
    return CreditOut.model_validate(await credit.mine())


@router.get("/sites/{site_id}/credit", responses=problems(404))
async def get_site_credit(site_id: Annotated[Id, Path()]) -> SiteCreditOut:
    """The same for all people of a site together, if five or more of them contributed."""
    return SiteCreditOut.model_validate(await credit.of_site(site_id))
