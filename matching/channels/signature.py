"""Signature channel: identity of the FailureSignature hash, and agreement of its fields short of identity."""

import numpy as np

from matching.channels.base import Channel, Hits, share_out
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.signature import SignatureFields, signature_agreement, signature_hash

# Agreement of every stated field is still not the same fingerprint: only an equal hash scores 1.
AGREEMENT_CEILING = 0.9


class SignatureChannel(Channel):
    name = "signature"

    def __init__(self) -> None:
        self._by_hash: dict[str, set[int]] = {}
        self._signatures: dict[int, tuple[str | None, SignatureFields | None]] = {}

    def add(self, slot: int, card: CardRecord) -> None:
        digest = signature_hash(card.signature) if card.signature is not None else card.signature_hash
        if digest is None:
            return
        self._signatures[slot] = (digest, card.signature)
        self._by_hash.setdefault(digest, set()).add(slot)

    def remove(self, slot: int, card: CardRecord) -> None:
        digest, _ = self._signatures.pop(slot, (None, None))
        if digest is not None:
            slots = self._by_hash[digest]
            slots.discard(slot)
            if not slots:
                del self._by_hash[digest]

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        slots = np.array(sorted(self._by_hash.get(self._digest(query) or "", ())), dtype=np.int32)
        slots = slots[allowed[slots]][:limit]
        return Hits.of(slots, np.ones(len(slots)))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        if query.signature is None:
            return np.zeros(len(slots), dtype=np.float32)
        return np.array([self._agreement(query, int(slot))[0] for slot in slots], dtype=np.float32)

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        score, fields = self._agreement(query, slot)
        if score == 1.0:
            return [Reason(self.name, "same failure signature", score)]
        return share_out(self.name, score, [(f"signature agrees in {name.replace('_', ' ')}", 1.0) for name in fields])

    def _agreement(self, query: Query, slot: int) -> tuple[float, list[str]]:
        digest, signature = self._signatures.get(slot, (None, None))
        if digest is None or query.signature is None:
            return 0.0, []
        if digest == self._digest(query):
            return 1.0, []
        # Made up of symptoms and codes alone, a signature would only repeat what their own channels say.
        if signature is None or query.case.signature is None:
            return 0.0, []
        agreement, fields = signature_agreement(query.signature, signature)
        return AGREEMENT_CEILING * agreement, fields

    def _digest(self, query: Query) -> str | None:
        if self.name not in query.memo:
            query.memo[self.name] = signature_hash(query.signature) if query.signature is not None else None
        return query.memo[self.name]
