"""Changes of cards become offers to the network: each gets its place in a sequence without gaps.

Nothing that edits a card needs to know of it. A card's public state is compared with the one that was offered last;
what differs is a new version, whoever made it. Cards that have changed are found by `updated_at` with an overlap beyond
the longest transaction, and numbered under a lease in the transaction that writes their lineage: a change that commits
late gets a late number, so a reader's cursor never passes by it.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from pymongo import InsertOne, ReplaceOne

from app import clock
from app.database import in_transaction
from models.enums import FailureCardStatus
from models.failure_card import CardVersion, FailureCard
from models.learning import CardEvidence
from models.network import Ancestor, CardLineage, CardShare, PublicCard
from services import leases
from services.knowledge.network import identity, public, shares
from services.knowledge.network.vectors import bumped
from services.writing import stored_form, update

T = TypeVar("T")

OVERLAP = timedelta(minutes=10)
"""Longer than any transaction may last, and than the clocks of replicas differ."""
BATCH = 100
HISTORY_KEPT = 20
_PUBLIC = (FailureCardStatus.approved, FailureCardStatus.deprecated)


async def publish_due() -> None:
    """Offer every change that has committed by now; waits for another replica that is at it."""
    async with leases.hold("network:publish", patience=60) as held:
        if not held:
            return
        who = await identity.own()
        looked = clock.now()
        for card_ids in batches(await _changed(who.scanned_until), BATCH):
            await in_transaction(lambda ids=card_ids: publish(ids))
        await update(await identity.own(), {"scanned_until": looked})


async def _changed(since: Any) -> list[str]:
    """Cards whose revision has not been looked at."""
    query: dict[str, Any] = {} if since is None else {"updated_at": {"$gte": since - OVERLAP}}
    fields = {"revision": 1, "status": 1, "natural_key": 1}
    found = FailureCard.get_pymongo_collection().find(query, fields)
    current = {
        public.network_id(card["_id"], card.get("natural_key")): (card["_id"], card["revision"])
        async for card in found
        if card["status"] in _PUBLIC
    }
    seen: dict[str, int] = {}
    for ids in batches(current, 500):
        rows = CardLineage.get_pymongo_collection().find({"_id": {"$in": list(ids)}}, {"seen_revision": 1})
        seen |= {row["_id"]: row["seen_revision"] async for row in rows}
    return [card_id for key, (card_id, revision) in current.items() if seen.get(key) != revision]


async def publish(card_ids: Iterable[str]) -> None:
    """Bring lineage and our own share of these cards up to what the store now holds. In a transaction, of at most
    a few hundred cards."""
    wanted = sorted(card_ids)
    found = FailureCard.get_pymongo_collection().find({"_id": {"$in": wanted}})
    stored = {card["_id"]: card async for card in found if card["status"] in _PUBLIC}
    keys = {card_id: public.network_id(card_id, card.get("natural_key")) for card_id, card in stored.items()}
    lineages = await lineages_of(keys.values())
    # Given up before it was ever approved: nobody else's business.
    offered = {
        card_id: card for card_id, card in stored.items() if keys[card_id] in lineages or card.get("approved_at")
    }
    if not offered:
        return
    node = (await identity.own()).node_id
    fields = ("successor_id", "merged_into")
    named = {card[name] for card in offered.values() for name in fields if card.get(name)}
    successors = await network_ids(named)
    versions = [
        _renewed(card, keys[card_id], lineages.get(keys[card_id]), node, successors)
        for card_id, card in offered.items()
    ]
    for lineage in versions:
        if lineage.id not in lineages and lineage.id != lineage.card_id and lineage.version > 1:
            lineage.history = await _versions_before(lineage)
    stated = await _own_shares(versions, offered, node)
    await number([*versions, *stated])
    await write(CardLineage, [one for one in versions if one != lineages.get(one.id)], lineages)
    await write(CardShare, stated, {share.id for share in stated if share.stamp > 1})


async def number(records: Sequence[CardLineage | CardShare]) -> None:
    """Give those that wait for it their places in the sequence, in the transaction that writes them."""
    changed = [record for record in records if record.sequence == UNNUMBERED]
    if changed:
        first = await identity.advance(len(changed))
        for place, record in enumerate(changed, first):
            record.sequence = place


UNNUMBERED = -1
"""In place of a sequence: the change has not got its number yet."""


def _renewed(
    stored: Mapping[str, Any],
    network_id: str,
    lineage: CardLineage | None,
    node: str,
    successors: Mapping[str, str],
) -> CardLineage:
    """The card's lineage as its stored state has it: with a new version if that differs from the last one."""
    card = public.public_card(
        public.content_of_stored(stored),
        FailureCardStatus(stored["status"]),
        stored.get("deprecation_reason", ""),
        successors.get(stored.get("successor_id") or ""),
        successors.get(stored.get("merged_into") or ""),
    )
    print_ = public.fingerprint(card)
    if lineage is None:
        history = stored["confidence_history"]
        lineage = CardLineage(
            id=network_id,
            card_id=stored["_id"],
            origin=node,
            base_score=history[0]["previous_score"] if history else stored["confidence_score"],
            vector={node: 1},
            fingerprint=print_,
            version=stored["version"],
            status=card.status,
            deprecation_reason=card.deprecation_reason,
            successor_id=card.successor_id,
            merged_into=card.merged_into,
            sequence=UNNUMBERED,
        )
    elif lineage.fingerprint != print_ or lineage.version != stored["version"]:  # also there and back again
        lineage = follow(lineage, card, print_, vector=bumped(lineage.vector, node), version=stored["version"])
    elif lineage.sequence == 0 and not lineage.held_back:
        lineage = lineage.model_copy(update={"sequence": UNNUMBERED})  # approved here as it came
    return screened(lineage, card).model_copy(update={"seen_revision": stored["revision"]})


