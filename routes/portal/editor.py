"""Editing a card in place: every field an author fills, and its diagnostic tree question by question.

The tree's fields are named by their path in the card's content, so that whatever is wrong with one shows beside it.
Buttons that add or remove a question, or draw the tree, send the form and save nothing.
"""

import re
from typing import Any

from markupsafe import Markup
from pydantic import ValidationError
from starlette.responses import Response

from app.errors import Invalid
from models.enums import FailureMode, Severity, SkillLevel, SubsystemCategory
from models.failure_card import CardContent, DiagnosticNode, DiagnosticTree, FailureCard
from models.governance import CardFlag
from routes.portal import render, trees
from routes.portal.forms import Form
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import CurrentCard
from routes.portal.visit import Visit, own_path, see_other
from services.knowledge import cards
from services.knowledge.access import load_visible, require_editor
from services.knowledge.content import content_of
from services.knowledge.diagnostic_tree import check_tree
from services.knowledge.diff import Difference, differences

router = page_router()

TEXTS = (
    "title",
    "description",
    "subsystem_category",
    "failure_mode",
    "severity",
    "symptom_text",
    "root_cause",
    "root_cause_details",
    "resolution_summary",
    "skill_level_required",
)
NODE_TEXTS = ("node_id", "question", "check_action", "expected_outcome")
NODE_LINKS = ("if_yes", "if_no", "leads_to_root_cause", "hands_over_to")
NODES = "diagnostic_tree.nodes"
_NODE_FIELD = re.compile(r"diagnostic_tree\.nodes\.(\d{1,3})\.(\w+)")

Node = dict[str, str]


@router.get("/cards/{card_id}/edit")
async def edit_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    require_editor(card)
    return editor_page(visit, card, shown_nodes(card))


@router.post("/cards/{card_id}/edit")
async def save_card(visit: CurrentVisit, card: CurrentCard) -> Response:
    """Save, or carry out one of the editor's own buttons."""
    require_editor(card)
    form = visit.form
    nodes = arranged_nodes(form)
    if form.get("step") != "save":
        return editor_page(visit, card, nodes, revision=form.revision(), drawing=drawing_of(form, nodes))

    async def work() -> Response:
        fresh = await load_visible(card.id)
        content = typed_content(form, nodes, content_of(fresh))
        await cards.edit(fresh, content, edition=form.revision() or 0, summary=form.said("summary"))
        return see_other(_back(visit, card))

    async def again() -> Response:
        return await _refused(visit, card, nodes)

    return await submit(visit, work, again)


async def _refused(visit: Visit, card: FailureCard, nodes: list[Node]) -> Response:
    """The form as typed. If somebody else saved meanwhile, what they have and what was typed stand side by side."""
    fresh = await load_visible(card.id)
    theirs: list[Difference] = []
    if visit.form.revision() != fresh.edition and fresh.version_history:
        last = fresh.version_history[-1]
        visit.form.notice = render.text("editor.changed", who=last.updated_by.name, age=render.age(last.timestamp))
        try:
            theirs = differences(content_of(fresh), typed_content(visit.form, nodes, content_of(fresh)))
        except ValidationError as error:
            visit.form.refuse(error)
    return editor_page(visit, fresh, nodes, theirs=theirs)


def editor_page(
    visit: Visit,
    card: FailureCard,
    nodes: list[Node],
    *,
    revision: int | None = None,
    drawing: Markup | None = None,
    theirs: list[Difference] | None = None,
    flag: CardFlag | None = None,
) -> Response:
    """The card in fields, with what was typed into them. `revision` is what the form started from, by default the
    card's present edition; with a flag the form proposes an edit that settles it."""
    return visit.page(
        "editor.html",
        card=card,
        revision=card.edition if revision is None else revision,
        flag=flag,
        nodes=nodes,
        nodes_at=NODES,
        root=visit.form.get("diagnostic_tree.root_node_id") or (nodes[0]["node_id"] if nodes else ""),
        drawing=drawing,
        theirs=theirs or [],
        back=_back(visit, card),
        subsystems=list(SubsystemCategory),
        modes=list(FailureMode),
        severities=list(Severity),
        skills=list(SkillLevel),
    )


def _back(visit: Visit, card: FailureCard) -> str:
    target = visit.form.get("back") or visit.request.query_params.get("back", "")
    return own_path(target) if target else f"/cards/{card.id}"


def typed_content(form: Form, nodes: list[Node], stored: CardContent) -> CardContent:
    """The card's content with what was typed; what the editor does not show stays. Raises ValidationError."""
    steps = {step.action: step for step in stored.resolution_steps}
    values = stored.model_dump() | {name: form.get(name) for name in TEXTS}
    values |= {
        "error_codes": form.get("error_codes").replace(",", " ").split(),
        "secondary_causes": form.lines("secondary_causes"),
        "resolution_steps": [
            (steps[line].model_dump() if line in steps else {"action": line}) | {"step_number": number}
            for number, line in enumerate(form.lines("resolution_steps"), 1)
        ],
        "diagnostic_tree": _tree(form, nodes, stored),
    }
    return CardContent.model_validate(values)


def _tree(form: Form, nodes: list[Node], stored: CardContent) -> dict[str, Any] | None:
    if not nodes:
        return None
    return {
        "tree_id": stored.diagnostic_tree.tree_id if stored.diagnostic_tree else "",
        "root_node_id": form.get("diagnostic_tree.root_node_id") or nodes[0]["node_id"],
        "nodes": [_node(number, node) for number, node in enumerate(nodes, 1)],
    }


def _node(number: int, node: Node) -> dict[str, Any]:
    return {
        "step_number": number,
        **{name: node[name] for name in NODE_TEXTS},
        **{name: node[name] or None for name in NODE_LINKS},
        "duration_minutes": node["duration_minutes"] or 0,
        "tools_required": [tool.strip() for tool in node["tools_required"].split(",") if tool.strip()],
        "safety_warnings": [line.strip() for line in node["safety_warnings"].splitlines() if line.strip()],
    }


def shown_nodes(card: FailureCard) -> list[Node]:
    return [_as_typed(node) for node in card.diagnostic_tree.nodes] if card.diagnostic_tree else []


def _as_typed(node: DiagnosticNode) -> Node:
    return {
        **{name: getattr(node, name) for name in NODE_TEXTS},
        **{name: getattr(node, name) or "" for name in NODE_LINKS},
        "duration_minutes": str(node.duration_minutes),
        "tools_required": ", ".join(node.tools_required),
        "safety_warnings": "\n".join(node.safety_warnings),
    }


def _empty_node(nodes: list[Node]) -> Node:
    """A new question with an id that is free."""
    taken = {node["node_id"] for node in nodes}
    number = next(number for number in range(1, len(nodes) + 2) if f"q{number}" not in taken)
    blank = dict.fromkeys((*NODE_TEXTS, *NODE_LINKS, "tools_required", "safety_warnings"), "")
    return blank | {"node_id": f"q{number}", "duration_minutes": "5"}


def arranged_nodes(form: Form) -> list[Node]:
    """The questions as typed, with the one that a button adds and without the one that it removes."""
    nodes, step = _typed_nodes(form), form.get("step")
    if step == "add":
        nodes.append(_empty_node(nodes))
    elif step.startswith("remove-"):
        nodes = [node for place, node in enumerate(nodes) if str(place) != step.removeprefix("remove-")]
    return nodes


def _typed_nodes(form: Form) -> list[Node]:
    found: dict[int, Node] = {}
    for name in form.values:
        if field := _NODE_FIELD.fullmatch(name):
            found.setdefault(int(field[1]), _empty_node([]))[field[2]] = form.get(name)
    return [found[place] for place in sorted(found)]


def drawing_of(form: Form, nodes: list[Node]) -> Markup | None:
    """The tree as it stands in the form; None, with the faults noted beside their fields, if it is not sound."""
    if not nodes:
        return None
    root = form.get("diagnostic_tree.root_node_id") or nodes[0]["node_id"]
    try:
        typed = {"root_node_id": root, "nodes": [_node(number, node) for number, node in enumerate(nodes, 1)]}
        tree = check_tree(DiagnosticTree.model_validate(typed))
    except ValidationError as error:
        form.refuse(error)
        form.errors = {f"diagnostic_tree.{field}": rule for field, rule in form.errors.items()}
        return None
    except Invalid as error:
        form.refuse(error)
        return None
    return trees.drawing(tree, render.text("card.tree"), render.text("form.yes"), render.text("form.no"))
