"""What this service offers: its changes since a cursor, as one signed bundle of bounded size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app import clock
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.network import CardItem, CardLineage, CardShare
from models.symptom import Symptom, SymptomContent
from services.knowledge.evidence_rows import half_life
from services.knowledge.network import bundles, identity, public, shares
from services.knowledge.network.publishing import publish_due

DEFAULT_LIMIT, MAX_LIMIT = 200, 300
_ROOM = bundles.MAX_BYTES - 100_000
"""For the items of one bundle; the rest is for what surrounds them."""


async def changes(since: int, limit: int = DEFAULT_LIMIT) -> bytes:
    """The changes after number `since`, at most `limit` cards and shares, as a signed bundle.

    `until` of its payload is the cursor for the next one; there is no next one where `more` is false. Not for use in a
    transaction.
    """
    found = await _rows(since, limit + 1)
    if len(found) <= limit:  # at the end: look whether something has changed meanwhile
        await publish_due()
        found = await _rows(since, limit + 1)
    who = await identity.own()
    cards = [row for row in found[:limit] if isinstance(row, CardLineage)]
    stored = {
        card["_id"]: card
        async for card in FailureCard.get_pymongo_collection().find({"_id": {"$in": [row.card_id for row in cards]}})
    }
    payload: dict[str, Any] = {
        "format": bundles.FORMAT,
        "node": who.node_id,
        "issued_at": clock.now().isoformat(),
        "since": since,
        "until": since,
        "head": who.sequence,
        "half_life_days": half_life().total_seconds() / 86_400,
        "cards": [],
        "evidence": [],
    }
    size, taken = 0, 0
    for row in found[:limit]:
        kind = "cards" if isinstance(row, CardLineage) else "evidence"
        shown = _card_item(row, stored[row.card_id]) if isinstance(row, CardLineage) else shares.content_of(row)
        if shown is not None:
            item = public.as_json(shown)
            size += len(public.canonical(item))
            if size > _ROOM and taken:
                break
            payload[kind].append(item)
        payload["until"] = row.sequence
        taken += 1
    payload["more"] = taken < len(found)
    payload["symptoms"] = await _symptoms(payload["cards"])
    return bundles.sealed(payload, who)


async def write_file(file: Path, since: int) -> int:
    """Write bundle after bundle, each on a line, until nothing is left; returns the cursor for the next file."""
    with file.open("wb") as lines:
        while True:
            raw = await changes(since)
            payload, _ = bundles.parts(raw)
            if payload["until"] > since:
                lines.write(raw + b"\n")
                since = payload["until"]
            if not payload["more"]:
                return since


async def _rows(since: int, limit: int) -> list[CardLineage | CardShare]:
    """The next offers of both kinds, in the order of the sequence."""
    rows: list[CardLineage | CardShare] = []
    # The embedded store reads all that matches, whatever the limit: numbers are dense, so a bounded stretch will do.
    stretch = limit
    head = (await identity.own()).sequence
    while len(rows) < limit and since < head:
        window = {"sequence": {"$gt": since, "$lte": since + stretch}}
        for model in (CardLineage, CardShare):
            rows += await model.find(window).to_list()
        since, stretch = since + stretch, stretch * 2
    return sorted(rows, key=lambda row: row.sequence)[:limit]


def _card_item(lineage: CardLineage, stored: Mapping[str, Any]) -> CardItem | None:
    """The card as its lineage has it. None if it has moved on since: it comes again, under a new number."""
    card = public.public_card(
        public.content_of_stored(stored),
        FailureCardStatus(stored["status"]),
        lineage.deprecation_reason,
        lineage.successor_id,
        lineage.merged_into,
    )
    if public.fingerprint(card) != lineage.fingerprint:
        return None
    return CardItem(
        network_id=lineage.id,
        natural_key=stored.get("natural_key"),
        loaded_fingerprint=stored.get("loaded_fingerprint"),
        origin=lineage.origin,
        base_score=lineage.base_score,
        version=lineage.version,
        vector=lineage.vector,
        ancestors=[ancestor.fingerprint for ancestor in lineage.history],
        approved_at=stored.get("approved_at"),
        card=card,
    )


async def _symptoms(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of the library that these cards name."""
    codes = {code for card in cards for code in card["card"]["content"].get("symptom_codes", [])}
    found = await Symptom.find({"symptom_code": {"$in": sorted(codes)}}).to_list() if codes else []
    return [
        public.as_json(SymptomContent(**{name: getattr(symptom, name) for name in SymptomContent.model_fields}))
        for symptom in found
    ]
