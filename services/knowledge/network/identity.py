"""Who this service is in the network: an opaque id and an Ed25519 key, made when they are first needed.

Replicas share one identity, so the private key is in the store, sealed (ChaCha20-Poly1305) with a key that is derived
(HKDF, RFC 5869) from EFI_SECRET_KEY: a copy of the store alone cannot sign.
"""

import base64
import secrets

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pymongo.errors import DuplicateKeyError

from app.errors import Invalid, Unavailable
from app.ids import new_id
from models.network import NetworkIdentity
from services.writing import update

SELF = "self"
_NONCE_BYTES = 12


class _Secret:
    key = ""


def configure(*, secret_key: str) -> None:
    """Set what the private key is sealed with (Settings.signing_key)."""
    _Secret.key = secret_key


async def own() -> NetworkIdentity:
    """This service's identity; it is made if there is none yet."""
    found = await NetworkIdentity.find_one({"_id": SELF})
    if found is not None:
        return found
    private = Ed25519PrivateKey.generate()
    made = NetworkIdentity(id=SELF, node_id=new_id("node"), public_key=_encoded(private), sealed_key=_sealed(private))
    try:
        await made.insert()
    except DuplicateKeyError:  # another replica was quicker
        return await own()
    return made


async def renew_key() -> NetworkIdentity:
    """A new key under the same id; peers refuse what it signs until their admins have pinned it."""
    private = Ed25519PrivateKey.generate()
    return await update(await own(), {"public_key": _encoded(private), "sealed_key": _sealed(private)})


async def advance(count: int) -> int:
    """Take the next `count` numbers of the sequence of changes; returns the first.

    In the transaction that writes the changes: the next who asks waits for its commit or conflicts with it, so whoever
    sees number n sees every number before it.
    """
    collection = NetworkIdentity.get_pymongo_collection()
    await collection.update_one({"_id": SELF}, {"$inc": {"sequence": count, "revision": 1}})
    return (await own()).sequence - count + 1


def sign(identity: NetworkIdentity, message: bytes) -> bytes:
    """Raises Unavailable if the key was sealed with another EFI_SECRET_KEY."""
    return private_key(identity).sign(message)


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw_key(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def raw_key(public_key: str) -> bytes:
    return base64.b64decode(public_key)


def require_public_key(public_key: str) -> None:
    """Raise Invalid unless it is one."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except ValueError:
        raise Invalid.field("public_key", "is not an Ed25519 public key in base 64") from None


def private_key(identity: NetworkIdentity) -> Ed25519PrivateKey:
    sealed = identity.sealed_key
    try:
        raw = _box().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], SELF.encode())
    except InvalidTag:
        raise Unavailable(
            "The network key was sealed with another EFI_SECRET_KEY: put that back, or make a new key with "
            "`efi network new-key` and have the peers pin it."
        ) from None
    return Ed25519PrivateKey.from_private_bytes(raw)


def _sealed(private: Ed25519PrivateKey) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _box().encrypt(nonce, private.private_bytes_raw(), SELF.encode())


def _encoded(private: Ed25519PrivateKey) -> str:
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _box() -> ChaCha20Poly1305:
    if not _Secret.key:
        raise RuntimeError("configure() the network identity first")
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, b"efi network key").derive(_Secret.key.encode()))
