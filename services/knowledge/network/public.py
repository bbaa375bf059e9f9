"""What of a card leaves the service, and how one state of it is told from another. Pure functions."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from app.ids import id_of
from models.enums import FailureCardStatus
from models.failure_card import CardContent
from models.network import PublicCard
from services.knowledge.content import CONTENT_FIELDS

_PERSONAL = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    # Ten digits or more, written as numbers are dialled; part numbers carry letters, dashes between groups or both.
    "a telephone number": re.compile(r"(?<![\w.-])(?:\+\d{1,3}[ -]?(?:\d[ -]?){8,11}\d|[6-9]\d{4}[ -]?\d{5})(?![\w-])"),
    "a registration": re.compile(r"(?<!\w)[A-Z]{2}[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{4}(?!\w)"),
}
"""What betrays a person in running text. Names cannot be told from words by their form: an expert looks for them."""
_TECHNICAL = frozenset({"error_codes", "symptom_codes", "failure_signature", "part_number", "substitutes", "keywords"})
"""Fields of codes and numbers, which may look like a registration and never are one."""


def network_id(card_id: str, natural_key: str | None) -> str:
    """The id by which the network knows a card: its own, or, for what was loaded from a file, that of its key, since
    every service that loads the file makes a card of its own."""
    return id_of("card", natural_key) if natural_key else card_id


def canonical(value: Any) -> bytes:
    """JSON in the one form that is signed and hashed: names sorted, nothing between the tokens, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def as_json(value: BaseModel) -> dict[str, Any]:
    """Without defaults: a field that a later release adds does not change what is hashed."""
    return value.model_dump(mode="json", exclude_defaults=True)


def fingerprint(card: PublicCard) -> str:
    return hashlib.blake2b(canonical(as_json(card)), digest_size=16).hexdigest()


def content_of_stored(stored: Mapping[str, Any]) -> CardContent:
    """What authors wrote on a card, out of the stored document."""
    return CardContent.model_validate({name: stored[name] for name in CONTENT_FIELDS & stored.keys()})


def public_card(
    content: CardContent,
    status: FailureCardStatus,
    reason: str = "",
    successor_id: str | None = None,
    merged_into: str | None = None,
) -> PublicCard:
    """Without the ids of this service's own parts; other cards are named as the network knows them."""
    if any(part.part_id for part in content.required_parts):
        parts = [part.model_copy(update={"part_id": None}) for part in content.required_parts]
        content = content.model_copy(update={"required_parts": parts})
    return PublicCard(
        content=content,
        status=status,
        deprecation_reason=reason,
        successor_id=successor_id,
        merged_into=merged_into,
    )


def with_own_parts(content: CardContent, ours: CardContent | None) -> CardContent:
    """Content from elsewhere, its parts tied again to the articles that our version of the card names."""
    ids = {part.part_number: part.part_id for part in ours.required_parts if part.part_number} if ours else {}
    if not any(ids.values()):
        return content
    parts = [part.model_copy(update={"part_id": ids.get(part.part_number)}) for part in content.required_parts]
    return content.model_copy(update={"required_parts": parts})


def personal_data(card: PublicCard) -> str:
    """A sentence on what in the card seems to name a person, empty if nothing does."""
    for path, text in _texts("", as_json(card)):
        for what, pattern in _PERSONAL.items():
            if pattern.search(text):
                return f"{path.removeprefix('.content.')} seems to hold {what}"
    return ""


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _TECHNICAL and not name.endswith(("_id", "_at", "_cost")):
                yield from _texts(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(f"{path}[{number}]", inner)
