"""The symptom library."""

from typing import Annotated

from fastapi import Depends, Path, Query, Response
from pydantic import ConfigDict, Field

from models.enums import SubsystemCategory
from models.symptom import Symptom, SymptomContent
from models.types import SymptomCode, UtcDatetime
from routes.api.deps import IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from services.knowledge import symptoms

router = api_router("/efi/symptoms", tag="symptoms")


class SymptomBody(SymptomContent):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "symptom_code": "SYM_BATT_001",
                    "name": "Range drops",
                    "category": "battery",
                    "synonyms": ["goes less far", "battery drains fast"],
                }
            ]
        },
    )


class SymptomOut(SymptomContent):
    model_config = ConfigDict(from_attributes=True, extra="ignore")

    symptom_id: str = Field(validation_alias="id")
    created_at: UtcDatetime
    updated_at: UtcDatetime


async def _load(symptom_code: Annotated[SymptomCode, Path()]) -> Symptom:
    return await symptoms.get(symptom_code)


CurrentSymptom = Annotated[Symptom, Depends(_load)]


def _shown(symptom: Symptom, response: Response) -> SymptomOut:
    etag(response, symptom.revision)
    return SymptomOut.model_validate(symptom)


@router.post("", status_code=201, responses=problems(409))
async def create_symptom(body: SymptomBody, response: Response) -> SymptomOut:
    """Add a symptom; its code and name must be new."""
    return _shown(await symptoms.create(SymptomContent.model_validate(body.model_dump())), response)


@router.get("")
async def list_symptoms(
    page: PageQuery,
    category: SubsystemCategory | None = None,
    code_prefix: Annotated[
        str | None,
        Query(pattern="^SYM_[A-Z0-9_]{0,12}$", description="How the code begins.", examples=["SYM_BATT"]),
    ] = None,
    safety_critical: bool | None = None,
) -> PageOut[SymptomOut]:
    """Newest first."""
    found = await symptoms.list_symptoms(
        category=category, code_prefix=code_prefix, safety_critical=safety_critical, **page.as_arguments()
    )
    return PageOut[SymptomOut].of(found)


@router.get("/{symptom_code}", responses=problems(404))
async def get_symptom(symptom: CurrentSymptom, response: Response) -> SymptomOut:
    return _shown(symptom, response)


@router.put("/{symptom_code}", responses=problems(404, 409, 412, 428))
async def update_symptom(
    symptom: CurrentSymptom, body: SymptomBody, revision: IfMatch, response: Response
) -> SymptomOut:
    """Replace name, wording and kind. The code stays: cards refer to it."""
    content = SymptomContent.model_validate(body.model_dump())
    return _shown(await symptoms.edit(symptom, content, revision=revision), response)
