"""`docs/api.md`, written from the API's own description."""

from typing import Any

_INTRODUCTION = """\
# API by capability

Written by `efi reference` from the service's OpenAPI description, which the running service shows in full, with schemas
and examples, at `/docs/`. Roles are those of the permission table, `routes/api/permissions.py`.
"""


def api_reference(document: dict[str, Any]) -> str:
    """A Markdown table per tag: method, path, what it does, who may. `document` is the OpenAPI document."""
    rows: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            roles = ", ".join(operation.get("x-roles", [])) or "anyone"
            told = operation.get("description", "").split("\n\n")[0].replace("\n", " ") or operation["summary"]
            rows[operation["tags"][0]].append(f"| `{method.upper()} {path}` | {told} | {roles} |")
    parts = [_INTRODUCTION]
    for tag in document["tags"]:
        if rows[tag["name"]]:
            table = "\n".join(["| request | what it does | who may |", "|---|---|---|", *rows[tag["name"]]])
            parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n{table}\n")
    return "\n".join(parts)
