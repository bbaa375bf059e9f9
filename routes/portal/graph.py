"""The knowledge graph to walk through: one node, what it is tied to, drawn and as a table."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from models.enums import NodeType
from models.knowledge_relation import NodeKey
from routes.portal import render
from routes.portal.http import CurrentVisit, page_router
from services.knowledge import graph, nodes
from services.knowledge.graph_drawing import draw
from services.knowledge.nodes import Node

router = page_router()

LISTED = 20
DRAWN = LISTED + 1
"""Nodes in the picture: the one in question and the first page of the table."""


def address(node: Node) -> str:
    return render.link("/knowledge/graph", type=node.type, id=node.id)


@router.get("/knowledge/graph")
async def show_graph(
    visit: CurrentVisit,
    type: Annotated[NodeType, Query()],  # noqa: A002 - the name in the address
    id: Annotated[NodeKey, Query()],  # noqa: A002
) -> Response:
    """A node's neighbours, strongest first; with `after` the table goes on where it ended."""
    node = await nodes.meant(type, id)
    after = visit.request.query_params.get("after")
    found = await graph.neighbours(node, limit=LISTED, after=after)
    around = None if after or not found.edges else await graph.neighbourhood(node, 1, max_nodes=DRAWN)
    return visit.page(
        "graph.html",
        node=node,
        label=found.label,
        degree=found.degree,
        edges=found.edges,
        drawing=draw(around, node, link=address) if around else None,
        address=address,
        next=found.next,
    )
