"""The other services: pinned by an admin, known by their keys."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymongo.errors import DuplicateKeyError

from app import clock
from app.database import in_transaction
from app.errors import Duplicate, Invalid, NotFound, Stale, Unauthenticated
from app.security import Actor, agent
from models.event import SyncCompleted
from models.failure_card import FailureCard
from models.network import BundleReceipt, CardLineage, IncomingVersion, NetworkIdentity, Peer, PeerContent
from services.events.record import record
from services.knowledge.network import identity
from services.knowledge.network.publishing import batches
from services.paging import Page, page
from services.writing import update

ALGORITHM = "EdDSA"
TOKEN_LASTS = timedelta(minutes=2)
_MARK_BATCH = 200


async def add(node_id: str, content: PeerContent) -> Peer:
    """Pin a peer. Raises Duplicate for one that is there, Invalid for ourselves and for what is no key."""
    identity.require_public_key(content.public_key)
    if node_id == (await identity.own()).node_id:
        raise Invalid.field("node_id", "is this service's own", node_id)
    peer = Peer(id=node_id, **content.model_dump())
    try:
        await peer.insert()
    except DuplicateKeyError:
        raise Duplicate(f"{node_id} is a peer already.") from None
    return peer


async def get(node_id: str) -> Peer:
    """Raises NotFound."""
    peer = await Peer.find_one({"_id": node_id})
    if peer is None:
        raise NotFound.of("peer", node_id)
    return peer


async def list_peers(*, limit: int = 50, after: str | None = None) -> Page[Peer]:
    """By node id, that is, those that have been in the network longest first."""
    return await page(Peer, {}, limit=limit, after=after, newest_first=False)


async def replace(peer: Peer, content: PeerContent, *, revision: int) -> Peer:
    """Raises Stale unless `revision` is the current one, and Invalid for what is no key."""
    if peer.revision != revision:
        raise Stale("Somebody else, or a pull, changed it; read it again.")
    identity.require_public_key(content.public_key)
    return await update(peer, content.model_dump())


async def remove(peer: Peer) -> None:
    """Nothing is taken from it any more; what has come from it stays."""
    await Peer.get_pymongo_collection().delete_one({"_id": peer.id})


def token_for(peer: Peer, who: NetworkIdentity) -> str:
    """What proves to a peer who asks: a JWT that we sign (RFC 8037), for this peer and the next minutes only."""
    now = clock.now()
    claims = {"iss": who.node_id, "aud": peer.id, "iat": now, "exp": now + TOKEN_LASTS}
    return jwt.encode(claims, identity.private_key(who), algorithm=ALGORITHM)


def is_token(token: str) -> bool:
    """Whether the token claims to be a peer's and not a person's."""
    try:
        return jwt.get_unverified_header(token).get("alg") == ALGORITHM
    except jwt.InvalidTokenError:
        return False


async def authenticate(token: str) -> Actor:
    """The pinned peer that signed the token, as the agent of the network. Raises Unauthenticated."""
    refused = Unauthenticated("The token is of no peer of this service.", reason="invalid")
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        peer = await Peer.find_one({"_id": issuer}) if isinstance(issuer, str) else None
        if peer is None or not peer.enabled:
            raise refused
        key = Ed25519PublicKey.from_public_bytes(identity.raw_key(peer.public_key))
        jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=(await identity.own()).node_id,
            leeway=TOKEN_LASTS,  # the clocks of two services differ by more than those of replicas
            options={"require": ["iss", "aud", "exp", "iat"], "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        raise refused from None
    return agent("network", on_behalf_of=peer.id)


async def acknowledge(node_id: str, sequence: int) -> None:
    """The peer asks for what comes after `sequence`: it has everything before. Cards that travelled are marked so.

    A peer whose store was set back asks for earlier changes again; what is marked stays, it had arrived.
    """
    peer = await get(node_id)
    who = await identity.own()
    arrived = min(sequence, who.sequence)
    if arrived <= peer.acknowledged:
        return
    window = {"sequence": {"$gt": peer.acknowledged, "$lte": arrived}}
    fields = {"card_id": 1}
    card_ids = [row["card_id"] async for row in CardLineage.get_pymongo_collection().find(window, fields)]
    for batch in batches(card_ids, _MARK_BATCH):
        await in_transaction(lambda ids=batch: _mark(ids))
    await in_transaction(lambda: _note_arrival(node_id, arrived, done=arrived == who.sequence))


async def _mark(card_ids: list[str]) -> None:
    """Not under the revision: nobody's edit must fail because a card has travelled.

    In a transaction: on the embedded store a plain update of many documents can wait for ever beside one.
    """
    await FailureCard.get_pymongo_collection().update_many(
        {"_id": {"$in": card_ids}}, {"$set": {"synced_to_network": True, "last_sync_at": clock.now()}}
    )


async def _note_arrival(node_id: str, arrived: int, *, done: bool) -> None:
    """The event is recorded once the peer has all there is."""
    peer = await get(node_id)
    changes: dict[str, Any] = {"acknowledged": arrived, "acknowledged_at": clock.now()}
    if done:
        changes["reported"] = arrived
        await record(SyncCompleted(peer_id=node_id, received=0, sent=arrived - peer.reported))
    await update(peer, changes)


@dataclass(frozen=True)
class Status:
    """Where the service stands in its network."""

    node: NetworkIdentity
    peers: list[Peer]
    held_back: list[CardLineage]
    waiting: list[IncomingVersion]
    receipts: list[BundleReceipt]


async def status(*, shown: int = 50) -> Status:
    """The first `shown` of each kind; cards that are held back and versions that wait want somebody's attention."""
    return Status(
        await identity.own(),
        await Peer.find().sort([("_id", 1)]).limit(shown).to_list(),
        await CardLineage.find({"held_back": {"$gt": ""}}).limit(shown).to_list(),
        await IncomingVersion.find({"_id": {"$gt": ""}}).limit(shown).to_list(),
        await BundleReceipt.find({"created_at": {"$gt": clock.now() - timedelta(days=1)}})
        .sort([("created_at", -1)])
        .limit(shown)
        .to_list(),
    )
