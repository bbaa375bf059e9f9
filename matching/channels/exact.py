"""Exact channel: normalised fault codes, with partial credit for another failure type and for the code family."""

from collections.abc import Collection

import numpy as np

from matching.channels.base import Channel, Hits, share_out
from matching.codes import DETAIL_UNKNOWN, NO_FAULT, Code, InvalidCode, affinity, normalise_code
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.storage import Interned, Postings, rank, rarity

# A card that answers one rare code of three is nearly as good as one that answers all three: control units report
# consequences beside causes. Hence the best code weighs more than the share of codes covered.
BEST_WEIGHT, COVERAGE_WEIGHT = 0.7, 0.3

ENOUGH = 10
"""Cards looked at per card asked for."""

NO_CODES: tuple[tuple[Code, ...], frozenset[str]] = ((), frozenset())


class ExactChannel(Channel):
    name = "exact"

    def __init__(self) -> None:
        self._postings = Postings()
        self._codes = Interned()

    @property
    def known_codes(self) -> Collection[str]:
        """Keys of all codes that some card carries."""
        return self._postings.lists.keys()

    def add(self, slot: int, card: CardRecord) -> None:
        if card.error_codes:
            _, keys = self._codes.put(slot, card.error_codes, _read)
            self._postings.add(slot, keys)

    def remove(self, slot: int, card: CardRecord) -> None:
        _, keys = self._codes.pop(slot) or NO_CODES
        self._postings.remove(slot, keys)

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        found: list[np.ndarray] = []
        # Rare codes first: what very many cards carry says too little to be worth looking at all of them.
        for key in sorted(self._wanted(query), key=self._postings.frequency):
            slots = self._postings.slots(key)
            if sum(map(len, found)) + len(slots) > ENOUGH * limit and found:
                break
            found.append(slots[allowed[slots]][: ENOUGH * limit])
        if not found:
            return Hits.none()
        slots = np.unique(np.concatenate(found))
        return Hits.of(*rank(slots, self.score(query, slots), limit))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        scores = np.zeros(len(slots), dtype=np.float32)
        totals: dict[int, float] = {}  # cards with the same codes share one object of them
        for i, own in self._touched(query, slots):
            if id(own) not in totals:
                totals[id(own)] = self._total(self._matches(query, own))
            scores[i] = totals[id(own)]
        return scores

    def literal(self, query: Query, slots: np.ndarray) -> np.ndarray:
        """Whether a slot's card carries one of the case's codes (not merely its family or another failure type)."""
        found = np.zeros(len(slots), dtype=bool)
        for i, own in self._touched(query, slots):
            found[i] = any(credit >= DETAIL_UNKNOWN for _, _, credit, _ in self._matches(query, own))
        return found

    def _wanted(self, query: Query) -> frozenset[str]:
        if self.name not in query.memo:
            query.memo[self.name] = _keys(query.codes)
        return query.memo[self.name]

    def _touched(self, query: Query, slots: np.ndarray) -> list[tuple[int, tuple[Code, ...]]]:
        """Positions of the slots whose card shares a code or a code family with the case, and that card's codes."""
        wanted = self._wanted(query)
        if not wanted:
            return []
        return [(i, own) for i, (own, keys) in self._codes.at(slots) if not wanted.isdisjoint(keys)]

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        own, _ = self._codes.get(slot) or NO_CODES
        matches = self._matches(query, own)
        found = [match for match in matches if match[2]]
        parts = [(_sentence(asked, own, credit), credit * weight) for asked, own, credit, weight in found]
        missing = [
            (f"code {asked} of the complaint is not among the card's", weight)
            for asked, _, credit, weight in matches
            if found and not credit
        ]
        # What a card loses is the difference to one that is asked for nothing but what it has.
        whole, total = self._total(found), self._total(matches)
        return share_out(self.name, whole, parts) + share_out(self.name, total - whole, missing)

    def _matches(self, query: Query, own: tuple[Code, ...]) -> list[tuple[Code, Code | None, float, float]]:
        """Per asked code: the card's closest code, its credit, and the asked code's rarity."""
        total = len(self._codes)
        matches = []
        for asked in query.codes:
            best = max(own, key=lambda code: affinity(asked, code), default=None)
            credit = affinity(asked, best) if best is not None else 0.0
            matches.append((asked, best, credit, rarity(self._postings.frequency(asked.key), total)))
        return matches

    @staticmethod
    def _total(matches: list[tuple[Code, Code | None, float, float]]) -> float:
        if not matches:
            return 0.0
        earned = [credit * weight for _, _, credit, weight in matches]
        coverage = sum(earned) / sum(weight for _, _, _, weight in matches)
        return BEST_WEIGHT * max(earned) + COVERAGE_WEIGHT * coverage


def legal_codes(texts: tuple[str, ...]) -> tuple[Code, ...]:
    """Normalised codes of a card without repetition. Stored cards may predate a rule, so illegal text is left out."""
    found: dict[tuple[str, str | None], Code] = {}
    for text in texts:
        try:
            code = normalise_code(text)
        except InvalidCode:
            continue
        if code.key not in NO_FAULT:
            found.setdefault((code.key, code.detail), code)
    return tuple(found.values())


def _read(texts: tuple[str, ...]) -> tuple[tuple[Code, ...], frozenset[str]]:
    """Codes and keys of a card."""
    codes = legal_codes(texts)
    return codes, _keys(codes)


def _keys(codes: tuple[Code, ...]) -> frozenset[str]:
    return frozenset(key for code in codes for key in (code.key, code.family) if key is not None)


def _sentence(asked: Code, own: Code | None, credit: float) -> str:
    if credit >= DETAIL_UNKNOWN:
        return f"code {asked}"
    if own is not None and asked.key == own.key:
        return f"code {asked}; the card has {own}, another failure type"
    return f"code {asked}; the card has {own} of the same family"
