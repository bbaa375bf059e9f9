"""Taking a bundle in: each in one transaction with its cursor, so that a crash leaves all of it or nothing."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from app import clock
from app.database import in_transaction
from app.ids import new_id
from app.security import acting_as, agent, current_actor
from models.enums import FailureCardStatus
from models.event import Payload, SyncCompleted
from models.failure_card import FailureCard
from models.network import (
    BundleReceipt,
    CardItem,
    CardLineage,
    IncomingKind,
    IncomingVersion,
    Peer,
    ShareContent,
    Trust,
)
from models.symptom import Symptom
from services.events.record import record_all
from services.knowledge import reviews
from services.knowledge.changes import announce
from services.knowledge.evidence_rows import half_life
from services.knowledge.network import applying, bundles, conflicts, evidence, public, shares
from services.knowledge.network.bundles import Bundle
from services.knowledge.network.publishing import (
    UNNUMBERED,
    follow,
    lineages_of,
    number,
    publish,
    screened,
    write,
)
from services.knowledge.network.taken import PUBLIC, Taken
from services.knowledge.network.vectors import joined
from services.knowledge.network.verdict import Verdict, judge
from services.writing import insert_many, update

log = structlog.get_logger(__name__)

REFUSED_KEPT = 100
BULK_DELAY = timedelta(minutes=2)
"""Of the events of cards that come with many others: nobody waits for their edges in the graph, but for the cards."""


async def import_bundle(raw: bytes) -> BundleReceipt:
    """Check a bundle and take it in, see `take`. Raises as `bundles.opened` does, too."""
    return await take(await bundles.opened(raw))


async def take(bundle: Bundle, *, received_before: int = 0) -> BundleReceipt:
    """Take in a bundle whose signature was checked. `received_before`: items that the same pull has brought already.

    Raises Replayed and Gap where it does not begin at what is here; OtherHalfLife.
    """
    caller = current_actor()
    with acting_as(agent("network", on_behalf_of=caller.on_behalf_of or caller.id, cause=caller.cause)):
        return await in_transaction(lambda: _take(bundle, received_before))


async def import_file(file: Path) -> str:
    """Take in what `changes.write_file` wrote; bundles that are here already are passed over. Returns a summary."""
    known, receipts = 0, []
    with file.open("rb") as lines:
        while line := lines.readline(bundles.MAX_BYTES + 2):
            try:
                receipts.append(await import_bundle(line.rstrip(b"\n")))
            except bundles.Replayed:
                known += 1
    added, updated = sum(one.added for one in receipts), sum(one.updated for one in receipts)
    waiting, refused = sum(one.conflicts for one in receipts), sum(len(one.refused) for one in receipts)
    return (
        f"{len(receipts)} bundles taken in, {known} known already: {added} cards added, {updated} updated, "
        f"{waiting} conflicts, {refused} items refused."
    )


async def _take(bundle: Bundle, received_before: int) -> BundleReceipt:
    payload = bundle.payload
    peer = await Peer.find_one({"_id": bundle.peer.id})
    _require_next(peer, bundle)
    taken = Taken(peer, in_bulk=payload.more)
    cards = taken.read(payload.cards, CardItem)
    stated = taken.read(payload.evidence, ShareContent)
    await _add_symptoms(bundle)
    await _take_cards(taken, cards)
    await evidence.take_evidence(taken, stated)
    await conflicts.settle(taken.card_ids)
    announce(*taken.card_ids)
    count = len(payload.cards) + len(payload.evidence)
    if not payload.more:
        await record_all([SyncCompleted(peer_id=peer.id, received=received_before + count, sent=0)])
    await update(peer, {"cursor": payload.until, "received": peer.received + count})
    receipt = BundleReceipt(
        id=bundle.digest,
        peer_id=peer.id,
        since=payload.since,
        until=payload.until,
        cards=len(payload.cards),
        evidence=len(payload.evidence),
        added=taken.added,
        updated=taken.updated,
        conflicts=taken.conflicts,
        refused=taken.refused[:REFUSED_KEPT],
    )
    await BundleReceipt.get_pymongo_collection().delete_one({"_id": receipt.id})
    await receipt.insert()
    for refused in taken.refused:
        log.warning("an item of a bundle was refused", peer=peer.id, item=refused.item, reason=refused.reason)
    return receipt


def _require_next(peer: Peer | None, bundle: Bundle) -> None:
    payload = bundle.payload
    if peer is None or not peer.enabled:
        raise bundles.UnknownSigner(f"{payload.node} is no peer of this service any more.")
    if payload.until <= peer.cursor:
        raise bundles.Replayed(f"The changes of {peer.name} are here up to {peer.cursor}.", cursor=peer.cursor)
    if payload.since > peer.cursor:
        raise bundles.Gap(
            f"The changes of {peer.name} are here up to {peer.cursor}, this begins after {payload.since}.",
            cursor=peer.cursor,
        )
    ours = half_life().total_seconds() / 86_400
    if payload.half_life_days != ours:
        raise bundles.OtherHalfLife(
            f"EFI_EVIDENCE_HALF_LIFE_DAYS is {ours:g} here and {payload.half_life_days:g} at {peer.name}: "
            "evidence can only be added up where it decays alike."
        )


async def _add_symptoms(bundle: Bundle) -> None:
    """Entries of the symptom library that the cards name and that are unknown here; what is here stays as it is."""
    wanted = {content.symptom_code: content for content in bundle.payload.symptoms}
    if not wanted:
        return
    fresh = {code: Symptom(**content.model_dump()) for code, content in wanted.items()}
    names = [symptom.name_key for symptom in fresh.values()]
    known = await Symptom.find({"symptom_code": {"$in": sorted(wanted)}}).to_list()
    known += await Symptom.find({"name_key": {"$in": sorted(names)}}).to_list()
    codes, taken = {one.symptom_code for one in known}, {one.name_key for one in known}
    added = {one.name_key: one for one in fresh.values() if one.symptom_code not in codes and one.name_key not in taken}
    if added:
        await Symptom.insert_many(list(added.values()))


async def _take_cards(taken: Taken, items: list[CardItem]) -> None:
    by_id = {item.network_id: item for item in items}
    lineages, occupied = await _present(by_id)
    cards = await evidence.cards_by_id(lineage.card_id for lineage in lineages.values())
    fresh: list[tuple[CardItem, str]] = []
    written: list[CardLineage] = []
    for network_id, item in by_id.items():
        lineage = lineages.get(network_id)
        if lineage is None and occupied & {network_id, item.natural_key}:
            taken.refuse({"network_id": network_id}, "a draft of that id or key is here")
        elif lineage is None:
            fresh.append((item, new_id("card") if item.natural_key else network_id))
        elif (changed := await _meet(taken, item, lineage, cards[lineage.card_id])) is not None:
            written.append(changed)
    added = await _add(taken, fresh)
    await number([*written, *added])
    await write(CardLineage, [*written, *added], lineages)


async def _present(items: Mapping[str, CardItem]) -> tuple[dict[str, CardLineage], set[str | None]]:
    """The lineages of the cards that are here, brought up to what the cards say now; and the ids and keys of all that
    are here, drafts too."""
    keys = [item.natural_key for item in items.values() if item.natural_key]
    ids = [network_id for network_id, item in items.items() if not item.natural_key]
    here: dict[str, str | None] = {}
    for query in ({"_id": {"$in": ids}}, {"natural_key": {"$in": keys}}):
        found = FailureCard.get_pymongo_collection().find(query, {"natural_key": 1})
        here |= {card["_id"]: card.get("natural_key") async for card in found}
    if here:
        await publish(here)
    return await lineages_of(items), {*here, *here.values()} - {None}


async def _meet(taken: Taken, item: CardItem, lineage: CardLineage, card: FailureCard) -> CardLineage | None:
    """What comes of a version from elsewhere on a card that is here; the lineage if it has changed."""
    print_ = public.fingerprint(item.card)
    match judge(item, print_, lineage):
        case Verdict.known:
            return None
        case Verdict.join | Verdict.keep as verdict:
            version = max(item.version, card.version)
            if verdict is Verdict.keep and item.version >= card.version:
                version = item.version + 1
            return await _join(taken, item, lineage, card, version)
        case Verdict.advance if card.status not in PUBLIC:
            return await _renew_waiting(taken, item, print_, lineage, card)
        case Verdict.advance if taken.peer.trust is Trust.approve_automatically:
            return await _advance(taken, item, print_, lineage, card)
        case verdict:
            kind = IncomingKind.update if verdict is Verdict.advance else IncomingKind.conflict
            await _hold(taken, item, print_, card, kind)
            return None


async def _join(taken: Taken, item: CardItem, lineage: CardLineage, card: FailureCard, version: int) -> CardLineage:
    """Both say the same, or ours has grown out of theirs: only the histories come together."""
    if version != card.version:
        card = await applying.write_state(
            card,
            conflicts.shown(card, lineage),
            version=version,
            summary="the same elsewhere",
        )
        taken.card_ids.add(card.id)
    return _bound(taken, item, lineage).model_copy(
        update={
            "vector": joined(lineage.vector, item.vector),
            "version": version,
            "sequence": UNNUMBERED if lineage.sequence else 0,
            "seen_revision": card.revision,
        }
    )


async def _advance(taken: Taken, item: CardItem, print_: str, lineage: CardLineage, card: FailureCard) -> CardLineage:
    """Theirs has seen ours: it takes its place."""
    changed = conflicts.shown(card, lineage).content != item.card.content
    version = item.version if item.version > card.version else card.version + changed
    written = await applying.write_state(
        card,
        item.card,
        version=version,
        summary=f"from {taken.peer.name}",
        also=_arrived(),
    )
    taken.updated += 1
    taken.card_ids.add(card.id)
    vector = joined(lineage.vector, item.vector)
    following = screened(
        follow(_bound(taken, item, lineage), item.card, print_, vector=vector, version=version), item.card
    )
    following.seen_revision = written.revision
    return following


async def _renew_waiting(
    taken: Taken, item: CardItem, print_: str, lineage: CardLineage, card: FailureCard
) -> CardLineage:
    """A card that waits for its review here has a newer version there: the review goes on with that one, or ends if the
    card was given up there."""
    if item.card.status is FailureCardStatus.deprecated:
        if (review := await reviews.open_review(card.id)) is not None:
            await applying.withdraw(review.id, "given up where it came from")
        return await _advance(taken, item, print_, lineage, card)
    waiting = item.card.model_copy(update={"status": FailureCardStatus.pending_review})
    written = await applying.write_state(
        card,
        waiting,
        version=max(item.version, card.version + 1),
        summary=f"from {taken.peer.name}",
        also=_arrived(),
    )
    await reviews.open_for(written)
    taken.updated += 1
    taken.card_ids.add(card.id)
    vector = joined(lineage.vector, item.vector)
    following = follow(_bound(taken, item, lineage), item.card, print_, vector=vector, version=written.version)
    return following.model_copy(update={"sequence": 0})


def _arrived() -> dict[str, Any]:
    return {"synced_to_network": True, "last_sync_at": clock.now()}


def _bound(taken: Taken, item: CardItem, lineage: CardLineage) -> CardLineage:
    """Of two services that published a card independently (both had loaded it), the one with the lesser id counts as
    its origin, everywhere."""
    if item.origin >= lineage.origin:
        return lineage
    taken.rebased.add(lineage.id)
    return lineage.model_copy(update={"origin": item.origin, "base_score": item.base_score})


async def _hold(taken: Taken, item: CardItem, print_: str, card: FailureCard, kind: IncomingKind) -> None:
    """Keep it for an expert; `conflicts.settle` opens the review."""
    incoming = IncomingVersion(
        id=f"{item.network_id}|{print_}",
        network_id=item.network_id,
        card_id=card.id,
        peer_id=taken.peer.id,
        kind=kind,
        fingerprint=print_,
        item=item,
    )
    await IncomingVersion.get_pymongo_collection().delete_one({"_id": incoming.id})
    await incoming.insert()
    taken.conflicts += kind is IncomingKind.conflict
    taken.card_ids.add(card.id)


async def _add(taken: Taken, fresh: Sequence[tuple[CardItem, str]]) -> list[CardLineage]:
    """Cards that are unknown here: approved as they come, or before an expert, as the peer is trusted."""
    if not fresh:
        return []
    local = {item.network_id: card_id for item, card_id in fresh}
    heard = await evidence.rekeyed(local)
    named = await applying.local_ids(item.card for item, _ in fresh) | local
    cards, snapshots, waiting, told, lineages = [], [], [], list[Payload](), []
    automatic = taken.peer.trust is Trust.approve_automatically
    for item, card_id in fresh:
        offered = automatic or item.card.status is FailureCardStatus.deprecated
        status = item.card.status if offered else FailureCardStatus.pending_review
        card = applying.new_card(item, card_id, status, named)
        for name, value in shares.restated(card, item.base_score, None, [], heard[card_id], half_life()).items():
            setattr(card, name, value)
        review = None if offered else reviews.review_of(card)
        if review is not None:
            waiting.append(review)
        cards.append(card)
        snapshots.append(applying.snapshot_of(card, item))
        told += applying.created_events(card, review)
        lineages.append(applying.lineage_of(item, public.fingerprint(item.card), card_id, offered=offered))
    await insert_many(cards)
    await insert_many(snapshots)
    await insert_many(waiting)
    await record_all(told, delay=BULK_DELAY if taken.in_bulk else timedelta(0))
    taken.added += len(cards)
    taken.card_ids.update(local.values())
    return lineages
