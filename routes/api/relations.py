"""Edges of the knowledge graph."""

from typing import Annotated

from fastapi import Depends, Path, Query, Response
from pydantic import ConfigDict, Field

from app.ids import Id
from models.enums import CreationMethod, RelationType
from models.knowledge_relation import KnowledgeRelation, NodeKey, RelationContent
from models.types import UtcDatetime
from routes.api.deps import PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from services.knowledge import relations

router = api_router("/efi/relations", tag="knowledge graph")


class RelationBody(RelationContent):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "source_type": "part",
                    "source_id": "BMS-BAL-16",
                    "source_label": "Balancing board",
                    "relation_type": "similar_to",
                    "target_type": "part",
                    "target_id": "BMS-BAL-20",
                    "target_label": "Balancing board, 20 cells",
                    "weight": 0.7,
                }
            ]
        },
    )


class RelationOut(RelationContent):
    model_config = ConfigDict(from_attributes=True, extra="ignore")

    relation_id: str = Field(validation_alias="id")
    evidence_count: int = Field(description="Repairs that spoke for it.")
    counter_count: int = Field(description="Repairs that spoke against it.")
    last_observed: UtcDatetime | None
    stated: bool = Field(description="A card says so now, or a person drew it.")
    ended_at: UtcDatetime | None
    created_by: str
    creation_method: CreationMethod
    created_at: UtcDatetime
    updated_at: UtcDatetime


async def _load(relation_id: Annotated[Id, Path()]) -> KnowledgeRelation:
    return await relations.get(relation_id)


CurrentRelation = Annotated[KnowledgeRelation, Depends(_load)]


def _shown(relation: KnowledgeRelation, response: Response) -> RelationOut:
    etag(response, relation.revision)
    return RelationOut.model_validate(relation)


@router.post("", status_code=201, responses=problems(409))
async def create_relation(body: RelationBody, response: Response) -> RelationOut:
    """Add an edge by hand. Cards, symptoms and subsystems must exist; weight and confidence start at 0.3 at most."""
    return _shown(await relations.create(RelationContent.model_validate(body.model_dump())), response)


@router.get("")
async def list_relations(
    page: PageQuery,
    source_id: Annotated[NodeKey | None, Query(description="Card id, symptom code, part, vehicle, subsystem.")] = None,
    target_id: NodeKey | None = None,
    relation_type: RelationType | None = None,
) -> PageOut[RelationOut]:
    """Newest first."""
    found = await relations.list_relations(
        source_id=source_id, target_id=target_id, relation_type=relation_type, **page.as_arguments()
    )
    return PageOut[RelationOut].of(found)


@router.get("/{relation_id}", responses=problems(404))
async def get_relation(relation: CurrentRelation, response: Response) -> RelationOut:
    return _shown(relation, response)
