"""Flag it or fix it: what is the matter with a card, and proposed edits that settle it."""

from typing import Annotated

from fastapi import Depends, Path

from app.ids import Id
from models.governance import CardFlag, CardProposal, FlagKind, FlagStatus, ProposalStatus
from routes.api.card_schemas import Rejection, content_of_body
from routes.api.deps import OptionalIfMatch, PageQuery
from routes.api.failure_cards import CurrentCard
from routes.api.governance_schemas import (
    Acceptance,
    Dismissal,
    FlagIn,
    FlagOut,
    FlagReceived,
    ProposalIn,
    ProposalLine,
    ProposalOut,
    Resolving,
)
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from services.knowledge import access, flags, proposals

router = api_router("/efi", tag="card flags")


async def _load_flag(flag_id: Annotated[Id, Path()]) -> CardFlag:
    flag = await flags.get(flag_id)
    await access.load_visible(flag.card_id)
    return flag


async def _load_proposal(proposal_id: Annotated[Id, Path()]) -> CardProposal:
    return await proposals.get(proposal_id)


CurrentFlag = Annotated[CardFlag, Depends(_load_flag)]
"""The flag of the path, if the caller may see its card."""
CurrentProposal = Annotated[CardProposal, Depends(_load_proposal)]
"""The proposal of the path, if the caller made it or decides about it."""


@router.post("/failure-cards/{failure_id}/flags", status_code=201, responses=problems(404, 409))
async def flag_failure_card(card: CurrentCard, body: FlagIn) -> FlagReceived:
    """Say what is the matter with a card. Flags of the same kind gather in one until it is settled."""
    flag = await flags.flag_card(card, body.kind, body.text, version=body.card_version, ticket_id=body.ticket_id)
    return FlagReceived.model_validate(flag)


@router.get("/failure-cards/{failure_id}/flags", responses=problems(404))
async def list_flags_of_failure_card(
    card: CurrentCard, page: PageQuery, status: FlagStatus | None = None
) -> PageOut[FlagOut]:
    """Newest first."""
    return PageOut[FlagOut].of(await flags.list_flags(card_id=card.id, status=status, **page.as_arguments()))


@router.get("/card-flags")
async def list_flags(
    page: PageQuery, status: FlagStatus = FlagStatus.open, kind: FlagKind | None = None
) -> PageOut[FlagOut]:
    """Flags on all cards, newest first."""
    return PageOut[FlagOut].of(await flags.list_flags(status=status, kind=kind, **page.as_arguments()))


@router.get("/card-flags/{flag_id}", responses=problems(404))
async def get_flag(flag: CurrentFlag) -> FlagOut:
    return FlagOut.model_validate(flag)


@router.post("/card-flags/{flag_id}/resolve", responses=problems(404, 409))
async def resolve_flag(flag: CurrentFlag, body: Resolving) -> FlagOut:
    """Settle a flag by the version that put it right: experts, and the author of a draft."""
    return FlagOut.model_validate(await flags.resolve(flag, body.version, body.text))


@router.post("/card-flags/{flag_id}/dismiss", responses=problems(404, 409))
async def dismiss_flag(flag: CurrentFlag, body: Dismissal) -> FlagOut:
    """Settle a flag without a change, with the reason: experts, and the author of a draft."""
    return FlagOut.model_validate(await flags.dismiss(flag, body.reason))


@router.post("/card-flags/{flag_id}/proposals", status_code=201, responses=problems(404, 409))
async def propose_edit(flag: CurrentFlag, body: ProposalIn) -> ProposalLine:
    """Propose how the card should read, to settle the flag. An expert accepts it, in the proposer's name, or not."""
    made = await proposals.propose(flag, content_of_body(body.content), body.reason, body.base_version)
    return ProposalLine.model_validate(made)


@router.get("/card-proposals")
async def list_proposals(
    page: PageQuery,
    status: ProposalStatus | None = None,
    failure_id: Id | None = None,
    flag_id: Id | None = None,
) -> PageOut[ProposalLine]:
    """Newest first; experts and admins see all, others their own."""
    found = await proposals.list_proposals(card_id=failure_id, flag_id=flag_id, status=status, **page.as_arguments())
    return PageOut[ProposalLine].of(found)


async def _shown(proposal: CardProposal) -> ProposalOut:
    waiting = proposal.status is ProposalStatus.open
    comparison = await proposals.compare(proposal) if waiting else None
    return ProposalOut.model_validate({**dict(proposal), "comparison": comparison})


@router.get("/card-proposals/{proposal_id}", responses=problems(404))
async def get_proposal(proposal: CurrentProposal) -> ProposalOut:
    """The proposal beside the card as it is; all three versions where the card has moved on."""
    return await _shown(proposal)


@router.post("/card-proposals/{proposal_id}/accept", responses=problems(404, 409, 412))
async def accept_proposal(
    proposal: CurrentProposal, edition: OptionalIfMatch, body: Acceptance | None = None
) -> ProposalOut:
    """Make it the card's next version and settle its flag. If-Match takes the card's ETag.

    Where the card has moved on, the proposal's own changes are carried over; if both changed the same field, 409
    `card_moved_on` asks for the content that is to stand.
    """
    given = body or Acceptance()
    content = content_of_body(given.content) if given.content else None
    decided, _ = await proposals.accept(proposal, content=content, edition=edition, reason=given.reason)
    return await _shown(decided)


@router.post("/card-proposals/{proposal_id}/decline", responses=problems(404, 409))
async def decline_proposal(proposal: CurrentProposal, body: Rejection) -> ProposalOut:
    """Turn it down, with the reason; its flag stays open."""
    return await _shown(await proposals.decline(proposal, body.reason))


@router.post("/card-proposals/{proposal_id}/withdraw", responses=problems(404, 409))
async def withdraw_proposal(proposal: CurrentProposal) -> ProposalOut:
    """Take one's own proposal back."""
    return await _shown(await proposals.withdraw(proposal))
