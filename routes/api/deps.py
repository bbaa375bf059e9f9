"""What routes ask for: the caller, the settings, a page, an edition."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from app.errors import Malformed, PreconditionRequired
from app.security import Actor, current_actor
from app.settings import Settings
from services.paging import MAX_LIMIT

_ETAG = re.compile(r'"(\d{1,9})"')


async def _actor() -> Actor:
    return current_actor()


async def _settings(request: Request) -> Settings:
    return request.app.state.settings


CurrentActor = Annotated[Actor, Depends(_actor)]
"""Who calls."""
CurrentSettings = Annotated[Settings, Depends(_settings)]


@dataclass(frozen=True, slots=True)
class PageParameters:
    limit: int
    after: str | None

    def as_arguments(self) -> dict[str, Any]:
        """For `services.paging.page(...)`."""
        return {"limit": self.limit, "after": self.after}


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Entries per page.")] = 50,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> PageParameters:
    return PageParameters(limit, after)


PageQuery = Annotated[PageParameters, Depends(_page)]


async def optional_if_match(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description='The ETag that was read, for instance "3".', max_length=100)
    ] = None,
) -> int | None:
    """The edition that the caller has read. Raises Malformed unless it is one ETag of this service."""
    if if_match is None:
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Malformed('If-Match must be one ETag as this service gives them out, for instance "3".')
    return int(found[1])


async def required_if_match(edition: Annotated[int | None, Depends(optional_if_match)]) -> int:
    """As `optional_if_match`; raises PreconditionRequired when there is none."""
    if edition is None:
        raise PreconditionRequired()
    return edition


IfMatch = Annotated[int, Depends(required_if_match)]
OptionalIfMatch = Annotated[int | None, Depends(optional_if_match)]


def etag(response: Response, edition: int) -> None:
    """Give the answer its ETag."""
    response.headers["ETag"] = f'"{edition}"'
