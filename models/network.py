"""Network sync: who this service and its peers are, where each card stands in its history, and what others learned."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id
from models.enums import FailureCardStatus
from models.failure_card import CardContent
from models.record import Expiry, Record
from models.symptom import SymptomContent
from models.types import Line, Share, ShortText, Strict, UtcDatetime

Vector = Annotated[dict[Id, Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=1000)]
"""Version vector: how many changes of each service a version has seen."""
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""An Ed25519 public key: 32 bytes in base 64."""
VariantName = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PublicCard(Strict):
    """What of a card leaves the service: its content and state, never people, tickets or places."""

    content: CardContent
    status: FailureCardStatus
    deprecation_reason: ShortText = ""
    successor_id: Id | None = None
    merged_into: Id | None = None


class CardItem(Strict):
    """One version of a card on its way. `ancestors` are fingerprints of the versions before it, newest first."""

    network_id: Id
    natural_key: Annotated[str, Field(max_length=200)] | None = None
    loaded_fingerprint: Annotated[str, Field(max_length=64)] | None = None
    origin: Id
    base_score: Share
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    vector: Vector
    ancestors: Annotated[list[Fingerprint], Field(max_length=20)] = []
    approved_at: UtcDatetime | None = None
    card: PublicCard


class VariantShare(Strict):
    """Decayed outcomes of one service on one vehicle variant, as of `as_of`; see `CardEvidence`."""

    variant: VariantName
    successes: Weight = 0.0
    failures: Weight = 0.0
    rejections: Weight = 0.0
    ruled_out: Count = 0
    outcomes: Count = 0
    as_of: UtcDatetime


class ShareContent(Strict):
    """What one service learned about a card by itself. Only its origin changes it, and `stamp` counts its changes: the
    higher stamp replaces the lower, so that receiving it again, or by another way, adds nothing."""

    network_id: Id
    origin: Id
    stamp: Annotated[int, Field(ge=1)]
    usage_count: Count = 0
    success_count: Count = 0
    failure_count: Count = 0
    rejected_count: Count = 0
    ratings_count: Count = 0
    ratings_sum: Count = 0
    score: Share = Field(description="Confidence score after the origin's own outcomes alone.")
    last_used_at: UtcDatetime | None = None
    variants: Annotated[list[VariantShare], Field(max_length=5000)] = []


class BundlePayload(Strict):
    """What is signed. Items are read one by one: a faulty one is refused and the others are taken."""

    format: int
    node: Id
    issued_at: UtcDatetime
    since: Count
    until: Count
    head: Count
    more: bool
    half_life_days: Annotated[float, Field(gt=0)]
    symptoms: Annotated[list[SymptomContent], Field(max_length=5000)] = []
    cards: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []
    evidence: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []


class NetworkIdentity(Record):
    """This service in the network; `id` is always "self". The private key is sealed with one made of EFI_SECRET_KEY."""

    node_id: str
    public_key: str
    sealed_key: bytes
    sequence: int = Field(default=0, description="Number of the last change offered to the network.")
    scanned_until: UtcDatetime | None = Field(default=None, description="Changes of cards before it are published.")

    class Settings(Record.Settings):
        name = "network_identity"
        indexes = [IndexModel([("_id", ASCENDING), ("revision", ASCENDING)])]


class Trust(StrEnum):
    approve_automatically = "approve_automatically"
    review_first = "review_first"


class PeerContent(Strict):
    """What an admin says about another service. Without a URL it is never asked: its bundles arrive as files."""

    name: Line
    url: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^$|^https?://[^\s/?#@]+[^\s?#@]*$")
    ] = ""
    public_key: PublicKey = Field(description="Pinned: nothing that another key has signed is taken from this peer.")
    trust: Trust = Trust.review_first
    enabled: bool = True


class Peer(Record, PeerContent):
    """Another service, known by its node id, and how far the two have come with each other."""

    cursor: int = Field(default=0, description="Its changes up to this one are here.")
    acknowledged: int = Field(default=0, description="Our changes up to this one are there.")
    acknowledged_at: UtcDatetime | None = None
    reported: int = Field(default=0, description="Changes of ours whose arrival an event has reported.")
    last_attempt_at: UtcDatetime | None = None
    last_success_at: UtcDatetime | None = None
    last_error: str = ""
    received: int = 0

    class Settings(Record.Settings):
        name = "network_peers"
        indexes = [IndexModel([("_id", ASCENDING), ("revision", ASCENDING)])]


class Ancestor(Strict):
    """An earlier version of a card: `version` is its number here, in `card_versions`."""

    fingerprint: str
    vector: dict[str, int]
    version: int
    status: FailureCardStatus
    deprecation_reason: str = ""
    successor_id: str | None = None
    merged_into: str | None = None


class CardLineage(Record):
    """Where a card stands in its history; `id` is the id by which the network knows it.

    `sequence` 0 means that it is not offered (yet): it waits for review here, or is held back.
    """

    card_id: str
    origin: str = Field(description="The service that published it first, with the score it had then.")
    base_score: float
    vector: dict[str, int]
    fingerprint: str
    version: int
    status: FailureCardStatus
    deprecation_reason: str = ""
    successor_id: str | None = None
    merged_into: str | None = None
    history: list[Ancestor] = Field(default=[], description="Earlier versions, newest first.")
    sequence: int = 0
    held_back: str = Field(default="", description="Why it is not offered: it seems to name a person.")
    seen_revision: int = Field(default=0, description="Of the card when it was last looked at.")

    class Settings(Record.Settings):
        name = "network_cards"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("sequence", ASCENDING)]),
            IndexModel([("card_id", ASCENDING)]),
            IndexModel([("held_back", ASCENDING), ("_id", ASCENDING)]),
        ]


class CardShare(Record, ShareContent):
    """One service's share in the evidence of a card; `id` is `<card id>|<origin>`. `own`: it is this service's."""

    card_id: str
    own: bool
    sequence: int

    class Settings(Record.Settings):
        name = "network_evidence"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("card_id", ASCENDING)]),
            IndexModel([("own", ASCENDING)]),
            IndexModel([("sequence", ASCENDING)]),
        ]


class IncomingKind(StrEnum):
    conflict = "conflict"
    update = "update"


class IncomingVersion(Record):
    """A version from elsewhere that an expert must decide on; `id` is `<network id>|<fingerprint>`."""

    network_id: str
    card_id: str
    peer_id: str
    kind: IncomingKind
    fingerprint: str
    item: CardItem

    class Settings(Record.Settings):
        name = "network_incoming"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", ASCENDING)]),
        ]


class RefusedItem(Strict):
    item: str
    reason: str


class BundleReceipt(Record):
    """One bundle that was taken in; `id` is the hash of its signed bytes."""

    peer_id: str
    since: int
    until: int
    cards: int
    evidence: int
    added: int
    updated: int
    conflicts: int
    refused: list[RefusedItem] = Field(default=[], description="The first hundred.")

    class Settings(Record.Settings):
        name = "network_bundles"
        expiry = Expiry("created_at", after=timedelta(days=90))
        indexes = [
            IndexModel([("peer_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("created_at", ASCENDING), ("_id", ASCENDING)]),
        ]
