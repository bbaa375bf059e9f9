"""Saying what is the matter with a card, and proposing how it should read: for all who read it."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid, NotFound
from app.ids import Id
from models.governance import CardFlag, FlagKind
from routes.portal import editor, render
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import STAFF, CurrentCard, card_page
from routes.portal.visit import see_other
from services.knowledge import flags, proposals, versions
from services.knowledge.access import load_visible

router = page_router()


async def _load(visit: CurrentVisit, card: CurrentCard, flag_id: Annotated[Id, Path()]) -> CardFlag:
    flag = await flags.get(flag_id)
    if flag.card_id != card.id or not (visit.has(*STAFF) or visit.actor.id in flag.reporter_ids):
        raise NotFound.of("flag", flag_id)
    return flag


CurrentFlag = Annotated[CardFlag, Depends(_load)]
"""The flag of the path, if it is on the card of the path; makers propose for those that they raised."""


@router.post("/cards/{card_id}/flags")
async def flag_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    """Raise a flag, in one's own words; one of the two buttons goes on to a proposed edit."""
    form = visit.form

    async def work() -> Response:
        if form.get("kind") not in list(FlagKind):
            raise Invalid.field("kind", render.text("form.required"))
        said = form.said("text", needed=True)
        fresh = await load_visible(card.id)
        flag = await flags.flag_card(fresh, FlagKind(form.get("kind")), said, version=form.revision())
        if form.get("step") == "propose":
            return see_other(f"/cards/{card.id}/flags/{flag.id}/propose")
        return see_other(f"/cards/{card.id}", {"said": "flag"})

    async def again() -> Response:
        return await card_page(visit, await load_visible(card.id))

    return await submit(visit, work, again)


@router.get("/cards/{card_id}/flags/{flag_id}/propose")
async def show_proposing(visit: CurrentVisit, card: CurrentCard, flag: CurrentFlag) -> Response:
    """The card in fields, made out of its present version."""
    return editor.editor_page(visit, card, editor.shown_nodes(card), revision=card.version, flag=flag)


@router.post("/cards/{card_id}/flags/{flag_id}/propose")
async def propose(visit: CurrentVisit, card: CurrentCard, flag: CurrentFlag) -> Response:
    """Propose the edit, or carry out one of the editor's own buttons. It stays made out of the version that the form
    began with: what others change meanwhile is not taken back."""
    form = visit.form
    nodes = editor.arranged_nodes(form)
    version = form.revision() or card.version

    if form.get("step") != "save":
        drawing = editor.drawing_of(form, nodes)
        return editor.editor_page(visit, card, nodes, revision=version, drawing=drawing, flag=flag)

    async def work() -> Response:
        base = (await versions.get_version(card.id, version)).content
        content = editor.typed_content(form, nodes, base)
        await proposals.propose(await flags.get(flag.id), content, form.said("reason", needed=True), version)
        return see_other(f"/cards/{card.id}", {"said": "proposal"})

    async def again() -> Response:
        return editor.editor_page(visit, card, nodes, revision=version, flag=flag)

    return await submit(visit, work, again)
