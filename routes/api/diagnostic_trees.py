"""Diagnostic trees: checked, imported and exported, as JSON, YAML or a Mermaid flowchart."""

import asyncio
from enum import StrEnum
from typing import Annotated, Self

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.errors import Invalid, NotFound
from models.failure_card import DiagnosticTree
from models.types import ShortText, Strict
from routes.api.deps import IfMatch, etag
from routes.api.failure_cards import CurrentCard
from routes.api.http import api_router
from routes.api.problems import FieldProblem, problems
from services.knowledge import cards, tree_formats
from services.knowledge.content import content_of
from services.knowledge.diagnostic_tree import check_tree

router = api_router("/efi", tag="guided diagnosis")

MAX_TEXT = 500_000
_NODE = {
    "node_id": "n1",
    "step_number": 1,
    "question": "Is the resting spread between the cell groups below 50 mV?",
    "check_action": "Rest 60 min, read all groups",
    "leads_to_root_cause": "Charger ends early",
    "hands_over_to": "Weak cell group",
}
_CHART = (
    'flowchart TD\n  n1{"Is the fuse open?"}\n  n1 -->|yes| c(["Confirmed: fuse"])\n  n1 -->|no| h(["Hand over: BMS"])'
)


class TreeFormat(StrEnum):
    json = "json"
    yaml = "yaml"
    mermaid = "mermaid"


class TreeSource(Strict):
    """A tree in exactly one of three forms."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"tree": {"root_node_id": "n1", "nodes": [_NODE]}}, {"mermaid": _CHART}]},
    )

    tree: DiagnosticTree | None = None
    yaml: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    mermaid: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(one is not None for one in (self.tree, self.yaml, self.mermaid)) != 1:
            raise ValueError("send exactly one of tree, yaml and mermaid")
        return self

    def read(self) -> DiagnosticTree:
        """The tree, sound and measured. Raises Invalid with every fault found. Half a second, for the largest texts."""
        if self.yaml is not None:
            return check_tree(tree_formats.from_yaml(self.yaml))
        if self.mermaid is not None:
            return check_tree(tree_formats.from_mermaid(self.mermaid))
        return check_tree(self.tree)


class TreeChange(TreeSource):
    change_summary: ShortText = Field(default="", description="Why it was changed, for the version history.")


class TreeReport(BaseModel):
    """`faults` is empty for a sound tree, and `tree` null for an unsound one."""

    sound: bool
    faults: list[FieldProblem] = []
    tree: DiagnosticTree | None = Field(default=None, description="With `total_paths` and `avg_path_length`.")


@router.post("/diagnostic-trees/validate")
async def validate_tree(body: TreeSource) -> TreeReport:
    """Say whether a tree is sound: one root, no loop, no dangling branch, every end confirms or hands over."""
    try:
        return TreeReport(sound=True, tree=await asyncio.to_thread(body.read))
    except Invalid as broken:
        return TreeReport(sound=False, faults=[FieldProblem.model_validate(one) for one in broken.extra["errors"]])


@router.get("/failure-cards/{failure_id}/diagnostic-tree", response_model=DiagnosticTree, responses=problems(404))
async def export_tree(
    card: CurrentCard,
    response: Response,
    form: Annotated[TreeFormat, Query(alias="format", description="yaml and mermaid come as text.")] = TreeFormat.json,
) -> DiagnosticTree | Response:
    """The tree of a card. Its ETag is the card's, for putting an edited one back."""
    if card.diagnostic_tree is None:
        raise NotFound(f"Card {card.id} has no diagnostic tree.")
    headers = {"ETag": f'"{card.edition}"'}
    if form is TreeFormat.yaml:
        return Response(tree_formats.to_yaml(card.diagnostic_tree), media_type="application/yaml", headers=headers)
    if form is TreeFormat.mermaid:
        return Response(tree_formats.to_mermaid(card.diagnostic_tree), media_type="text/plain", headers=headers)
    etag(response, card.edition)
    return card.diagnostic_tree


@router.put("/failure-cards/{failure_id}/diagnostic-tree", responses=problems(404, 409, 412, 428))
async def import_tree(card: CurrentCard, body: TreeChange, edition: IfMatch, response: Response) -> DiagnosticTree:
    """Replace the tree of a card; a real change makes a new version. Who may: as for editing the card."""
    tree = await asyncio.to_thread(body.read)
    if card.diagnostic_tree is not None and not body.tree:
        # Neither text form carries the id: it stays the same tree.
        tree = tree.model_copy(update={"tree_id": card.diagnostic_tree.tree_id})
    content = content_of(card).model_copy(update={"diagnostic_tree": tree})
    edited = await cards.edit(card, content, edition=edition, summary=body.change_summary)
    etag(response, edited.edition)
    return edited.diagnostic_tree
