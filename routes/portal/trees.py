"""A diagnostic tree, drawn as SVG: one column per step, every question in a box, answers on the lines."""

from dataclasses import dataclass

from markupsafe import Markup

from models.failure_card import DiagnosticNode, DiagnosticTree

BOX_WIDTH, BOX_HEIGHT = 176, 64
GAP_X, GAP_Y = 48, 18
LINE_LENGTH, LINES = 25, 3


@dataclass(frozen=True, slots=True)
class _Box:
    key: str
    label: str
    kind: str
    depth: int
    row: float


@dataclass(frozen=True, slots=True)
class _Edge:
    start: str
    end: str
    answer: str


def drawing(tree: DiagnosticTree, title: str, yes: str, no: str) -> Markup:
    """The tree from left to right. Shared nodes are drawn once, as deep as the longest way to them."""
    boxes, edges = _layout(tree, yes, no)
    places = {box.key: _place(box) for box in boxes}
    width = max(x for x, _ in places.values()) + BOX_WIDTH + 2
    height = max(y for _, y in places.values()) + BOX_HEIGHT + 2
    content = Markup("").join(_drawn_edge(edge, places) for edge in edges)
    content += Markup("").join(_drawn_box(box, *places[box.key]) for box in boxes)
    return Markup(
        '<svg class="tree" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{title}">{all}</svg>'
    ).format(w=round(width), h=round(height), title=title, all=content)


def answers(node: DiagnosticNode) -> list[tuple[str, str | None, str | None, bool]]:
    """Where each answer leads: (yes or no, next node, verdict, whether the verdict confirms).

    The verdict of a node belongs to the answer without a branch; a leaf with one verdict needs no answer.
    """
    found: list[tuple[str, str | None, str | None, bool]] = []
    confirms, hands_over = node.leads_to_root_cause, node.hands_over_to
    for answer, target in (("yes", node.if_yes), ("no", node.if_no)):
        if target is not None:
            found.append((answer, target, None, False))
        elif confirms and hands_over:
            found.append((answer, None, confirms if answer == "yes" else hands_over, answer == "yes"))
        elif verdict := confirms or hands_over:
            found.append((answer, None, verdict, bool(confirms)))
    return found


def _layout(tree: DiagnosticTree, yes: str, no: str) -> tuple[list[_Box], list[_Edge]]:
    nodes = {node.node_id: node for node in tree.nodes}
    depths = _depths(nodes, tree.root_node_id)
    words = {"yes": yes, "no": no}
    boxes: list[_Box] = []
    edges: list[_Edge] = []
    rows: dict[str, float] = {}
    next_row = 0

    def place(node_id: str) -> float:
        nonlocal next_row
        if node_id in rows:
            return rows[node_id]
        node, depth = nodes[node_id], depths[node_id]
        below: list[float] = []
        leaf = node.if_yes is None and node.if_no is None and not (node.leads_to_root_cause and node.hands_over_to)
        for answer, target, verdict, confirms in answers(node)[: 1 if leaf else 2]:
            if target is not None:
                edges.append(_Edge(node_id, target, words[answer]))
                below.append(place(target))
                continue
            key = f"{node_id}/{answer}"
            boxes.append(_Box(key, verdict or "", "confirms" if confirms else "hands-over", depth + 1, next_row))
            edges.append(_Edge(node_id, key, "" if leaf else words[answer]))
            below.append(next_row)
            next_row += 1
        rows[node_id] = sum(below) / len(below)
        boxes.append(_Box(node_id, f"{node.step_number}. {node.question}", "question", depth, rows[node_id]))
        return rows[node_id]

    place(tree.root_node_id)
    return boxes, edges


def _depths(nodes: dict[str, DiagnosticNode], root: str) -> dict[str, int]:
    """The length of the longest way to each node. Trees have no loops (see services/knowledge/diagnostic_tree)."""
    bottom_up: list[str] = []
    seen: set[str] = set()

    def visit(node_id: str) -> None:
        seen.add(node_id)
        for target in (nodes[node_id].if_yes, nodes[node_id].if_no):
            if target is not None and target not in seen:
                visit(target)
        bottom_up.append(node_id)

    visit(root)
    depths = dict.fromkeys(bottom_up, 0)
    for node_id in reversed(bottom_up):
        for target in (nodes[node_id].if_yes, nodes[node_id].if_no):
            if target is not None:
                depths[target] = max(depths[target], depths[node_id] + 1)
    return depths


def _place(box: _Box) -> tuple[float, float]:
    return 1 + box.depth * (BOX_WIDTH + GAP_X), 1 + box.row * (BOX_HEIGHT + GAP_Y)


def _drawn_box(box: _Box, x: float, y: float) -> Markup:
    lines = _wrapped(box.label)
    first = y + BOX_HEIGHT / 2 + 5 - (len(lines) - 1) * 8
    drawn = Markup("").join(
        Markup('<text x="{}" y="{}">{}</text>').format(x + 10, round(first + n * 16, 1), line)
        for n, line in enumerate(lines)
    )
    return Markup('<g class="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>{}</g>').format(
        box.kind, box.label, round(x, 1), round(y, 1), BOX_WIDTH, BOX_HEIGHT, drawn
    )


def _drawn_edge(edge: _Edge, places: dict[str, tuple[float, float]]) -> Markup:
    (x1, y1), (x2, y2) = places[edge.start], places[edge.end]
    x1, y1, y2 = x1 + BOX_WIDTH, y1 + BOX_HEIGHT / 2, y2 + BOX_HEIGHT / 2
    middle = x2 - GAP_X / 2
    path = f"M{x1:.1f} {y1:.1f}H{middle:.1f}V{y2:.1f}H{x2:.1f}"
    return Markup('<path d="{}"/><text x="{}" y="{}" class="answer">{}</text>').format(
        path, round(x2 - 4, 1), round(y2 - 5, 1), edge.answer
    )


def _wrapped(label: str) -> list[str]:
    """At most LINES lines; what does not fit ends in an ellipsis, and is whole in the box's title."""
    lines = [""]
    for part in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(part) > LINE_LENGTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".strip()[: LINE_LENGTH + 1]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: LINE_LENGTH - 1]}…"]
    return lines
