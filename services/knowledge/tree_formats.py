"""Diagnostic trees as YAML and as Mermaid flowcharts, both ways. What is exported and imported again is the same tree.

A Mermaid chart shows questions, answers and verdicts; what it has no place for (what to do, tools, warnings, minutes)
stands in comments `%% node {json}`, so that a chart drawn by hand is a legal import, too: its question is then also
what is to be done. Verdicts are rounded boxes whose text begins with "Confirmed:" or "Hand over:".
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from app.errors import Invalid
from models.failure_card import DiagnosticNode, DiagnosticTree

DEEPEST = 10
"""Levels of YAML. A tree has five: itself, its nodes, a node, a list of it, an entry."""
MOST_VALUES = 15_000
"""Values of YAML, names of fields among them: 200 nodes with every field and every list full are fewer."""
DERIVED = frozenset({"tree_id", "total_paths", "avg_path_length"})
_VERDICTS = {"leads_to_root_cause": "Confirmed", "hands_over_to": "Hand over"}
_IN_CHART = frozenset({"question", "if_yes", "if_no", *_VERDICTS})
_ID = r"[A-Za-z][A-Za-z0-9_]*"
_SAFE_ID = re.compile(rf"{_ID}\Z")
_RESERVED = frozenset("end default class click graph flowchart subgraph style linkstyle classdef direction".split())  # noqa: SIM905
# Each begins at a fixed place, and no two parts of it can take the same characters: a long line costs its length once.
_BOX = re.compile(
    rf"(?<![A-Za-z0-9_])(?P<id>{_ID})\s*"
    r'(?:\(\["(?P<verdict>[^"]*)"\]\)|\{"(?P<asked>[^"]*)"\}|\["(?P<plain>[^"]*)"\])'
)
_EDGE = re.compile(rf"(?P<source>{_ID})\s*-->\s*(?:\|(?P<answer>[^|]*)\|\s*)?(?P<target>{_ID})\s*;?\Z")
_COMMENT = re.compile(rf"%%\s*(?P<id>{_ID})\s+(?P<json>\{{.*\}})\s*\Z")


class _PlainLoader(yaml.SafeLoader):
    """YAML no larger than a tree may be, and without aliases: a few lines of them can stand for gigabytes. What is too
    large is given up where it becomes so."""

    depth = values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.values += 1
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not allowed")
        if self.values > MOST_VALUES:
            self._refuse(f"a tree has no more than {MOST_VALUES:,} values")
        if self.depth >= DEEPEST:
            self._refuse(f"nothing in a tree is nested more than {DEEPEST} deep")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refuse(self, why: str) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, why, self.peek_event().start_mark)


def to_yaml(tree: DiagnosticTree) -> str:
    """What an author writes of the tree; fields at their default are left out."""
    content = tree.model_dump(mode="json", exclude=DERIVED, exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str) -> DiagnosticTree:
    """The tree, not yet checked for soundness. Raises Invalid with what is wrong, and where."""
    try:
        content = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Invalid.field("yaml", f"is not YAML: {error}"[:500]) from None
    if not isinstance(content, dict):
        raise Invalid.field("yaml", "must be a mapping with root_node_id and nodes")
    return _validated(content, "yaml")


def to_mermaid(tree: DiagnosticTree) -> str:
    """A flowchart that draws the tree from its root on, one line each for a box, an arrow and a comment."""
    names = {node.node_id: _name(node.node_id, n) for n, node in enumerate(tree.nodes, 1)}
    return "\n".join(["flowchart TD", *(line for node in _root_first(tree) for line in _drawn(node, names)), ""])


def from_mermaid(text: str) -> DiagnosticTree:
    """The tree that a flowchart draws, not yet checked for soundness; its first box is the root. Raises Invalid."""
    chart = _Chart()
    for number, line in enumerate(text.splitlines(), 1):
        chart.read(line.strip(), number)
    tree = chart.tree()
    if not tree["nodes"]:
        raise Invalid.field("mermaid", "draws no question")
    return _validated(tree, "mermaid")


def _validated(content: dict[str, Any], field: str) -> DiagnosticTree:
    try:
        return DiagnosticTree.model_validate(content)
    except ValidationError as error:
        errors = [
            {"field": ".".join([field, *map(str, fault["loc"])]), "rule": fault["msg"]} for fault in error.errors()
        ]
        raise Invalid("; ".join(f"{one['field']}: {one['rule']}" for one in errors[:5]), errors=errors) from None


def _root_first(tree: DiagnosticTree) -> list[DiagnosticNode]:
    return sorted(tree.nodes, key=lambda node: node.node_id != tree.root_node_id)


def _name(node_id: str, number: int) -> str:
    """The node's own id where Mermaid takes it for one; names of our own begin with an underscore-free prefix."""
    usable = _SAFE_ID.match(node_id) and node_id.casefold() not in _RESERVED and not node_id.startswith("efi")
    return node_id if usable else f"efi{number}"


