"""Asking peers for their changes, over HTTP: by the clock, or when somebody says so."""

from dataclasses import dataclass
from datetime import timedelta

import httpx2
import structlog

from app import clock
from app.database import in_transaction
from app.errors import Conflict, EfiError, Unavailable
from app.security import acting_as, agent, current_actor
from models.event import SyncCompleted, SyncRequested
from models.network import Peer
from services import leases
from services.events.record import record, record_all
from services.knowledge.network import bundles, identity, peers
from services.knowledge.network.changes import DEFAULT_LIMIT
from services.knowledge.network.importing import take
from services.knowledge.network.publishing import publish_due
from services.writing import update

log = structlog.get_logger(__name__)

TIMEOUT = timedelta(seconds=60)
"""For one answer: a peer with many new cards numbers them before it answers."""


class PeerFailed(Unavailable):
    code, title = "peer_failed", "The peer did not give its changes"


class Busy(Conflict):
    code, title = "pull_running", "Its changes are being fetched already"


@dataclass
class Pulled:
    """What one pull has brought."""

    received: int = 0
    added: int = 0
    updated: int = 0
    conflicts: int = 0
    refused: int = 0
    cursor: int = 0


async def pull(peer: Peer, *, asked: bool = True) -> Pulled:
    """Fetch and take in everything that is new at the peer, bundle by bundle; what has been taken in stays, whatever
    happens to the next one. `asked`: somebody wants it now, so that it is told even if there is nothing.

    Raises Conflict for a peer without a URL or switched off, Busy, PeerFailed, and as `bundles.opened` and
    `importing.take` do. Not for use in a transaction.
    """
    if not peer.url or not peer.enabled:
        raise Conflict(f"{peer.name} has no URL or is switched off.")
    caller = current_actor()
    with acting_as(agent("network", on_behalf_of=caller.id, cause=caller.cause)):
        async with leases.hold(f"network:pull:{peer.id}", seconds=TIMEOUT.total_seconds() * 1.5) as held:
            if not held:
                raise Busy(f"Another pull from {peer.name} is under way.")
            return await _watched(peer, asked=asked)


async def pull_all() -> None:
    """Every peer that can be asked, one after another; one that fails does not keep the others. What has changed here
    is numbered first, so that no peer has to wait for it."""
    known = await Peer.find().sort([("_id", 1)]).to_list()
    if known:
        with acting_as(agent("network")):
            await publish_due()
    for peer in known:
        if not peer.url or not peer.enabled:
            continue
        try:
            await pull(peer, asked=False)
        except EfiError as error:
            log.warning("a pull failed", peer=peer.id, code=error.code, reason=error.detail)


async def _watched(peer: Peer, *, asked: bool) -> Pulled:
    begun = clock.now()
    try:
        pulled = await _pull(peer, asked=asked)
    except EfiError as error:
        await _note(peer.id, last_attempt_at=begun, last_error=f"{error.code}: {error.detail}"[:500])
        raise
    await _note(peer.id, last_attempt_at=begun, last_success_at=clock.now(), last_error="")
    return pulled


async def _pull(peer: Peer, *, asked: bool) -> Pulled:
    pulled = Pulled(cursor=peer.cursor)
    told = False
    async with httpx2.AsyncClient(timeout=TIMEOUT.total_seconds(), follow_redirects=False) as client:
        while True:
            raw = await _fetch(client, peer, pulled.cursor)
            bundle = await bundles.opened(raw)
            payload = bundle.payload
            if payload.node != peer.id:
                raise PeerFailed(f"{peer.url} answers for {payload.node}, not for {peer.name}.")
            if payload.head < pulled.cursor:
                # Its store was set back to an earlier state. Taking everything again changes nothing twice.
                log.warning("a peer begins anew", peer=peer.id, cursor=pulled.cursor, head=payload.head)
                await _note(peer.id, cursor=0)
                pulled.cursor = 0
                continue
            if payload.until <= pulled.cursor:
                break
            if not told:
                await in_transaction(lambda: record(SyncRequested(peer_id=peer.id)))
                told = True
            receipt = await take(bundle, received_before=pulled.received)
            pulled.received += receipt.cards + receipt.evidence
            pulled.added += receipt.added
            pulled.updated += receipt.updated
            pulled.conflicts += receipt.conflicts
            pulled.refused += len(receipt.refused)
            pulled.cursor = receipt.until
    if asked and not told:
        await in_transaction(
            lambda: record_all([SyncRequested(peer_id=peer.id), SyncCompleted(peer_id=peer.id, received=0, sent=0)])
        )
    return pulled


async def _fetch(client: httpx2.AsyncClient, peer: Peer, since: int) -> bytes:
    """One bundle, read no further than a bundle may be long."""
    token = peers.token_for(peer, await identity.own())
    url = f"{peer.url.rstrip('/')}/api/network/changes"
    query = {"since": since, "limit": DEFAULT_LIMIT}
    try:
        async with client.stream("GET", url, params=query, headers={"Authorization": f"Bearer {token}"}) as answer:
            raw = bytearray()
            async for piece in answer.aiter_bytes():
                raw += piece
                if len(raw) > bundles.MAX_BYTES:
                    raise PeerFailed(f"{peer.name} answers with more than {bundles.MAX_BYTES:,} bytes.")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise PeerFailed(f"{peer.name} at {peer.url} cannot be reached: {error or type(error).__name__}.") from None
    if answer.status_code != 200:
        raise PeerFailed(f"{peer.name} answers {answer.status_code}: {bytes(raw[:300]).decode(errors='replace')}")
    return bytes(raw)


async def _note(peer_id: str, **changes: object) -> None:
    async def work() -> None:
        peer = await Peer.find_one({"_id": peer_id})
        if peer is not None:  # it may have been removed meanwhile
            await update(peer, changes)

    await in_transaction(work)
