"""The API's description: what FastAPI derives from the routes, completed by what it cannot know."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from routes.api.problems import schemas

TITLE = "EFI, EV Failure Intelligence"
DESCRIPTION = """\
The failure knowledge of a repair network, which learns from every repair.

* **Sign in** with `POST /api/auth/login` and send `Authorization: Bearer <access_token>`.
* **Errors** are problem documents (RFC 9457, `application/problem+json`) with a stable `code`.
* **Lists** give `items` and `next`; send `next` back as `after` for the following page.
* **Editing** needs `If-Match` with the `ETag` that was read: 428 without, 412 if somebody was faster.
* **Repeating** a `POST` with the same `Idempotency-Key` takes effect once.
* **Times** are ISO 8601 in UTC; a time that is sent must carry its zone. Unknown fields are refused.
"""
TAGS = {
    "auth": "Sign in, stay signed in, sign out.",
    "users": "People and service accounts.",
    "organisations": "Customers, and what belongs to them.",
    "sites": "Workshops.",
    "vehicles": "Vehicles in service, and the catalogue of models.",
    "failure cards": "What is known of a failure: signature, symptoms, diagnosis, resolution, evidence.",
    "review queue": "Drafts on their way to becoming knowledge.",
    "card flags": "Flag it or fix it: what is the matter with a card, and proposed edits that settle it.",
    "knowledge health": "Cards due for review, figures of the whole, and credit for those who wrote it.",
    "draft assistance": "Help with drafts: content out of repairs, suggestions with their sources.",
    "incidents": "Failures that emerge: unusually many alike tickets that no known failure explains.",
    "symptoms": "The symptom library.",
    "knowledge graph": "The knowledge graph's edges.",
    "matching": "Which known failures explain this ticket.",
    "tickets": "A vehicle comes in, is worked and goes out.",
    "photos": "Photos of a ticket.",
    "guided diagnosis": "What to check next, why, and when to stop.",
    "technician actions": "What a technician found and did.",
    "parts": "Parts taken for a ticket, fitted or returned.",
    "events": "The log of what happened, and what has been made of it.",
    "reports": "How far the knowledge can be trusted.",
    "network": "Exchange of approved cards with other services.",
    "inbox": "Messages to you.",
    "operations": "For those who run the service.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, built once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas())
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema
