"""The API's description, and the page that shows it."""

import json
import re
from typing import Any

import httpx
import pytest

from app.factory import create_app
from app.settings import Settings
from tests.support import Api

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture
async def client(api: Api) -> httpx.AsyncClient:
    return await api.anonymous()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(create_app(Settings(_env_file=None, env="test")).openapi()))


async def test_the_description_is_served(client: httpx.AsyncClient, document: dict[str, Any]):
    assert (await client.get("/openapi.json")).json() == document


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


async def test_every_operation_is_named_tagged_and_guarded(document: dict[str, Any]):
    known = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert [key for key, operation in operations(document) if len(set(operation.get("tags", [])) & known) != 1] == []
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    for key, operation in operations(document):
        open_to_all = not operation["security"]
        assert open_to_all == (
            key.split()[1] in {"/livez", "/readyz", "/metrics"} or key.endswith(("/login", "/refresh"))
        )
        assert open_to_all or operation["x-roles"]


async def test_every_error_is_a_described_problem(document: dict[str, Any]):
    for key, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"422", "500", "503"} <= errors.keys(), key
        if operation["security"]:
            assert {"401", "403"} <= errors.keys(), key
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= errors.keys(), key
        if "{" in key:
            assert "404" in errors, key
        if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ())):
            assert "412" in errors, key
        for status, answer in errors.items():
            if key == "GET /readyz" and status == "503":
                continue
            (media_type,) = answer["content"]
            assert media_type == "application/problem+json", (key, status)
            example = answer["content"][media_type]["example"]
            assert example["status"] == int(status)
            assert example["type"].endswith(example["code"])


async def test_every_reference_leads_somewhere(document: dict[str, Any]):
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', str(document).replace("'", '"')))

    assert references <= document["components"]["schemas"].keys()


async def test_texts_have_limits(document: dict[str, Any]):
    """A text in a request without a limit would be an invitation."""
    unlimited = []
    for key, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for body in content.values():
            for path, schema in texts(body["schema"], document, ()):
                if not {"maxLength", "enum", "const", "format", "pattern"} & schema.keys():
                    unlimited.append(f"{key}: {'.'.join(path)}")
    assert unlimited == []


def texts(schema: dict[str, Any], document: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Every schema of a string within, with where it stands. Recursion in a schema ends at its second round."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [] if name in path else texts(document["components"]["schemas"][name], document, (*path, name))
    found = [(path, schema)] if schema.get("type") == "string" else []
    for part in ("anyOf", "allOf", "oneOf"):
        for option in schema.get(part, ()):
            found += texts(option, document, path)
    for name, inner in schema.get("properties", {}).items():
        found += texts(inner, document, (*path, name))
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            found += texts(schema[part], document, (*path, part))
    return found


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient):
    """It works in a closed network: whatever page, style and script name is served from here and allowed by policy."""
    page = await client.get("/docs/")

    assert page.status_code == 200
    assert (await client.get("/docs")).headers["location"] == "docs/"
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"static/swagger-ui-bundle.js", "static/swagger-ui.css", "start.js"} <= set(links)
    for link in links:
        assert (await client.get(f"/docs/{link}", follow_redirects=True)).status_code == 200, link
    assert "<script>" not in page.text
    style = await client.get("/docs/static/swagger-ui.css")
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.text) == []
    assert style.headers["Cache-Control"] == "max-age=86400"


async def test_nothing_outside_the_package_is_served(client: httpx.AsyncClient):
    for path in ("/docs/static/../core.py", "/docs/static/%2e%2e/core.py", "/docs/static/"):
        assert (await client.get(path)).status_code == 404


async def test_figures_for_prometheus(client: httpx.AsyncClient):
    await client.get("/api/vehicles/veh_1")
    await client.get("/nowhere/in/particular")

    figures = (await client.get("/metrics")).text

    assert 'efi_http_requests_total{method="GET",route="/api/vehicles/{vehicle_id}",status="401"}' in figures
    assert 'route="unknown",status="404"' in figures
    assert "particular" not in figures
    assert "veh_1" not in figures
