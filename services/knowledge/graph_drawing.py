"""A neighbourhood, drawn as SVG: the node in question on the left, what one step leads to beside it, then two steps.

The picture stands by itself: no style, no script, colours follow the text around it (`currentColor`). Classes name the
kinds for a page that wants to colour them; every node and edge says what it is in its title. The same subgraph always
gives the same picture.
"""

from collections import defaultdict
from collections.abc import Callable

from markupsafe import Markup

from services.knowledge.graph_walk import Edge, Subgraph
from services.knowledge.nodes import Node

BOX_WIDTH, BOX_HEIGHT = 220, 40
COLUMN, ROW = 320, 52
MARGIN = 8
LINE_LENGTH = 27

Place = tuple[int, int]


def draw(graph: Subgraph, centre: Node, *, link: Callable[[Node], str] | None = None) -> Markup:
    """The picture of a subgraph around `centre`, which it must hold. With `link`, every other node leads to the address
    that it gives."""
    columns = _columns(graph, centre)
    height = max(map(len, columns)) * ROW
    places = {
        node: (MARGIN + number * COLUMN, MARGIN + (height - len(column) * ROW) // 2 + row * ROW)
        for number, column in enumerate(columns)
        for row, node in enumerate(column)
    }
    width = (len(columns) - 1) * COLUMN + BOX_WIDTH + 2 * MARGIN
    edges = [edge for edge in graph.edges.values() if edge.source in places and edge.target in places]
    lines = Markup("").join(_line(edge, places) for edge in sorted(edges, key=lambda edge: edge.id))
    boxes = Markup("")
    for node, place in places.items():
        box = _box(node, graph.nodes[node], place, node == centre)
        boxes += box if link is None or node == centre else Markup('<a href="{}">{}</a>').format(link(node), box)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="graph" viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
        ' role="{role}" fill="none" stroke="currentColor" font-family="sans-serif" font-size="13">'
        "<title>{title}</title><desc>{description}</desc>{lines}{boxes}</svg>"
    ).format(
        w=width,
        h=height + 2 * MARGIN,
        role="group" if link else "img",  # within an image nothing could be followed
        title=f"Neighbourhood of {graph.nodes[centre]}",
        description=_described(len(places), len(edges), truncated=graph.truncated),
        lines=lines,
        boxes=boxes,
    )


def _described(nodes: int, edges: int, *, truncated: bool) -> str:
    return f"{nodes} nodes, {edges} edges{', the strongest of more' if truncated else ''}."


def _columns(graph: Subgraph, centre: Node) -> list[list[Node]]:
    """Nodes by their distance from the centre. In a column, what hangs from the same node stands together, the
    strongest first."""
    around: defaultdict[Node, dict[Node, float]] = defaultdict(dict)
    for edge in graph.edges.values():
        for one, other in ((edge.source, edge.target), (edge.target, edge.source)):
            around[one][other] = max(edge.weight, around[one].get(other, 0.0))
    columns, seen = [[centre]], {centre}
    while True:
        column: list[Node] = []
        for node in columns[-1]:
            fresh = sorted(around[node].keys() - seen, key=lambda other: (other.type, -around[node][other], other.id))
            column += fresh
            seen.update(fresh)
        if not column:
            return columns
        columns.append(column)


def _line(edge: Edge, places: dict[Node, Place]) -> Markup:
    left, right = sorted((places[edge.source], places[edge.target]))
    title = f"{edge.source_label} {edge.relation.replace('_', ' ')} {edge.target_label}: {edge.weight:.2f}"
    x1, y1 = left[0] + BOX_WIDTH, left[1] + BOX_HEIGHT // 2
    x2, y2 = right[0], right[1] + BOX_HEIGHT // 2
    bend = (x1 + x2) // 2
    if left[0] == right[0]:  # within a column: around its right side
        x2, bend = x1, x1 + (COLUMN - BOX_WIDTH) // 2
    return Markup(
        '<path class="edge {kind}" d="M{x1} {y1}C{b} {y1} {b} {y2} {x2} {y2}" stroke-width="{thick:.1f}"'
        ' stroke-opacity="{dark:.2f}"><title>{title}</title></path>'
    ).format(
        kind=edge.relation, x1=x1, y1=y1, b=bend, x2=x2, y2=y2, thick=0.5 + 3.5 * edge.weight,
        dark=0.3 + 0.5 * edge.weight, title=title,
    )  # fmt: skip


def _box(node: Node, label: str, place: Place, centre: bool) -> Markup:
    x, y = place
    shown = label if len(label) <= LINE_LENGTH else f"{label[: LINE_LENGTH - 1]}…"
    return Markup(
        '<g class="node {kind}"><title>{title}</title>'
        '<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{round}" stroke-width="{thick}"/>'
        '<g fill="currentColor" stroke="none"><text x="{tx}" y="{ty}">{label}</text>'
        '<text x="{tx}" y="{ky}" font-size="10" opacity="0.75">{kind_name}</text></g></g>'
    ).format(
        kind=node.type, title=f"{node.type.replace('_', ' ')}: {label}", x=x, y=y, w=BOX_WIDTH, h=BOX_HEIGHT,
        round=_ROUND.get(node.type, 4), thick=2.5 if centre else 1, tx=x + 12, ty=y + 18, ky=y + 32, label=shown,
        kind_name=node.type.replace("_", " "),
    )  # fmt: skip


_ROUND = {"symptom": 20, "failure_card": 4, "part": 0, "vehicle": 12, "subsystem": 12}
"""Corners tell the kinds apart where colours do not."""
