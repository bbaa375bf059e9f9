"""Bundles as they travel: one JSON object of the signed payload and its Ed25519 signature."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from app.errors import Conflict, EfiError, Forbidden, Invalid, Malformed, TooLarge
from models.network import BundlePayload, NetworkIdentity, Peer
from services.knowledge.network import identity
from services.knowledge.network.public import canonical

log = structlog.get_logger(__name__)

FORMAT = 1
"""Counts changes of the format that an older release cannot read."""
MAX_BYTES = 1_500_000
"""Below the limit on request bodies. A card larger than this does not exist: its fields have limits of their own."""
_PURPOSE = b"efi-network-bundle\n"
"""Begins what is signed, so that a signature made for something else is none of a bundle."""


class UnknownSigner(Forbidden):
    code, title = "bundle_unknown_signer", "Nobody here knows who signed this"


class NotSigned(Forbidden):
    code, title = "bundle_not_signed", "The signature is not that of the pinned key"


class WrongFormat(Invalid):
    code, title = "bundle_wrong_format", "The bundle is of another format"


class Replayed(Conflict):
    code, title = "bundle_replayed", "What this bundle says is known"


class Gap(Conflict):
    code, title = "bundle_gap", "Earlier changes are missing"


class OtherHalfLife(Conflict):
    code, title = "bundle_other_half_life", "The services weigh evidence differently"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `digest` names it."""

    peer: Peer
    payload: BundlePayload
    digest: str


def sealed(payload: dict[str, Any], who: NetworkIdentity) -> bytes:
    """The payload with our signature, on one line."""
    signature = identity.sign(who, _PURPOSE + canonical(payload))
    return canonical({"payload": payload, "signature": base64.b64encode(signature).decode()})


async def opened(raw: bytes) -> Bundle:
    """Check and read a bundle. What is refused is logged.

    Raises TooLarge, Malformed, WrongFormat, UnknownSigner (also for a peer that is switched off) and NotSigned.
    """
    try:
        return await _opened(raw)
    except EfiError as refused:
        log.warning("a bundle was refused", code=refused.code, reason=refused.detail, bytes=len(raw))
        raise


async def _opened(raw: bytes) -> Bundle:
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"A bundle has at most {MAX_BYTES:,} bytes, this one {len(raw):,}.")
    payload, signature = parts(raw)
    if payload.get("format") != FORMAT:
        raise WrongFormat(f"This service reads format {FORMAT}, the bundle is of {str(payload.get('format'))[:20]}.")
    node = payload.get("node")
    peer = await Peer.find_one({"_id": node}) if isinstance(node, str) else None
    if peer is None or not peer.enabled:
        raise UnknownSigner(f"{str(node)[:70]} is no peer of this service, or is switched off.")
    message = _PURPOSE + canonical(payload)
    if not identity.verify(peer.public_key, message, signature):
        raise NotSigned(f"{peer.name} has not signed this, or it was changed on the way.")
    try:
        return Bundle(peer, BundlePayload.model_validate(payload), hashlib.sha256(message).hexdigest())
    except ValidationError as error:
        raise WrongFormat(f"The bundle of {peer.name} breaks its format: {error.errors()[0]['msg']}.") from None


def parts(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Payload and signature of a bundle, neither checked. Raises Malformed for anything else."""
    try:
        whole = json.loads(raw, parse_constant=_refuse)
        payload, signature = whole["payload"], base64.b64decode(whole["signature"], validate=True)
        canonical(payload)  # refuses what has no form in UTF-8
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed(f"This is no bundle: {str(error)[:200]}.") from None
    if not isinstance(payload, dict) or len(whole) != 2:
        raise Malformed("This is no bundle: it is not an object of payload and signature.")
    return payload, signature


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
