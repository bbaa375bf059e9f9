"""A diagnostic tree, drawn as SVG from top to bottom: a question, below it and further in where its answers lead.

Narrow enough for a phone at any length: only depth makes it wider.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from models.failure_card import DiagnosticNode, DiagnosticTree
from services.knowledge.diagnostic_tree import answers, decides_at_once

BOX_WIDTH, BOX_HEIGHT = 330, 44
INDENT, GAP = 46, 10
LINE_LENGTH, LINES = 46, 2
LINE_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class _Row:
    """One box; `above` is the row that it hangs from, `answer` what leads from there to it."""

    label: str
    kind: str
    depth: int
    above: int | None = None
    answer: str = ""


def drawing(tree: DiagnosticTree, title: str, yes: str, no: str) -> Markup:
    """The tree. A node that several answers lead to is drawn where it comes first, and named where it comes again."""
    rows = list(_rows(tree, {"yes": yes, "no": no}))
    width = 2 + max(row.depth for row in rows) * INDENT + BOX_WIDTH
    height = 2 + len(rows) * (BOX_HEIGHT + GAP) - GAP
    drawn = Markup("").join(_line(row, place) for place, row in enumerate(rows))
    drawn += Markup("").join(_box(row, place) for place, row in enumerate(rows))
    return Markup(
        '<svg class="tree" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{title}">{all}</svg>'
    ).format(w=width, h=height, title=title, all=drawn)


def _rows(tree: DiagnosticTree, words: dict[str, str]) -> Iterator[_Row]:
    nodes = {node.node_id: node for node in tree.nodes}
    drawn: set[str] = set()
    place = 0
    waiting: list[tuple[str | None, _Row]] = [
        (tree.root_node_id, _Row(_asked(nodes[tree.root_node_id]), "question", 0))
    ]
    while waiting:
        node_id, row = waiting.pop()
        again = node_id in drawn
        yield _Row(f"↑ {row.label}", "again", row.depth, row.above, row.answer) if again else row
        place += 1
        if node_id is None or again:
            continue
        drawn.add(node_id)
        node = nodes[node_id]
        leads = answers(node)[:1] if decides_at_once(node) else answers(node)
        for answer, target, verdict, confirms in reversed(leads):
            said = "" if decides_at_once(node) else words[answer]
            kind = "question" if target else "confirms" if confirms else "hands-over"
            label = _asked(nodes[target]) if target else verdict or ""
            waiting.append((target, _Row(label, kind, row.depth + 1, place - 1, said)))


def _asked(node: DiagnosticNode) -> str:
    return f"{node.step_number}. {node.question}"


def _corner(row: _Row, place: int) -> tuple[int, int]:
    return 1 + row.depth * INDENT, 1 + place * (BOX_HEIGHT + GAP)


def _line(row: _Row, place: int) -> Markup:
    """From under the box that it hangs from, down and to the right."""
    if row.above is None:
        return Markup("")
    x, y = _corner(row, place)
    middle = y + BOX_HEIGHT // 2
    start = 1 + row.above * (BOX_HEIGHT + GAP) + BOX_HEIGHT
    return Markup('<path d="M{} {}V{}H{}"/><text x="{}" y="{}" class="answer">{}</text>').format(
        x - INDENT + 12, start, middle, x, x - 4, middle - 5, row.answer
    )


def _box(row: _Row, place: int) -> Markup:
    x, y = _corner(row, place)
    lines = _wrapped(row.label)
    first = y + BOX_HEIGHT // 2 + 5 - (len(lines) - 1) * LINE_HEIGHT // 2
    drawn = Markup("").join(
        Markup('<text x="{}" y="{}">{}</text>').format(x + 10, first + n * LINE_HEIGHT, line)
        for n, line in enumerate(lines)
    )
    return Markup('<g class="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="5"/>{}</g>').format(
        row.kind, row.label, x, y, BOX_WIDTH, BOX_HEIGHT, drawn
    )


def _wrapped(label: str) -> list[str]:
    """At most LINES lines; what does not fit ends in an ellipsis, and is whole in the box's title."""
    lines = [""]
    for part in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(part) > LINE_LENGTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".strip()
    lines = [line if len(line) <= LINE_LENGTH else f"{line[: LINE_LENGTH - 1]}…" for line in lines]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: LINE_LENGTH - 1]}…"]
    return lines
