"""Customers: fleets and other owners of vehicles."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response
from pydantic import Field

from app.ids import Id
from models.account import Organisation, OrganisationContent
from routes.api.deps import CurrentActor, IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.accounts import directory

router = api_router("/organisations", tag="organisations")


class OrganisationOut(Out):
    organisation_id: str = Field(validation_alias="id")
    name: str
    currency: str
    show_likely_causes: bool
    created_at: datetime
    updated_at: datetime


async def _load(organisation_id: Annotated[Id, Path()], actor: CurrentActor) -> Organisation:
    return await directory.get(Organisation, organisation_id, actor)


CurrentOrganisation = Annotated[Organisation, Depends(_load)]


@router.post("", status_code=201, responses=problems(409))
async def create_organisation(body: OrganisationContent, response: Response) -> OrganisationOut:
    return _shown(await directory.create(Organisation, body), response)


@router.get("")
async def list_organisations(page: PageQuery, actor: CurrentActor) -> PageOut[OrganisationOut]:
    """A customer sees its own only. Newest first."""
    return PageOut[OrganisationOut].of(await directory.list_entries(Organisation, actor, **page.as_arguments()))


@router.get("/{organisation_id}", responses=problems(404))
async def get_organisation(organisation: CurrentOrganisation, response: Response) -> OrganisationOut:
    return _shown(organisation, response)


@router.put("/{organisation_id}", responses=problems(404, 409, 412, 428))
async def replace_organisation(
    organisation: CurrentOrganisation, body: OrganisationContent, revision: IfMatch, response: Response
) -> OrganisationOut:
    return _shown(await directory.replace(organisation, body, revision=revision), response)


def _shown(organisation: Organisation, response: Response) -> OrganisationOut:
    etag(response, organisation.revision)
    return OrganisationOut.model_validate(organisation)
