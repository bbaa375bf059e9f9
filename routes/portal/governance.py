"""Flags on cards, and proposed edits that settle them: what people say is the matter, and what experts make of it."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid
from app.ids import Id
from models.governance import CardFlag, CardProposal, FlagKind, FlagStatus, ProposalStatus
from routes.portal import render
from routes.portal.health import SHOWN, list_page
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import Visit, see_other
from services.knowledge import cards, flags, proposals
from services.knowledge.access import load_visible
from services.knowledge.diff import Difference
from services.knowledge.proposals import Comparison
from services.knowledge.three_way import DERIVED

router = page_router()

PROPOSALS_SHOWN = 10


async def _load_flag(flag_id: Annotated[Id, Path()]) -> CardFlag:
    return await flags.get(flag_id)


async def _load_proposal(proposal_id: Annotated[Id, Path()]) -> CardProposal:
    return await proposals.get(proposal_id)


CurrentFlag = Annotated[CardFlag, Depends(_load_flag)]
CurrentProposal = Annotated[CardProposal, Depends(_load_proposal)]


@router.get("/health/flags")
async def list_flags(visit: CurrentVisit) -> Response:
    """Open ones by default, newest first."""
    status, kind = flag_filter(visit)
    page = await flags.list_flags(status=status, kind=kind, limit=SHOWN, after=visit.after)
    return list_page(
        visit,
        "flags.html",
        page,
        titles=await cards.titles(one.card_id for one in page.items),
        state=status,
        kind=kind or "",
        statuses=list(FlagStatus),
        kinds=list(FlagKind),
    )


def flag_filter(visit: Visit) -> tuple[FlagStatus, FlagKind | None]:
    """What the address asks for."""
    return visit.asked(FlagStatus, "status") or FlagStatus.open, visit.asked(FlagKind, "kind")


@router.get("/health/flags/{flag_id}")
async def show_flag(visit: CurrentVisit, flag: CurrentFlag) -> Response:
    return await _flag_page(visit, flag)


async def _flag_page(visit: Visit, flag: CardFlag) -> Response:
    return visit.page(
        "flag.html",
        flag=flag,
        card=await load_visible(flag.card_id),
        proposals=(await proposals.list_proposals(flag_id=flag.id, limit=PROPOSALS_SHOWN)).items,
    )


@router.post("/health/flags/{flag_id}")
async def settle_flag(visit: CurrentVisit, flag: CurrentFlag) -> Response:
    """Settle it by the version that put it right, or dismiss it with the reason."""
    form = visit.form

    async def work() -> Response:
        fresh = await flags.get(flag.id)
        if form.get("step") == "resolve":
            version = form.number("version")
            if version is None:
                raise Invalid.field("version", render.text("form.count"))
            await flags.resolve(fresh, version, form.said("text"))
        else:
            await flags.dismiss(fresh, form.said("reason", needed=True))
        return see_other("/health/flags")

    async def again() -> Response:
        return await _flag_page(visit, await flags.get(flag.id))

    return await submit(visit, work, again)


@router.get("/health/proposals")
async def list_proposals(visit: CurrentVisit) -> Response:
    """Open ones by default, newest first."""
    status = proposal_filter(visit)
    page = await proposals.list_proposals(status=status, limit=SHOWN, after=visit.after)
    return list_page(
        visit,
        "proposals.html",
        page,
        titles=await cards.titles(one.card_id for one in page.items),
        state=status,
        statuses=list(ProposalStatus),
    )


def proposal_filter(visit: Visit) -> ProposalStatus:
    """What the address asks for."""
    return visit.asked(ProposalStatus, "status") or ProposalStatus.open


@router.get("/health/proposals/{proposal_id}")
async def show_proposal(visit: CurrentVisit, proposal: CurrentProposal) -> Response:
    return await _proposal_page(visit, proposal)


async def _proposal_page(visit: Visit, proposal: CardProposal) -> Response:
    comparison = await proposals.compare(proposal) if proposal.status is ProposalStatus.open else None
    return visit.page(
        "proposal.html",
        proposal=proposal,
        card=await load_visible(proposal.card_id),
        flag=await flags.get(proposal.flag_id),
        comparison=comparison,
        changes=_told(comparison) if comparison is not None else [],
    )


def _told(comparison: Comparison) -> list[Difference]:
    """What the proposal changes, without what follows from it by itself."""
    return [one for one in comparison.differences if not one.field.startswith(tuple(DERIVED))]


@router.post("/health/proposals/{proposal_id}")
async def decide(visit: CurrentVisit, proposal: CurrentProposal) -> Response:
    """Make it the card's next version, or turn it down with the reason.

    Fields that card and proposal have both changed are chosen one by one.
    """
    form = visit.form

    async def work() -> Response:
        fresh = await proposals.get(proposal.id)
        if form.get("decision") == "accept":
            said = form.said("reason")
            seen = await proposals.compare(fresh)
            content = None
            if seen.moved_on:
                content = await proposals.combined(fresh, _kept(visit, seen.conflicts))
            await proposals.accept(fresh, content=content, edition=form.revision(), reason=said)
        else:
            await proposals.decline(fresh, form.said("reason", needed=True))
        return see_other("/health/proposals")

    async def again() -> Response:
        return await _proposal_page(visit, await proposals.get(proposal.id))

    return await submit(visit, work, again)


def _kept(visit: Visit, disputed: list[str]) -> set[str]:
    """The disputed fields in which the card stays as it is. Raises Invalid beside each that was not decided."""
    undecided = [name for name in disputed if visit.form.get(name) not in ("present", "proposed")]
    if undecided:
        errors = [{"field": name, "rule": render.text("proposal.choose")} for name in undecided]
        raise Invalid(render.text("proposal.choose"), errors=errors)
    return {name for name in disputed if visit.form.get(name) == "present"}
