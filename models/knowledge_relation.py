"""Edges of the knowledge graph."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app import clock
from app.ids import new_id
from models.enums import CreationMethod, NodeType, RelationType
from models.record import Record
from models.types import Line, Share, Strict, UtcDatetime

NodeKey = Annotated[str, Field(min_length=1, max_length=200)]


class RelationContent(Strict):
    """One edge: source —relation→ target."""

    source_type: NodeType
    source_id: NodeKey
    source_label: Line
    relation_type: RelationType
    target_type: NodeType
    target_id: NodeKey
    target_label: Line
    weight: Share = 0.5
    confidence: Share = 0.5
    bidirectional: bool = False


class KnowledgeRelation(Record, RelationContent):
    """The edge as stored. One document per source, relation and target.

    `weight` and `confidence` are as of `as_of`; they follow from the base and the decayed observations
    (`services.knowledge.edge_weights`). An edge that has ended keeps what it learnt but has no `ends`, by which edges
    are walked.
    """

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("relation"))
    evidence_count: int = Field(default=0, description="How many repairs spoke for it; a statement is not one.")
    counter_count: int = Field(default=0, description="How many spoke against it.")
    support: float = Field(default=0.0, description="Decayed sum of the repairs that spoke for it.")
    doubt: float = Field(default=0.0, description="Decayed sum of those that spoke against it.")
    base_weight: Share = Field(default=0.5, description="The weight without repairs, to which it fades.")
    base_confidence: Share = 0.5
    as_of: UtcDatetime = Field(default_factory=clock.now)
    refresh_at: UtcDatetime | None = Field(default=None, description="When the stored weight is to be reckoned anew.")
    stated: bool = Field(default=False, description="Its card says so now, or a person drew it.")
    ended_at: UtcDatetime | None = None
    moved_to: str | None = Field(default=None, description="The edge that carries on, after a merge of cards.")
    last_observed: UtcDatetime | None = Field(default=None, description="When it was last stated or seen in a repair.")
    created_by: str = "system"
    creation_method: CreationMethod = CreationMethod.manual

    ends: list[str] = Field(default=[], description="Both nodes as `type:id`; empty once it has ended.")
    rank: float = Field(default=1.0, description="1 − weight, ties spread: the strongest edges of a node come first.")
    sample: int = Field(default=0, description="Few edges are in a sample (1, 2, 3), each rarer than the one before.")

    class Settings(Record.Settings):
        name = "knowledge_relations"
        indexes = [
            IndexModel(
                [
                    ("source_type", ASCENDING),
                    ("source_id", ASCENDING),
                    ("relation_type", ASCENDING),
                    ("target_type", ASCENDING),
                    ("target_id", ASCENDING),
                ],
                unique=True,
            ),
            IndexModel([("source_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("target_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("relation_type", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("ends", ASCENDING), ("rank", ASCENDING)]),
            # Seven of eight edges are in no sample, and take no room here.
            IndexModel(
                [("sample", ASCENDING), ("ends", ASCENDING), ("rank", ASCENDING)],
                partialFilterExpression={"sample": {"$gte": 1}},
            ),
            IndexModel([("refresh_at", ASCENDING)]),
            IndexModel([("updated_at", ASCENDING), ("_id", ASCENDING)]),
        ]


class EdgeSighting(Strict):
    """One edge that a passage spoke about."""

    relation_id: str
    card_id: str
    worked: bool


class GraphObservation(Record):
    """What one passage of a ticket said about edges; `id` is `<ticket id>|<passage>`. By it nothing counts twice, and
    a revisit takes back what the passage had given."""

    occurred_at: UtcDatetime
    sightings: list[EdgeSighting] = []
    taken_back_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "graph_observations"
        indexes = [IndexModel([("_id", ASCENDING), ("revision", ASCENDING)])]
