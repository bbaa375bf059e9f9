"""The table of routes and roles: complete, and enforced for every pair."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts
from pymongo import MongoClient

from app.factory import create_app
from app.security import Role
from models.account import User
from routes.api.http import ApiRoute
from routes.api.permissions import PERMISSIONS, PUBLIC
from routes.portal.assets import TYPES as PORTAL_FILES
from routes.portal.http import PageRoute
from tests.databases import empty
from tests.support import Api, running, settings_for_tests

# One application for all pairs: starting one for each would take minutes.
pytestmark = pytest.mark.asyncio(loop_scope="module")

UNGUARDED = {"/openapi.json", "/docs", "/docs/", "/docs/start.js", "/docs/static"} | {
    f"/static/{name}" for name in PORTAL_FILES
}
"""The description of the API and the files that pages are made with, which are no secret."""
QUERY = {"GET /api/efi/events/stream": {"seconds": "0"}}
"""What keeps a route from answering without end."""
KEYS = sorted(PERMISSIONS.keys() | PUBLIC)


class People:
    """One user of each role, who signs in anew for every request: some requests end sessions."""

    def __init__(self, api: Api, users: dict[Role, User]) -> None:
        self.api = api
        self.users = users

    async def call(self, key: str, role: Role | None) -> httpx.Response:
        method, template = key.split(" ", 1)
        path = re.sub(r"\{(\w+)\}", "none_such", template)
        client = await (self.api.anonymous() if role is None else self.api.signed_in(self.users[role]))
        return await client.request(method, path, params=QUERY.get(key))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(
    _admin: MongoClient[dict[str, Any]],
    database_url: str,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[People]:
    database = f"efi_pairs_{worker_id}"
    empty(_admin, database)
    async with running(settings_for_tests(database_url, database, tmp_path_factory.mktemp("data"))) as api:
        yield People(api, {role: await api.add_user(role) for role in Role})


async def test_every_route_has_a_row_and_every_row_a_route(tmp_path: Path):
    app = create_app(settings_for_tests("mongodb://unused", "unused", tmp_path))
    guarded, open_to_all = set(), set()
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, ApiRoute):
            guarded.update(f"{method} {route.path}" for method in route.methods)
        elif not isinstance(route.original_route, PageRoute):  # pages have a table of their own
            open_to_all.add(route.path)

    assert guarded == PERMISSIONS.keys() | PUBLIC
    assert not PERMISSIONS.keys() & PUBLIC
    assert open_to_all == UNGUARDED


async def test_no_row_is_empty():
    assert [key for key, roles in PERMISSIONS.items() if not roles] == []


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role or "anonymous")
@pytest.mark.parametrize("key", KEYS)
async def test_pair(people: People, key: str, role: Role | None):
    answer = await people.call(key, role)

    problem = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
    if key in PUBLIC:
        # No token was sent that could be refused: what is refused here is the missing body.
        assert answer.status_code in (200, 422, 503)
    elif role is None:
        assert (answer.status_code, problem["code"]) == (401, "unauthenticated")
    elif role not in PERMISSIONS[key]:
        assert (answer.status_code, problem["code"]) == (403, "forbidden")
        assert problem["roles"] == sorted(PERMISSIONS[key])
    else:
        assert answer.status_code not in (401, 405)
        assert "roles" not in problem
        assert answer.status_code < 500


@pytest.mark.parametrize(
    ("pattern", "never"),
    [
        (r"/api/users(?!/me/)", set(Role) - {Role.admin}),
        (r"/api/tickets", {Role.oem, Role.manufacturer}),
        (r"/api/efi/(technician-actions|part-usage)", {Role.fleet_customer, Role.oem, Role.manufacturer}),
        (r"(POST|PUT|PATCH|DELETE) /api/(organisations|sites)", set(Role) - {Role.admin}),
        (r"POST .*/(approve|deprecate)$", {Role.technician, Role.fleet_customer, Role.oem, Role.service}),
        (r"/api/efi/incidents", set(Role) - {Role.expert, Role.admin}),
        (r"/api/efi/events/\{event_id\}/(replay|discard)", set(Role) - {Role.admin}),
    ],
)
async def test_what_must_never_be_granted(pattern: str, never: set[Role]):
    rows = {key: roles for key, roles in PERMISSIONS.items() if re.search(pattern, key)}

    assert rows
    assert {key: roles & never for key, roles in rows.items() if roles & never} == {}
