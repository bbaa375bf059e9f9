"""Finding routes by the beginnings of their paths leads where trying every pattern would."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Match

from routes import api, portal
from routes.capability import CapabilityRouter

ROUTERS = [*api.ROUTERS, *portal.ROUTERS]
ODD = [
    "/",
    "",
    "/api",
    "/api/",
    "/ticketsx",
    "/tickets/",
    "/api/ticketsx",
    "/tickets/a/b/c/d/e",
    "//tickets",
    "/\u00e9",
]


def _paths() -> Iterator[str]:
    yield from ODD
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                path = route.path_format.replace("{", "").replace("}", "")
                yield from (path, f"{path}/", f"{path}x", path[:-1])


def test_every_router_is_one_of_ours():
    assert all(isinstance(router, CapabilityRouter) for router in ROUTERS)


@pytest.mark.parametrize("root_path", ["", "/efi"])
def test_no_route_is_passed_by(root_path: str):
    for path in set(_paths()):
        scope = {"type": "http", "method": "GET", "path": root_path + path, "root_path": root_path, "headers": []}
        for router in ROUTERS:
            found = any(
                route.matches(dict(scope))[0] is not Match.NONE
                for route in router.routes
                if isinstance(route, APIRoute)
            )
            assert not found or router.begins(scope), (path, router.routes[0])


def test_most_routers_are_passed_by():
    scope = {"type": "http", "method": "GET", "path": "/api/tickets/tkt_1/assign", "root_path": "", "headers": []}
    assert sum(router.begins(scope) for router in ROUTERS) <= 3
