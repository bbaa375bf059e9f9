"""What holds for every page, seen without a browser."""

import itertools
import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from app.security import Role
from routes import portal
from routes.portal.http import PageRoute
from routes.portal.permissions import OPEN, PAGES
from tests.routes.portal.support import csrf_token, visitor
from tests.support import PASSWORD, Api

STREAMS = ("/tickets/live", "/reviews/live", "/events/live")
ANY_ID = "tkt_00000000000000000000"


def routes() -> Iterator[APIRoute]:
    return (route for router in portal.ROUTERS for route in router.routes if isinstance(route, PageRoute))


def test_every_page_stands_in_the_table_and_every_row_is_a_page():
    assert {route.permission for route in routes()} == set(PAGES) | OPEN


async def test_each_role_reaches_its_pages_and_no_others(api: Api):
    clients = {role: await visitor(api, await api.add_user(role)) for role in Role}
    pages = {row.removeprefix("GET ") for row in PAGES if row.startswith("GET ")}
    for path, (role, client) in itertools.product(sorted(pages), clients.items()):
        allowed = role in PAGES[f"GET {path}"]
        if allowed and path in STREAMS:
            continue  # it would not end
        shown = await client.get(re.sub(r"{\w+}", ANY_ID, path))
        assert (shown.status_code != 403) == allowed, (path, role, shown.status_code)
        assert shown.status_code < 500, (path, role)


async def test_forms_are_refused_to_roles_they_are_not_for(api: Api):
    clients = {role: await visitor(api, await api.add_user(role)) for role in Role}
    rows = {row.removeprefix("POST "): roles for row, roles in PAGES.items() if row.startswith("POST ")}
    for (path, roles), (role, client) in itertools.product(rows.items(), clients.items()):
        if role not in roles:
            sent = await client.post(re.sub(r"{\w+}", ANY_ID, path), data={})
            assert sent.status_code == 403, (path, role)


async def test_strangers_are_asked_to_sign_in(api: Api):
    client = await visitor(api)
    for route in routes():
        if route.permission not in OPEN and "GET" in route.methods:
            shown = await client.get(re.sub(r"{\w+}", ANY_ID, route.path))
            assert (shown.status_code, shown.headers["location"].partition("?")[0]) == (303, "/sign-in"), route.path


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
async def test_forms_from_elsewhere_are_refused(api: Api, headers: dict[str, str]):
    client = await visitor(api, await api.add_user(Role.technician))
    data = {"csrf_token": await csrf_token(client), "zone": "Asia/Tokyo"}
    assert (await client.post("/account/display", data=data, headers=headers)).status_code == 403
    assert (await client.post("/account/display", data=data)).status_code == 303


async def test_forms_need_the_visitors_own_token(api: Api):
    mine = await visitor(api, await api.add_user(Role.technician))
    other = await visitor(api, await api.add_user(Role.technician))
    for token in ("", "é", await csrf_token(other)):
        sent = await mine.post("/account/display", data={"csrf_token": token, "zone": "Asia/Tokyo"})
        assert sent.status_code == 403
    stranger = await visitor(api)
    assert (await stranger.post("/sign-in", data={"email": "a@b.example", "password": PASSWORD})).status_code == 403


async def test_the_token_reads_differently_on_each_page_which_is_sent_compressed(api: Api):
    """What is compressed must hold no secret that always reads the same: its size would give it away."""
    client = await visitor(api, await api.add_user(Role.technician))
    first, second = await csrf_token(client), await csrf_token(client)
    assert first != second
    for token in (first, second):
        sent = await client.post("/account/display", data={"csrf_token": token, "zone": "Asia/Tokyo"})
        assert sent.status_code == 303
    for broken in (first[:64], first[64:], first[:64] + second[64:], "zz", first[:-2]):
        sent = await client.post("/account/display", data={"csrf_token": broken, "zone": "Asia/Tokyo"})
        assert sent.status_code == 403
    compressed = await client.get("/account")
    assert compressed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in compressed.headers["vary"]
    plain = await client.get("/account", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(compressed.headers["content-length"]) < len(plain.content) / 2


async def test_nobody_is_led_to_another_host(api: Api):
    user = await api.add_user(Role.technician)
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "evil"):
        client = await visitor(api)
        data = {"csrf_token": await csrf_token(client, "/sign-in"), "email": user.email, "password": PASSWORD}
        sent = await client.post("/sign-in", data=data | {"next": target})
        assert sent.headers["location"] == "/"


async def test_pages_allow_nothing_but_their_own_files(api: Api):
    client = await visitor(api, await api.add_user(Role.admin))
    shown = await client.get("/account")
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://", shown.text)


async def test_errors_are_pages_where_pages_were_asked_for(api: Api):
    client = await visitor(api)
    missing = await client.get("/nothing-here")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/html")
    assert (await client.delete("/sign-in")).status_code == 405
    assert (await client.get("/api/nothing")).headers["content-type"] == "application/problem+json"
    plain = await api.anonymous()
    assert (await plain.get("/nothing-here")).headers["content-type"] == "application/problem+json"


async def test_files_are_ours_small_and_kept(api: Api):
    client = await visitor(api)
    page = (await client.get("/sign-in")).text
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(found) == 3
    for address in found:
        sent = await client.get(address, headers={"accept-encoding": "gzip"})
        assert "immutable" in sent.headers["cache-control"]
        assert sent.headers["content-encoding"] == "gzip"
    assert len((await client.get(next(one for one in found if ".js" in one))).content) <= 10_000
