"""Network sync: approved cards travel between services as signed bundles."""

from typing import Annotated, Any

from fastapi import Body, Depends, Path, Query, Response
from pydantic import ConfigDict, Field
from starlette.requests import Request

from app.ids import Id
from models.network import IncomingKind, Peer, PeerContent, RefusedItem, Trust
from models.types import UtcDatetime
from routes.api.deps import CurrentActor, IfMatch, PageQuery, etag
from routes.api.http import ApiRoute, api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.knowledge.network import identity, importing, peers, pulling
from services.knowledge.network.bundles import FORMAT, MAX_BYTES
from services.knowledge.network.changes import DEFAULT_LIMIT, MAX_LIMIT, changes

router = api_router("/network", tag="network")
exchange = api_router("/network", tag="network", route_class=ApiRoute)
"""Where bundles go in and out: the services take a transaction for each, and what is refused leaves its trace."""

KEY_EXAMPLE = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
PEER_EXAMPLE = {
    "name": "Workshop Mumbai",
    "url": "https://mumbai.example.com",
    "public_key": KEY_EXAMPLE,
    "trust": "approve_automatically",
}


class IdentityOut(Out):
    node_id: str
    public_key: str = Field(description="Ed25519, base 64: what the admins of the peers pin.")
    format: int = FORMAT


class NewPeer(PeerContent):
    model_config = ConfigDict(json_schema_extra={"examples": [PEER_EXAMPLE | {"node_id": "node_07kq2m9x4rd1hz6t8b3n"}]})

    node_id: Id = Field(description="As the peer's own `/api/network/identity` tells it.")


class PeerEdit(PeerContent):
    model_config = ConfigDict(json_schema_extra={"examples": [PEER_EXAMPLE]})


class PeerOut(Out):
    node_id: str = Field(validation_alias="id")
    name: str
    url: str
    public_key: str
    trust: Trust
    enabled: bool
    cursor: int = Field(description="Its changes up to this one are here.")
    acknowledged: int = Field(description="Our changes up to this one are there.")
    acknowledged_at: UtcDatetime | None
    last_attempt_at: UtcDatetime | None
    last_success_at: UtcDatetime | None
    last_error: str
    received: int = Field(description="Cards and shares of evidence that have come from it.")
    created_at: UtcDatetime


class PulledOut(Out):
    received: int
    added: int
    updated: int
    conflicts: int
    refused: int
    cursor: int


class ReceiptOut(Out):
    peer_id: str
    since: int
    until: int
    cards: int
    evidence: int
    added: int
    updated: int
    conflicts: int
    refused: list[RefusedItem] = Field(description="Items that broke a rule, with the reason; the first hundred.")
    created_at: UtcDatetime


class HeldBackOut(Out):
    failure_id: str = Field(validation_alias="card_id")
    reason: str = Field(validation_alias="held_back")


class WaitingOut(Out):
    failure_id: str = Field(validation_alias="card_id")
    peer_id: str
    kind: IncomingKind
    created_at: UtcDatetime


class StatusOut(Out):
    node_id: str
    head: int = Field(description="Number of our last change.")
    peers: list[PeerOut]
    held_back: list[HeldBackOut] = Field(description="Cards that are not offered because they seem to name a person.")
    waiting: list[WaitingOut] = Field(description="Versions from elsewhere that wait in the review queue.")
    receipts: list[ReceiptOut] = Field(description="Bundles of the last day, newest first.")


async def _load(node_id: Annotated[Id, Path()]) -> Peer:
    return await peers.get(node_id)


CurrentPeer = Annotated[Peer, Depends(_load)]


def _shown(peer: Peer, response: Response) -> PeerOut:
    etag(response, peer.revision)
    return PeerOut.model_validate(peer)


@router.get("/identity")
async def get_network_identity() -> IdentityOut:
    """This service's node id and public key. Give them to the admins of the peers."""
    return IdentityOut.model_validate(await identity.own())


@router.get("/status")
async def get_network_status() -> StatusOut:
    """How far the service and its peers have come with each other, and what wants attention."""
    found = await peers.status()
    return StatusOut(
        node_id=found.node.node_id,
        head=found.node.sequence,
        peers=[PeerOut.model_validate(peer) for peer in found.peers],
        held_back=[HeldBackOut.model_validate(card) for card in found.held_back],
        waiting=[WaitingOut.model_validate(one) for one in found.waiting],
        receipts=[ReceiptOut.model_validate(receipt) for receipt in found.receipts],
    )


@router.post("/peers", status_code=201, responses=problems(409))
async def add_peer(body: NewPeer, response: Response) -> PeerOut:
    """Pin another service by its node id and public key: from now on its bundles are taken."""
    content = PeerContent(**body.model_dump(exclude={"node_id"}))
    return _shown(await peers.add(body.node_id, content), response)


@router.get("/peers")
async def list_peers(page: PageQuery) -> PageOut[PeerOut]:
    """By node id."""
    return PageOut[PeerOut].of(await peers.list_peers(**page.as_arguments()))


@router.get("/peers/{node_id}", responses=problems(404))
async def get_peer(peer: CurrentPeer, response: Response) -> PeerOut:
    return _shown(peer, response)


@router.put("/peers/{node_id}", responses=problems(404, 412, 428))
async def replace_peer(peer: CurrentPeer, body: PeerEdit, revision: IfMatch, response: Response) -> PeerOut:
    """Change its name, address, key or trust, or switch it off."""
    content = PeerContent(**body.model_dump())
    return _shown(await peers.replace(peer, content, revision=revision), response)


@router.delete("/peers/{node_id}", status_code=204, responses=problems(404))
async def remove_peer(peer: CurrentPeer) -> None:
    """Take nothing from it any more. What has come from it stays."""
    await peers.remove(peer)


@exchange.post("/peers/{node_id}/pull", responses=problems(404, 409))
async def pull_from_peer(peer: CurrentPeer) -> PulledOut:
    """Fetch what is new at the peer now, and tell what it was."""
    return PulledOut.model_validate(await pulling.pull(peer))


@exchange.get("/changes", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def get_changes(
    actor: CurrentActor,
    since: Annotated[int, Query(ge=0, le=2**53, description="Number of the last change that the caller has.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Cards and shares of evidence.")] = DEFAULT_LIMIT,
) -> Response:
    """A signed bundle of the changes after `since`. A peer that asks says by it that it has everything before."""
    if actor.on_behalf_of is not None:
        await peers.acknowledge(actor.on_behalf_of, since)
    return Response(await changes(since, limit), media_type="application/json")


@exchange.post("/bundles", status_code=201, responses=problems(409, 413))
async def import_bundle(
    request: Request,
    _: Annotated[dict[str, Any], Body(description=f"A bundle as `/changes` gives it, at most {MAX_BYTES:,} bytes.")],
) -> ReceiptOut:
    """Take in a bundle that one of the pinned peers has signed, whoever brings it."""
    return ReceiptOut.model_validate(await importing.import_bundle(await request.body()))
