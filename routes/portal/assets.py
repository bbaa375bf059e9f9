"""The portal's stylesheet, script and icon: read once, sent compressed, kept by browsers for good."""

import gzip
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from routes.portal import render

TYPES = {"portal.css": "text/css", "portal.js": "text/javascript", "icon.svg": "image/svg+xml"}
HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@cache
def _content(name: str, *, compressed: bool) -> bytes:
    plain = (render.HERE / "static" / name).read_bytes()
    return gzip.compress(plain, mtime=0) if compressed else plain


async def _serve(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    headers = HEADERS | ({"Content-Encoding": "gzip"} if compressed else {})
    return Response(_content(name, compressed=compressed), headers=headers, media_type=TYPES[name])


ROUTES = [Route(f"/static/{name}", _serve) for name in TYPES]
