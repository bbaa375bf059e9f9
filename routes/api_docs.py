"""The page under /docs that shows and tries out the API. Everything it needs is served from here, so it works in a
closed network; Swagger UI's files come from the package fastapi-offline."""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API</title>
<link rel="icon" href="static/favicon.png">
<link rel="stylesheet" href="static/swagger-ui.css">
<script src="static/swagger-ui-bundle.js" defer></script>
<script src="start.js" defer></script>
</head>
<body><main id="docs"><noscript>This page needs JavaScript; the description itself is at
<a href="../openapi.json">openapi.json</a>.</noscript></main></body>
</html>
"""
# A file of its own and not inline, so that the page's policy can forbid inline scripts.
_START = """window.addEventListener("DOMContentLoaded", () => SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
}));
"""
# Swagger UI draws its icons as data URLs and sets some styles inline.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_docs(app: FastAPI) -> None:
    """Serve the page under /docs/."""
    page = _PAGE.format(title=app.title)

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})

    async def to_folder(_: Request) -> Response:
        return RedirectResponse("docs/")

    static = Path(str(files("fastapi_offline"))) / "static"
    app.router.routes += [
        Route("/docs", to_folder),
        Route("/docs/", show),
        Route("/docs/start.js", start),
        Mount("/docs/static", _CachedFiles(directory=static)),
    ]


class _CachedFiles(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "max-age=86400")
        return response
