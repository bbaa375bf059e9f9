"""Workshops."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response
from pydantic import Field

from app.ids import Id
from models.account import Site, SiteContent
from routes.api.deps import CurrentActor, IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.accounts import directory

router = api_router("/sites", tag="sites")


class SiteOut(Out):
    site_id: str = Field(validation_alias="id")
    name: str
    city: str
    country: str
    timezone: str
    created_at: datetime
    updated_at: datetime


async def _load(site_id: Annotated[Id, Path()], actor: CurrentActor) -> Site:
    return await directory.get(Site, site_id, actor)


CurrentSite = Annotated[Site, Depends(_load)]


@router.post("", status_code=201, responses=problems(409))
async def create_site(body: SiteContent, response: Response) -> SiteOut:
    return _shown(await directory.create(Site, body), response)


@router.get("")
async def list_sites(page: PageQuery, actor: CurrentActor) -> PageOut[SiteOut]:
    """Newest first."""
    return PageOut[SiteOut].of(await directory.list_entries(Site, actor, **page.as_arguments()))


@router.get("/{site_id}", responses=problems(404))
async def get_site(site: CurrentSite, response: Response) -> SiteOut:
    return _shown(site, response)


@router.put("/{site_id}", responses=problems(404, 409, 412, 428))
async def replace_site(site: CurrentSite, body: SiteContent, revision: IfMatch, response: Response) -> SiteOut:
    return _shown(await directory.replace(site, body, revision=revision), response)


def _shown(site: Site, response: Response) -> SiteOut:
    etag(response, site.revision)
    return SiteOut.model_validate(site)
