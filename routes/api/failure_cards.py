"""Failure cards: written, reviewed, used, and what repairs taught about them."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Query, Request, Response

from app.ids import Id
from models.enums import ConfidenceLevel, FailureCardStatus, FailureMode, Severity, SubsystemCategory
from models.failure_card import FailureCard
from models.types import ErrorCode, Name, SymptomCode
from routes.api.card_schemas import (
    Approval,
    CardBody,
    CardEdit,
    CardEvidenceOut,
    CardOut,
    CardSummary,
    ConfidenceHistoryOut,
    Deprecation,
    DiffOut,
    Discarding,
    Rejection,
    VersionLine,
    VersionOut,
    content_of_body,
)
from routes.api.deps import CurrentActor, IfMatch, OptionalIfMatch, PageQuery, etag
from routes.api.duplicate_schemas import WrittenCardOut
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from routes.printing import card as printing
from services.knowledge import access, cards, confidence, flags, lifecycle, versions
from services.knowledge.cards import CardFilter

router = api_router("/efi/failure-cards", tag="failure cards")


PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}


async def _load(failure_id: Annotated[Id, Path()]) -> FailureCard:
    return await access.load_visible(failure_id)


CurrentCard = Annotated[FailureCard, Depends(_load)]
"""The card of the path, if the caller may see it; else 404."""


async def _as_read(card: CurrentCard, edition: OptionalIfMatch) -> FailureCard:
    cards.require_edition(card, edition)
    return card


CardAsRead = Annotated[FailureCard, Depends(_as_read)]
"""The card of the path; 412 if the caller sent an If-Match and it has changed since."""
VersionNumber = Annotated[int, Path(ge=1, le=1_000_000)]


async def _filter(
    status: FailureCardStatus | None = None,
    subsystem_category: SubsystemCategory | None = None,
    failure_mode: FailureMode | None = None,
    severity: Severity | None = None,
    confidence_level: ConfidenceLevel | None = None,
    make: Annotated[Name | None, Query(description="As it stands on the card.", examples=["Ather"])] = None,
    model: Annotated[Name | None, Query(description="Needs `make`.", examples=["450X"])] = None,
    error_code: Annotated[ErrorCode | None, Query(description="In any notation.", examples=["p0a80"])] = None,
    symptom_code: SymptomCode | None = None,
    created_by: Id | None = None,
    tag: Name | None = None,
) -> CardFilter:
    return CardFilter(
        status=status,
        subsystem_category=subsystem_category,
        failure_mode=failure_mode,
        severity=severity,
        confidence_level=confidence_level,
        make=make,
        model=model,
        error_code=error_code,
        symptom_code=symptom_code,
        created_by=created_by,
        tag=tag,
    )


def _shown(card: FailureCard, actor: CurrentActor, response: Response) -> CardOut:
    etag(response, card.edition)
    return CardOut.of(card, inside=access.sees_every_card(actor))


async def _compared(card: FailureCard, actor: CurrentActor, response: Response) -> WrittenCardOut:
    etag(response, card.edition)
    return await WrittenCardOut.compared(card, inside=access.sees_every_card(actor))


@router.post("", status_code=201)
async def create_failure_card(body: CardBody, actor: CurrentActor, response: Response) -> WrittenCardOut:
    """Write a card. It is a draft until it has been submitted and an expert has approved it.

    `near_duplicates` tells which cards may describe the same failure.
    """
    return await _compared(await cards.create(content_of_body(body)), actor, response)


@router.get("")
async def list_failure_cards(page: PageQuery, wanted: Annotated[CardFilter, Depends(_filter)]) -> PageOut[CardSummary]:
    """Newest first. Customers, OEMs and manufacturers see approved cards only."""
    return PageOut[CardSummary].of(await cards.list_cards(wanted, **page.as_arguments()))


@router.get("/{failure_id}", responses=problems(404))
async def get_failure_card(card: CurrentCard, actor: CurrentActor, response: Response) -> CardOut:
    """The whole card. Its ETag is what an edit must send as If-Match."""
    return _shown(card, actor, response)


@router.get(
    "/{failure_id}/pdf",
    responses=problems(404)
    | {200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}},
    response_class=Response,
)
async def print_failure_card(card: CurrentCard, request: Request) -> Response:
    """The card on paper: symptoms, diagnosis in numbered steps, repair, and a code that leads to its page."""
    return await printing.answer(request, card, ZoneInfo("UTC"))


@router.put("/{failure_id}", responses=problems(404, 409, 412, 428))
async def update_failure_card(
    card: CurrentCard, body: CardEdit, edition: IfMatch, actor: CurrentActor, response: Response
) -> WrittenCardOut:
    """Replace the content; a real change makes a new version. Technicians edit their own drafts, experts any card.

    `resolves_flags` names flags of the card that the new version settles.
    """
    edited = await flags.fix(
        card, content_of_body(body), edition=edition, summary=body.change_summary, resolves=body.resolves_flags
    )
    return await _compared(edited, actor, response)


@router.post("/{failure_id}/submit", responses=problems(404, 409, 412))
async def submit_failure_card(card: CardAsRead, actor: CurrentActor, response: Response) -> WrittenCardOut:
    """Ask the experts to review a draft."""
    return await _compared(await lifecycle.submit(card), actor, response)


@router.post("/{failure_id}/approve", responses=problems(404, 409, 412))
async def approve_failure_card(
    card: CardAsRead, actor: CurrentActor, response: Response, body: Approval | None = None
) -> CardOut:
    """Make a reviewed card part of the knowledge: the next ticket finds it. Nobody approves what they wrote
    themselves, unless they are the only expert."""
    return _shown(await lifecycle.approve(card, body.reason if body else ""), actor, response)


@router.post("/{failure_id}/reject", responses=problems(404, 409, 412))
async def reject_failure_card(card: CardAsRead, body: Rejection, actor: CurrentActor, response: Response) -> CardOut:
    """Send a card back to its author, with the reason."""
    return _shown(await lifecycle.reject(card, body.reason), actor, response)


@router.post("/{failure_id}/deprecate", responses=problems(404, 409, 412))
async def deprecate_failure_card(
    card: CardAsRead, body: Deprecation, actor: CurrentActor, response: Response
) -> CardOut:
    """Take an approved card out of use. It is matched no more and stays readable."""
    return _shown(await lifecycle.deprecate(card, body.reason, body.successor_id), actor, response)


@router.post("/{failure_id}/discard", responses=problems(404, 409, 412))
async def discard_failure_card(card: CardAsRead, body: Discarding, actor: CurrentActor, response: Response) -> CardOut:
    """Give a draft up: its author, or an expert."""
    return _shown(await lifecycle.discard(card, body.reason), actor, response)


@router.get("/{failure_id}/versions", responses=problems(404))
async def list_failure_card_versions(card: CurrentCard, page: PageQuery) -> PageOut[VersionLine]:
    """Newest first."""
    return PageOut[VersionLine].of(await versions.list_versions(card.id, **page.as_arguments()))


@router.get("/{failure_id}/versions/{version}", responses=problems(404))
async def get_failure_card_version(card: CurrentCard, version: VersionNumber) -> VersionOut:
    """The whole content as it stood in one version."""
    return VersionOut.model_validate(await versions.get_version(card.id, version))


@router.get("/{failure_id}/diff", responses=problems(404))
async def diff_failure_card_versions(
    card: CurrentCard,
    from_version: Annotated[int, Query(alias="from", ge=1, le=1_000_000)],
    to_version: Annotated[
        int | None, Query(alias="to", ge=1, le=1_000_000, description="By default the present version.")
    ] = None,
) -> DiffOut:
    """What changed from one version to another, field by field and element by element."""
    to_version = to_version or card.version
    found = await versions.diff(card.id, from_version, to_version)
    return DiffOut.model_validate(
        {"failure_id": card.id, "from_version": from_version, "to_version": to_version, "differences": found}
    )


@router.get("/{failure_id}/evidence", responses=problems(404))
async def get_failure_card_evidence(card: CurrentCard) -> CardEvidenceOut:
    """How often the fix works, overall and by vehicle, as of now."""
    pooled, variants = await confidence.evidence_of(card.id)
    return CardEvidenceOut.model_validate({"failure_id": card.id, "pooled": pooled, "variants": variants})


@router.get("/{failure_id}/history", responses=problems(404))
async def get_failure_card_history(card: CurrentCard) -> ConfidenceHistoryOut:
    """Every change of the confidence score, with event, ticket and reason."""
    return ConfidenceHistoryOut(
        failure_id=card.id,
        confidence_score=card.confidence_score,
        confidence_level=card.confidence_level,
        items=card.confidence_history[::-1],
    )
