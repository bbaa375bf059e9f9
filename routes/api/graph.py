"""Questions to the knowledge graph. Every answer is bounded, and says so in `truncated` if something was left out."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from models.enums import NodeType, RelationType
from models.knowledge_relation import NodeKey
from models.types import Name, SymptomCode, UtcDatetime
from routes.api.deps import PageQuery
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Score
from services.knowledge import graph, nodes
from services.knowledge.graph_analysis import Analysis
from services.knowledge.graph_drawing import draw
from services.knowledge.graph_walk import Edge, Subgraph, Wanted
from services.knowledge.nodes import Node

router = api_router("/efi/graph", tag="knowledge graph")

AnyCaseSymptom = Annotated[
    Annotated[SymptomCode, BeforeValidator(lambda code: code.strip().upper() if isinstance(code, str) else code)],
    Field(description="Upper or lower case."),
]
Truncated = Annotated[bool, Field(description="There is more than was looked at: the strongest came first.")]


class NodeOut(BaseModel):
    type: NodeType
    id: str = Field(description="Symptom code, card id, part number or name, `make|model`, subsystem.")
    label: str


class EdgeOut(BaseModel):
    relation_id: str
    relation_type: RelationType
    source: NodeOut
    target: NodeOut
    weight: Score = Field(description="As of now: what is stated, and what repairs have said since, decayed.")
    confidence: Score
    evidence_count: int
    counter_count: int
    bidirectional: bool
    stated: bool = Field(description="A card says so now, or a person drew it.")
    creation_method: str
    last_observed: UtcDatetime | None


class NeighboursOut(BaseModel):
    node: NodeOut
    degree: int = Field(description="About how many edges the node has, whatever the filter.")
    items: list[EdgeOut] = Field(description="Strongest first.")
    next: str | None = Field(description="Send it as `after` for the following page; null on the last.")


class SubgraphOut(BaseModel):
    nodes: list[NodeOut]
    edges: list[EdgeOut]
    truncated: Truncated


class WayOut(BaseModel):
    strength: Score = Field(description="Product of the weights.")
    nodes: list[NodeOut]
    edges: list[EdgeOut]


class WaysOut(BaseModel):
    items: list[WayOut]
    truncated: Truncated


class ReachedOut(BaseModel):
    failure_id: str
    title: str
    score: Score = Field(description="From 0 to 1; how rare a symptom is counts too.")
    ways: list[WayOut] = Field(description="The reason: the best way from each symptom, strongest first.")


class ReachedCardsOut(BaseModel):
    items: list[ReachedOut]
    truncated: Truncated


class SharedOut(BaseModel):
    node: NodeOut
    score: Score
    strengths: list[Score] = Field(description="How strongly the first and the second symptom lead there.")


class SharedNodesOut(BaseModel):
    cards: list[SharedOut]
    components: list[SharedOut] = Field(description="Parts and subsystems, also where the cards differ.")
    truncated: Truncated


class RankedOut(NodeOut):
    strength: Score = Field(description="Sum of the weights of its edges.")
    betweenness: Score = Field(description="Share of the strongest ways between others that lead through it.")
    community: int = Field(description="Nodes with the same number belong together; 0 is the largest group.")


class AnalysisOut(BaseModel):
    nodes: list[RankedOut]
    communities: int
    modularity: Score = Field(description="How well the groups are parted (Louvain); 0 means not at all.")
    truncated: Truncated


async def _node(
    type: Annotated[NodeType, Query(description="Kind of the node.")],  # noqa: A002 - the name on the wire
    id: Annotated[  # noqa: A002
        NodeKey,
        Query(
            description="Its id, in any case: a part by number or name, a vehicle as `make|model` or in words.",
            examples=["SYM_BATT_001"],
        ),
    ],
) -> Node:
    return await nodes.meant(type, id)


async def _wanted(
    relation_type: Annotated[list[RelationType] | None, Query(description="Only edges of these kinds.")] = None,
    node_type: Annotated[list[NodeType] | None, Query(description="Only to nodes of these kinds.")] = None,
    direction: Literal["out", "in", "both"] = "both",
    min_weight: Annotated[float, Query(ge=0, le=1)] = 0.0,
) -> Wanted:
    return Wanted(
        frozenset(relation_type) if relation_type else None,
        frozenset(node_type) if node_type else None,
        direction,
        min_weight,
    )


AskedNode = Annotated[Node, Depends(_node)]
AskedEdges = Annotated[Wanted, Depends(_wanted)]
Depth = Annotated[int, Query(ge=1, le=2, description="Steps from the node.")]
MaxNodes = Annotated[int, Query(ge=2, le=200)]


@router.get("/neighbours", responses=problems(404))
async def graph_neighbours(node: AskedNode, wanted: AskedEdges, page: PageQuery) -> NeighboursOut:
    """The edges of a node, strongest first, page by page however many there are."""
    found = await graph.neighbours(node, wanted=wanted, **page.as_arguments())
    return NeighboursOut(
        node=_shown(node, found.label), degree=found.degree, items=list(map(_edge, found.edges)), next=found.next
    )


@router.get("/neighbourhood", responses=problems(404))
async def graph_neighbourhood(
    node: AskedNode, wanted: AskedEdges, depth: Depth = 1, max_nodes: MaxNodes = 60
) -> SubgraphOut:
    """What lies around a node, the strongest ways first. Vehicles and subsystems are not gone through."""
    return _subgraph(await graph.neighbourhood(node, depth, wanted=wanted, max_nodes=max_nodes))


@router.get(
    "/neighbourhood.svg",
    responses=problems(404) | {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def draw_neighbourhood(
    node: AskedNode, wanted: AskedEdges, depth: Depth = 1, max_nodes: Annotated[int, Query(ge=2, le=80)] = 30
) -> Response:
    """The same as a picture. It takes the colour of the text around it."""
    found = await graph.neighbourhood(node, depth, wanted=wanted, max_nodes=max_nodes)
    return Response(draw(found, node), media_type="image/svg+xml")


@router.get("/paths", responses=problems(404))
async def graph_paths(
    source_type: NodeType,
    source_id: NodeKey,
    target_type: NodeType,
    target_id: NodeKey,
    by: Literal["strongest", "shortest"] = "strongest",
    max_length: Annotated[int, Query(ge=1, le=graph.MAX_LENGTH, description="Edges of the longest way.")] = 3,
    limit: Annotated[int, Query(ge=1, le=10)] = 3,
) -> WaysOut:
    """Ways between two nodes, for instance from a symptom to a part. Vehicles and subsystems are not gone through."""
    source, target = await nodes.meant(source_type, source_id), await nodes.meant(target_type, target_id)
    ways, truncated = await graph.paths(source, target, by=by, max_length=max_length, limit=limit)
    return WaysOut(items=list(map(_way, ways)), truncated=truncated)


@router.get("/cards", responses=problems(404))
async def cards_behind_symptoms(
    symptom_code: Annotated[list[AnyCaseSymptom], Query(min_length=1, max_length=10)],
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> ReachedCardsOut:
    """The cards that symptoms lead to, best first, with the ways that lead there."""
    found, truncated = await graph.reachable_cards(symptom_code, limit=limit)
    cards = [
        ReachedOut(failure_id=one.card.id, title=one.title, score=one.score, ways=list(map(_way, one.ways)))
        for one in found
    ]
    return ReachedCardsOut(items=cards, truncated=truncated)


@router.get("/shared", responses=problems(404))
async def shared_by_symptoms(
    symptom_code: AnyCaseSymptom,
    other: AnyCaseSymptom,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> SharedNodesOut:
    """The cards and components that two symptoms both lead to."""
    cards, components, truncated = await graph.shared_by(symptom_code, other, limit=limit)
    return SharedNodesOut(
        cards=list(map(_shared, cards)), components=list(map(_shared, components)), truncated=truncated
    )


@router.get("/vehicle", responses=problems(404))
async def graph_of_vehicle(
    make: Annotated[Name, Query(min_length=1)],
    model: Name = "",
    max_nodes: Annotated[int, Query(ge=2, le=300)] = 200,
) -> SubgraphOut:
    """The known failures of a vehicle model with their symptoms and parts."""
    return _subgraph(await graph.of_vehicle(make, model, max_nodes=max_nodes))


@router.get("/analysis", responses=problems(404))
async def analyse_neighbourhood(node: AskedNode, depth: Depth = 2, max_nodes: MaxNodes = 100) -> AnalysisOut:
    """Which nodes hold a neighbourhood together, and what belongs together there."""
    return _analysis(await graph.analysis(node, depth, max_nodes=max_nodes))


def _shown(node: Node, label: str) -> NodeOut:
    return NodeOut(type=node.type, id=node.id, label=label)


def _edge(edge: Edge) -> EdgeOut:
    return EdgeOut(
        relation_id=edge.id,
        relation_type=edge.relation,
        source=_shown(edge.source, edge.source_label),
        target=_shown(edge.target, edge.target_label),
        weight=edge.weight,
        confidence=edge.confidence,
        evidence_count=edge.evidence_count,
        counter_count=edge.counter_count,
        bidirectional=edge.bidirectional,
        stated=edge.stated,
        creation_method=edge.creation_method,
        last_observed=edge.last_observed,
    )


def _subgraph(found: Subgraph) -> SubgraphOut:
    return SubgraphOut(
        nodes=[_shown(node, label) for node, label in found.nodes.items()],
        edges=list(map(_edge, found.edges.values())),
        truncated=found.truncated,
    )


def _way(way: graph.Way) -> WayOut:
    nodes = [_shown(node, label) for node, label in way.nodes]
    return WayOut(strength=way.strength, nodes=nodes, edges=list(map(_edge, way.edges)))


def _shared(shared: graph.Shared) -> SharedOut:
    return SharedOut(node=_shown(shared.node, shared.label), score=shared.score, strengths=list(shared.strengths))


def _analysis(found: Analysis) -> AnalysisOut:
    return AnalysisOut(
        nodes=[
            RankedOut(
                type=one.node.type,
                id=one.node.id,
                label=one.label,
                strength=one.strength,
                betweenness=one.betweenness,
                community=one.community,
            )
            for one in found.nodes
        ],
        communities=len(found.communities),
        modularity=found.modularity,
        truncated=found.truncated,
    )