def _drawn(node: DiagnosticNode, names: dict[str, str]) -> Iterator[str]:
    name = names[node.node_id]
    yield f'  {name}{{"{_escaped(node.question)}"}}'
    for answer, target in (("yes", node.if_yes), ("no", node.if_no)):
        if target is not None:
            yield f"  {name} -->|{answer}| {names[target]}"
    for field, answer in _answers_of_verdicts(node):
        box = f"efi{'c' if field == 'leads_to_root_cause' else 'h'}_{name}"
        arrow = f"-->|{answer}|" if answer else "-->"
        yield f'  {name} {arrow} {box}(["{_VERDICTS[field]}: {_escaped(getattr(node, field))}"])'
    more = node.model_dump(mode="json", exclude=_IN_CHART, exclude_defaults=True)
    if name == node.node_id:
        del more["node_id"]
    yield f"  %% {name} {json.dumps(more, ensure_ascii=False)}"


def _answers_of_verdicts(node: DiagnosticNode) -> Iterator[tuple[str, str]]:
    """Which answer each verdict ends; none ("") where reaching the node decides."""
    verdicts = [field for field in _VERDICTS if getattr(node, field)]
    if node.if_yes is None and node.if_no is None and len(verdicts) == 1:
        yield verdicts[0], ""
    elif node.if_yes is None and node.if_no is None:
        yield from (("leads_to_root_cause", "yes"), ("hands_over_to", "no"))
    else:
        free = "no" if node.if_yes is not None else "yes"
        yield from ((field, free) for field in verdicts)


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("\n", "<br/>")


def _unescaped(text: str) -> str:
    return text.replace("<br/>", "\n").replace("#quot;", '"').replace("#35;", "#")


class _Chart:
    """A flowchart while it is read."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.verdicts: dict[str, tuple[str, str]] = {}
        self.arrows: list[tuple[str, str, str, int]] = []

    def read(self, line: str, number: int) -> None:
        if not line or re.match(r"(flowchart|graph)\b", line):
            return
        if comment := _COMMENT.match(line):
            self._note(comment["id"], comment["json"], number)
            return
        if line.startswith("%%"):
            return
        bare = _BOX.sub(self._box, line)
        if arrow := _EDGE.match(bare.strip()):
            answer = (arrow["answer"] or "").strip().removeprefix('"').removesuffix('"').strip().casefold()
            if answer not in ("yes", "no", ""):
                raise _fault(number, f"{answer!r} is no answer: yes or no")
            self.arrows.append((arrow["source"], answer, arrow["target"], number))
        elif not _SAFE_ID.match(bare.strip().rstrip(";")):
            raise _fault(number, "is neither a box, an arrow nor a comment of a diagnostic tree")

    def tree(self) -> dict[str, Any]:
        for source, answer, target, number in self.arrows:
            self._connect(source, answer, target, number)
        for place, node in enumerate(self.nodes.values(), 1):
            node.setdefault("step_number", place)
            node.setdefault("check_action", node.get("question", ""))
        known = {name: node["node_id"] for name, node in self.nodes.items()}
        for node in self.nodes.values():
            node |= {field: known.get(node[field], node[field]) for field in ("if_yes", "if_no") if field in node}
        root = next(iter(known.values()), "")
        return {"root_node_id": root, "nodes": list(self.nodes.values())}

    def _box(self, match: re.Match[str]) -> str:
        name = match["id"]
        if match["verdict"] is not None:
            word, _, text = _unescaped(match["verdict"]).partition(":")
            field = next((field for field, name in _VERDICTS.items() if name.casefold() == word.strip().casefold()), "")
            self.verdicts[name] = (field, text.strip())
        else:
            asked = match["asked"] if match["asked"] is not None else match["plain"]
            self.nodes.setdefault(name, {"node_id": name})["question"] = _unescaped(asked)
        return name

    def _note(self, name: str, text: str, number: int) -> None:
        try:
            more = json.loads(text)
        except (ValueError, RecursionError):
            raise _fault(number, "is no comment of a diagnostic tree: its JSON is broken") from None
        self.nodes.setdefault(name, {"node_id": name}).update(more)

    def _connect(self, source: str, answer: str, target: str, number: int) -> None:
        node = self.nodes.get(source)
        if node is None:
            raise _fault(number, f"the arrow begins at {source}, which is no question")
        if target in self.verdicts:
            field, text = self.verdicts[target]
            if not field:
                raise _fault(number, 'a verdict begins with "Confirmed:" or "Hand over:"')
            node[field] = text
        elif not answer:
            raise _fault(number, "an arrow to a question needs its answer: yes or no")
        elif node.setdefault(f"if_{answer}", target) != target:
            raise _fault(number, f"{source} has an arrow for {answer} already")


def _fault(number: int, rule: str) -> Invalid:
    return Invalid.field(f"mermaid.line.{number}", rule)
