"""Phrases that recur in tickets and that the symptom library does not know: taken up, added to one, dropped."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid, NotFound
from app.ids import Id
from models.enums import Severity, SubsystemCategory
from models.symptom import SymptomContent
from models.symptom_candidate import SymptomCandidate
from models.ticket import Ticket
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.health import SHOWN, list_page
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import Visit, see_other
from services.diagnosis import matches
from services.knowledge import candidates, symptoms
from services.repairs.visibility import load_visible

router = page_router()

SYMPTOMS_OFFERED = 100
FIELDS = ("symptom_code", "name", "description", "category", "severity")


async def _load(candidate_id: Annotated[Id, Path()]) -> SymptomCandidate:
    return await candidates.get(candidate_id)


CurrentCandidate = Annotated[SymptomCandidate, Depends(_load)]


@router.get("/health/phrases")
async def list_phrases(visit: CurrentVisit) -> Response:
    """Those of most tickets first."""
    page = await candidates.list_candidates(matches.serving().wordings, limit=SHOWN, after=visit.after)
    return list_page(visit, "phrases.html", page)


@router.get("/health/phrases/{candidate_id}")
async def show_phrase(visit: CurrentVisit, candidate: CurrentCandidate) -> Response:
    return await _page(visit, candidate)


async def _page(visit: Visit, candidate: SymptomCandidate) -> Response:
    listed = candidates.shown(candidate, candidate.tickets)
    offered = await symptoms.list_symptoms(category=listed.subsystem, limit=SYMPTOMS_OFFERED)
    return visit.page(
        "phrase.html",
        candidate=candidate,
        listed=listed,
        latest=[found for one in reversed(candidate.ticket_ids) if (found := await _ticket(one)) is not None],
        offered=sorted(offered.items, key=lambda one: one.name.casefold()),
        categories=list(SubsystemCategory),
        severities=list(Severity),
    )


async def _ticket(ticket_id: str) -> Ticket | None:
    try:
        return await load_visible(ticket_id)
    except NotFound:
        return None


@router.post("/health/phrases/{candidate_id}")
async def decide(visit: CurrentVisit, candidate: CurrentCandidate) -> Response:
    """Make a symptom of it, a wording of a symptom, or nothing: one page, told apart by its buttons."""
    form = visit.form

    async def work() -> Response:
        fresh = await candidates.get(candidate.id)
        match form.get("step"):
            case "accept":
                await candidates.accept(fresh, read(SymptomContent, _values(form)))
            case "merge":
                await _merge(fresh, form.get("into").upper())
            case "drop":
                await candidates.drop(fresh, form.said("reason"))
            case other:
                raise Invalid.field("step", render.text("phrase.no_step"), other)
        return see_other("/health/phrases")

    async def again() -> Response:
        return await _page(visit, await candidates.get(candidate.id))

    return await submit(visit, work, again)


def _values(form: Form) -> dict[str, object]:
    values: dict[str, object] = {name: form.get(name) for name in FIELDS}
    code = form.get("symptom_code").upper()
    return values | {"symptom_code": code, "safety_critical": form.checked("safety_critical")}


async def _merge(candidate: SymptomCandidate, symptom_code: str) -> None:
    try:
        await candidates.merge(candidate, symptom_code)
    except NotFound:
        raise Invalid.field("into", render.text("phrase.no_symptom"), symptom_code) from None
    except Invalid as error:
        # The symptom has no room for more wordings; the form has no field of that name.
        raise Invalid.field("into", error.detail, symptom_code) from None
