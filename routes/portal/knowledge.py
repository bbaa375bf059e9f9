"""The knowledge: searching it, one card with its tree and evidence, and what changed from version to version."""

from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Unavailable
from app.ids import Id
from app.security import Role
from matching import Candidate, Case
from models.enums import FailureCardStatus, SubsystemCategory
from models.failure_card import FailureCard
from models.governance import FlagKind, FlagStatus
from routes.portal.http import CurrentVisit, page_router
from routes.portal.visit import Visit
from routes.printing import card as printing
from services.diagnosis import duplicates, matches
from services.diagnosis.duplicates import NearDuplicate
from services.diagnosis.matches import MatchOptions
from services.knowledge import cards, confidence, flags, versions
from services.knowledge.access import is_curator, load_visible, sees_every_card
from services.knowledge.cards import CardFilter

router = page_router()

FOUND = 30
PAGES = 10
"""Of what a question finds: beyond, another question leads further."""
VARIANTS_SHOWN = 30
VERSIONS_SHOWN = 10
LONGEST_QUERY = 500
STAFF = (Role.technician, Role.expert, Role.admin)
FLAG_KINDS = [kind for kind in FlagKind if kind is not FlagKind.modified_in_use]
"""What people say of a card; that one was bent in use is what repairs say."""
E = TypeVar("E", bound=StrEnum)


async def _load(card_id: Annotated[Id, Path()]) -> FailureCard:
    return await load_visible(card_id)


CurrentCard = Annotated[FailureCard, Depends(_load)]


@router.get("/knowledge")
async def knowledge(visit: CurrentVisit) -> Response:
    """Cards that answer the question best; without a question the newest ones."""
    asked = visit.request.query_params
    query = asked.get("q", "").strip()[:LONGEST_QUERY]
    every_state = sees_every_card(visit.actor)
    subsystem = _member(SubsystemCategory, asked.get("subsystem"))
    state = _member(FailureCardStatus, asked.get("state")) if every_state else None
    values: dict[str, object] = {"query": query, "subsystem": subsystem or "", "every_state": every_state}
    values |= {"state": state or "", "subsystems": list(SubsystemCategory), "states": list(FailureCardStatus)}
    if query:
        place = min(_number(asked.get("page"), 1), PAGES)
        found, more = await search(query, subsystem, state, drafts=every_state, place=place)
        values |= {"first": (place - 1) * FOUND + 1, "following": place + 1 if more and place < PAGES else None}
        return visit.page("knowledge.html", found=found, cards=[], next=None, **values)
    wanted = CardFilter(status=state, subsystem_category=subsystem)
    page = await cards.list_cards(wanted, limit=FOUND, after=asked.get("after"))
    return visit.page("knowledge.html", found=[], cards=page.items, next=page.next, **values)


def _member(kind: type[E], value: str | None) -> E | None:
    return kind(value) if value in list(kind) else None


async def search(
    query: str,
    subsystem: SubsystemCategory | None = None,
    state: FailureCardStatus | None = None,
    *,
    drafts: bool,
    place: int = 1,
) -> tuple[list[Candidate], bool]:
    """One page of the cards that answer a question, best first, and whether there are more."""
    drafts = drafts and state is not FailureCardStatus.approved
    # Those of one state are picked out of what is found: as many are asked for as all pages hold.
    limit = FOUND * (place if state in (None, FailureCardStatus.approved) else PAGES) + 1
    options = MatchOptions(limit=limit, include_drafts=drafts)
    found = list((await matches.match(Case(text=query, subsystem=subsystem), options)).result.candidates)
    if state is not None:
        states = await cards.states_of([one.card_id for one in found])
        found = [one for one in found if states.get(one.card_id) is state]
    return found[(place - 1) * FOUND : place * FOUND], len(found) > place * FOUND


@router.get("/cards/{card_id}")
async def show_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    return await card_page(visit, card)


async def card_page(visit: Visit, card: FailureCard) -> Response:
    """The card with all that is known of it, and the form to say what is the matter with it."""
    raised = await flags.list_flags(card_id=card.id, status=FlagStatus.open) if visit.has(*STAFF) else None
    everywhere, by_variant = await confidence.evidence_of(card.id)
    own_draft = card.status is FailureCardStatus.draft and card.created_by == visit.actor.id
    undecided = card.status in (FailureCardStatus.draft, FailureCardStatus.pending_review)
    return visit.page(
        "card.html",
        card=card,
        near=await near_duplicates(card) if undecided else None,
        mergeable=card.status is not FailureCardStatus.deprecated and is_curator(visit.actor),
        everywhere=everywhere,
        by_variant=[one for one in by_variant if one.outcomes or one.ruled_out][:VARIANTS_SHOWN],
        editable=card.status is not FailureCardStatus.deprecated and (is_curator(visit.actor) or own_draft),
        curator=is_curator(visit.actor),
        flags=raised.items if raised is not None else [],
        kinds=FLAG_KINDS,
        history=await versions.list_versions(card.id, limit=VERSIONS_SHOWN) if visit.has(*STAFF) else None,
    )


async def near_duplicates(card: FailureCard) -> list[NearDuplicate]:
    """Cards that may describe the same failure, none while matching is away: the page is worth showing without."""
    try:
        return await duplicates.near_duplicates(card)
    except Unavailable:
        return []


@router.get("/cards/{card_id}/pdf")
async def print_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    """The card on paper."""
    return await printing.answer(visit.request, card, visit.zone)


@router.get("/cards/{card_id}/versions")
async def list_versions(visit: CurrentVisit, card: CurrentCard) -> Response:
    """The whole history, page by page."""
    page = await versions.list_versions(card.id, after=visit.request.query_params.get("after"))
    return visit.page("versions.html", card=card, versions=page.items, next=page.next)


@router.get("/cards/{card_id}/compare")
async def compare(visit: CurrentVisit, card: CurrentCard) -> Response:
    """What changed between two versions; by default with the last change."""
    asked = visit.request.query_params
    new = _number(asked.get("new"), card.version)
    old = _number(asked.get("old"), max(1, new - 1))
    return visit.page("compare.html", card=card, old=old, new=new, changes=await versions.diff(card.id, old, new))


def _number(given: str | None, default: int) -> int:
    return max(1, int(given)) if given and given.isascii() and given.isdigit() and len(given) < 7 else default
