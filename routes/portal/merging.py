"""Merging two cards: which one to merge into, then field by field what the survivor takes over.

Boxes stand for the entries of lists and for texts, which can stand below each other; single values are a choice of one.
A field that both cards fill alike is not asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from app.errors import Conflict, Invalid
from app.ids import PREFIXES
from models.failure_card import CardContent, FailureCard
from routes.portal import render
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import LONGEST_QUERY, CurrentCard, near_duplicates, search
from routes.portal.visit import Visit, own_path, see_other
from services.knowledge import merging
from services.knowledge.access import load_visible
from services.knowledge.cards import require_edition
from services.knowledge.combining import LISTS, NUMBERED, SINGLE, TEXTS, joined, numbered, validated
from services.knowledge.content import DRAFT_MARK, content_of

router = page_router()

KEPT, RETIRED = "kept", "retired"
ASKED = (*SINGLE, *TEXTS, *(field for field in LISTS if field != "keywords"))
"""Keywords follow from the rest, unless the survivor's author has chosen them: these stay."""


@dataclass(frozen=True, slots=True)
class Box:
    """One value that can be ticked; `text` in lines as people read it, `both` if the other card says it, too."""

    value: str
    text: str
    checked: bool
    both: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One field in which the cards differ. `type` is checkbox or radio."""

    field: str
    type: str
    kept: list[Box]
    retired: list[Box]


@router.get("/cards/{card_id}/merge")
async def choose(visit: CurrentVisit, card: CurrentCard) -> Response:
    """The cards that it could be merged into; with `into`, both side by side."""
    asked = visit.request.query_params
    into = asked.get("into", "").strip()
    if (query := asked.get("q", "").strip()).startswith(f"{PREFIXES['card']}_"):
        into = query
    if not into:
        return await _candidates(visit, card)
    try:
        return _page(visit, card, await merging.survivor_of(card, into))
    except (Invalid, Conflict) as error:
        visit.form.refuse(error)
        response = await _candidates(visit, card)
        response.status_code = error.status
        return response


@router.post("/cards/{card_id}/merge")
async def merge(visit: CurrentVisit, card: CurrentCard) -> Response:
    form = visit.form
    into = form.get("into")

    async def work() -> Response:
        fresh = await load_visible(card.id)
        kept = await merging.survivor_of(fresh, into)
        edition = form.number("kept_edition")
        require_edition(fresh, form.number("retired_edition"))
        require_edition(kept, edition)
        await merging.merge(
            fresh,
            into,
            reason=form.said("reason", needed=True),
            content=_content(visit, content_of(kept), content_of(fresh)),
            into_edition=edition,
        )
        return see_other(f"/cards/{into}")

    async def again() -> Response:
        fresh = await load_visible(card.id)
        return _page(visit, fresh, await merging.survivor_of(fresh, into))

    return await submit(visit, work, again)


async def _candidates(visit: Visit, card: FailureCard) -> Response:
    query = visit.request.query_params.get("q", "").strip()[:LONGEST_QUERY]
    found, _ = await search(query, drafts=True) if query else ([], False)
    return visit.page(
        "merge_into.html",
        card=card,
        near=await near_duplicates(card),
        back=_back(visit, card),
        query=query,
        found=[one for one in found if one.card_id != card.id],
    )


def _page(visit: Visit, card: FailureCard, kept: FailureCard) -> Response:
    form = visit.form
    typed = form.number("kept_edition") == kept.edition and form.number("retired_edition") == card.edition
    if form.values and not typed:
        # Boxes stand for places in lists that have changed: the choice is made anew, on what the cards say now.
        form.notice = render.text("merge.changed")
    return visit.page(
        "merge.html",
        card=card,
        kept=kept,
        choices=list(_choices(visit, content_of(kept), content_of(card), typed=typed)),
        back=_back(visit, card),
    )


def _back(visit: Visit, card: FailureCard) -> str:
    target = visit.form.get("back") or visit.request.query_params.get("back", "")
    return own_path(target) if target else f"/cards/{card.id}"


def _choices(visit: Visit, kept: CardContent, retired: CardContent, *, typed: bool) -> Iterable[Choice]:
    own, other = kept.model_dump(), retired.model_dump()
    for field in ASKED:
        ticked = set(visit.form.all(field)) if typed else _default(field, own[field], other[field])
        mine, theirs = _entries(field, own[field]), _entries(field, other[field])
        keys = [[_key(field, entry) for entry in side] for side in (mine, theirs)]
        if set(keys[0]) == set(keys[1]):
            continue
        yield Choice(
            field,
            "radio" if field in SINGLE else "checkbox",
            [
                Box(f"{KEPT}:{n}", _text(field, entry), f"{KEPT}:{n}" in ticked, keys[0][n] in keys[1])
                for n, entry in enumerate(mine)
            ],
            [
                Box(f"{RETIRED}:{n}", _text(field, entry), f"{RETIRED}:{n}" in ticked)
                for n, entry in enumerate(theirs)
                if keys[1][n] not in keys[0]
            ],
        )


def _entries(field: str, value: Any) -> list[Any]:
    if field in LISTS:
        return list(value)
    return [] if field in TEXTS and not value else [value]


def _key(field: str, entry: Any) -> Any:
    if field in LISTS:
        return LISTS[field](entry)
    return " ".join(entry.split()) if field in TEXTS else str(entry)


def _default(field: str, own: Any, other: Any) -> set[str]:
    """All entries of both lists; else what the survivor says, and the other's where it says nothing."""
    if field in LISTS:
        return {f"{KEPT}:{n}" for n in range(len(own))} | {f"{RETIRED}:{n}" for n in range(len(other))}
    silent = own is None or own == "" or own == 0
    return {f"{RETIRED}:0" if silent and other not in (None, "", 0) else f"{KEPT}:0"}


