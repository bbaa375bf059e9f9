"""Edges of the knowledge graph."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

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
    """The edge as stored. One document per source, relation and target; observing it again adds evidence."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("relation"))
    evidence_count: int = 1
    last_observed: UtcDatetime | None = None
    created_by: str = "system"
    creation_method: CreationMethod = CreationMethod.manual

    class Settings(Record.Settings):
        name = "knowledge_relations"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
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
            IndexModel([("updated_at", ASCENDING), ("_id", ASCENDING)]),
        ]
