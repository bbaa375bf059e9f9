"""The versions of a card: its whole content at every change, and what changed."""

import re
from typing import Any

from app import clock
from app.errors import Invalid, NotFound
from models.failure_card import CardContent, CardVersion, FailureCard, VersionEntry
from models.record import ActorRef
from services.knowledge.diff import Difference, differences
from services.paging import Page

_CURSOR = re.compile(r"[0-9]{1,9}")
HISTORY_KEPT = 200
"""Entries of the version history that stay on the card; the versions themselves are all kept."""


def entry(version: int, summary: str, changed_fields: list[str], proposed_by: ActorRef | None = None) -> VersionEntry:
    """The line of the version history for a change made now by the current actor, who may follow a proposal."""
    return VersionEntry(
        version=version,
        timestamp=clock.now(),
        updated_by=ActorRef.current(),
        proposed_by=proposed_by,
        summary=summary,
        changed_fields=changed_fields,
    )


def snapshot(card: FailureCard, content: CardContent, summary: str, proposed_by: ActorRef | None = None) -> CardVersion:
    """The card's present version, ready to be stored."""
    return CardVersion(
        card_id=card.id,
        version=card.version,
        status=card.status,
        content=content,
        changed_by=ActorRef.current(),
        proposed_by=proposed_by,
        summary=summary,
    )


async def list_versions(card_id: str, *, limit: int = 50, after: str | None = None) -> Page[CardVersion]:
    """Newest first; the cursor is the number of the last version shown. Raises Invalid for any other."""
    query: dict[str, Any] = {"card_id": card_id}
    if after is not None:
        if not _CURSOR.fullmatch(after):
            raise Invalid.field("after", "is not a cursor that this service gave out")
        query["version"] = {"$lt": int(after)}
    found = await CardVersion.find(query).sort([("version", -1)]).limit(limit + 1).to_list()
    return Page(found[:limit], str(found[limit - 1].version) if len(found) > limit else None)


async def find(card_id: str, version: int) -> CardVersion | None:
    return await CardVersion.find_one({"card_id": card_id, "version": version})


async def get_version(card_id: str, version: int) -> CardVersion:
    """Raises NotFound."""
    found = await find(card_id, version)
    if found is None:
        raise NotFound(f"The card {card_id} has no version {version}.")
    return found


async def diff(card_id: str, old: int, new: int) -> list[Difference]:
    """What changed from one version to another, in either direction. Raises NotFound."""
    return differences((await get_version(card_id, old)).content, (await get_version(card_id, new)).content)