def _content(visit: Visit, kept: CardContent, retired: CardContent) -> CardContent:
    """The survivor's content as ticked. Raises Invalid beside each field where nothing or too much was chosen."""
    own, other = kept.model_dump(), retired.model_dump()
    values = dict(own)
    for choice in _choices(visit, kept, retired, typed=True):
        field = choice.field
        sides = {KEPT: _entries(field, own[field]), RETIRED: _entries(field, other[field])}
        boxes = [box for box in (*choice.kept, *choice.retired) if box.checked]
        chosen = [sides[side][int(place)] for side, _, place in (box.value.partition(":") for box in boxes)]
        if field in LISTS:
            values[field] = numbered(chosen) if field in NUMBERED else chosen
        elif field in TEXTS:
            values[field] = joined(chosen)
        elif len(chosen) != 1:
            raise Invalid.field(field, render.text("merge.one"))
        else:
            values[field] = chosen[0].removeprefix(DRAFT_MARK) if field == "title" else chosen[0]
    return validated(values)


def _text(field: str, value: Any) -> str:
    """One value as people read it."""
    match field:
        case "symptoms":
            return value["description"]
        case "verification_steps" | "resolution_steps":
            return value["action"]
        case "required_parts":
            return _words(value["part_name"], value["part_number"], f"× {value['quantity']}")
        case "vehicle_models":
            first, last = value["year_from"], value["year_to"]
            years = f"{first or ''}–{last or ''}" if first or last else ""
            return _words(value["make"], value["model"], years, *value["variants"], *value["firmware_versions"])
        case "failure_conditions":
            return _words(value["condition"], value["value"], value["unit"])
        case "diagnostic_tree":
            return "\n".join(node["question"] for node in value["nodes"]) if value else "–"
        case "universal_failure":
            return render.text("form.yes" if value else "form.no")
        case _ if field in LISTS or field in TEXTS or field in ("title", "source_reference"):
            return value or "–"
        case _:
            return "–" if value is None else render.word(value)


def _words(*parts: str) -> str:
    return " ".join(filter(None, parts))