async def _versions_before(lineage: CardLineage) -> list[Ancestor]:
    """Of a loaded card that is published for the first time: another service that has loaded it too may still have
    one of these. No vector belongs to them, they were never offered."""
    before = {"card_id": lineage.card_id, "version": {"$lt": lineage.version}}
    found = await CardVersion.find(before).sort([("version", -1)]).limit(HISTORY_KEPT).to_list()
    return [
        Ancestor(
            fingerprint=public.fingerprint(public.public_card(version.content, FailureCardStatus.approved)),
            vector={},
            version=version.version,
            status=FailureCardStatus.approved,
        )
        for version in found
    ]


def screened(lineage: CardLineage, card: PublicCard) -> CardLineage:
    """A version that is about to be numbered, held back if it seems to name a person."""
    if lineage.sequence != UNNUMBERED:
        return lineage
    held_back = public.personal_data(card)
    return lineage.model_copy(update={"held_back": held_back, "sequence": 0 if held_back else UNNUMBERED})


def follow(lineage: CardLineage, card: PublicCard, print_: str, *, vector: dict[str, int], version: int) -> CardLineage:
    """The lineage with one more version, yet to be numbered; the one before it becomes an ancestor."""
    ancestor = Ancestor(**{name: getattr(lineage, name) for name in Ancestor.model_fields})
    return lineage.model_copy(
        update={
            "vector": vector,
            "fingerprint": print_,
            "version": version,
            "status": card.status,
            "deprecation_reason": card.deprecation_reason,
            "successor_id": card.successor_id,
            "merged_into": card.merged_into,
            "history": [ancestor, *lineage.history][:HISTORY_KEPT],
            "sequence": UNNUMBERED,
        }
    )


async def _own_shares(
    lineages: Sequence[CardLineage], stored: Mapping[str, Mapping[str, Any]], node: str
) -> list[CardShare]:
    """Our shares that say something new."""
    known = await shares.of_cards(list(stored))
    rows: dict[str, list[CardEvidence]] = {}
    for row in await CardEvidence.find({"card_id": {"$in": sorted(stored)}}).to_list():
        rows.setdefault(row.card_id, []).append(row)
    found = []
    for lineage in lineages:
        card_id = lineage.card_id
        if not lineage.sequence:
            continue
        card = FailureCard.model_validate(stored[card_id])
        before = next((share for share in known[card_id] if share.own), None)
        content = shares.own_content(card, lineage.id, node, rows.get(card_id, []), known[card_id], lineage.base_score)
        if content is not None and (before is None or content.stamp != before.stamp):
            found.append(share_of(content, card_id, before, own=True))
    return found


def share_of(content: Any, card_id: str, before: CardShare | None, *, own: bool) -> CardShare:
    """A share as it is stored, yet to be numbered."""
    return CardShare(
        id=f"{card_id}|{content.origin}",
        card_id=card_id,
        own=own,
        sequence=UNNUMBERED,
        created_at=before.created_at if before else clock.now(),
        revision=before.revision if before else 1,
        **dict(shares.content_of(content)),
    )


async def lineages_of(network_ids: Iterable[str]) -> dict[str, CardLineage]:
    wanted = sorted(set(network_ids))
    found = await CardLineage.find({"_id": {"$in": wanted}}).to_list() if wanted else []
    return {lineage.id: lineage for lineage in found}


async def network_ids(card_ids: set[str]) -> dict[str, str]:
    """By which ids the network knows these cards; a card that is not here keeps the id by which it was named."""
    if not card_ids:
        return {}
    cards = FailureCard.get_pymongo_collection().find({"_id": {"$in": sorted(card_ids)}}, {"natural_key": 1})
    known = {card["_id"]: public.network_id(card["_id"], card.get("natural_key")) async for card in cards}
    return {card_id: known.get(card_id, card_id) for card_id in card_ids}


async def write(model: type[CardLineage] | type[CardShare], records: Sequence[Any], existing: Container[str]) -> None:
    """Insert or replace these documents in one round trip; whoever else writes one of them conflicts with us."""
    now = clock.now()
    operations: list[InsertOne[Any] | ReplaceOne[Any]] = []
    for record in records:
        body = {**stored_form(record), "updated_at": now}
        if record.id in existing:
            operations.append(ReplaceOne({"_id": record.id}, {**body, "revision": record.revision + 1}))
        else:
            operations.append(InsertOne(body))
    if operations:
        await model.get_pymongo_collection().bulk_write(operations)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
