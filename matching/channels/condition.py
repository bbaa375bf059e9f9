"""Condition channel: whether a card's failure shows under the circumstances of the case. Agreement adds, contradiction
subtracts a little, and what either side does not tell counts for nothing."""

import numpy as np

from matching.channels.base import Channel, Hits
from matching.conditions import AREAS, MASKS, Circumstances, Range, circumstances_of_card, circumstances_of_case
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.storage import Column

AGREES, CONTRADICTS = 0.125, -0.0625
"""Of each of the at most eight aspects, so that the sum stays within 1. Silence is no contradiction, and even a
contradiction says little: who does not mention the rain may have driven in it."""

MARGIN = 0.25
"""Share of a range's bounds by which a value may lie outside before it contradicts: bounds are experience, not law."""

UNKNOWN = np.iinfo(np.int32).min
LEAST, MOST = UNKNOWN + 1, np.iinfo(np.int32).max
NOTHING = (0, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0)


class ConditionChannel(Channel):
    """Proposes no cards: thousands share the rain. Scores are in [-1, 1]."""

    name = "condition"

    def __init__(self) -> None:
        # Bits of the aspects, mileage from and to in km, temperature from and to in °C, age in months,
        # number of the subsystem.
        self._rows = Column(np.int32, width=len(NOTHING))
        self._areas: dict[str, int] = dict(AREAS)

    def add(self, slot: int, card: CardRecord) -> None:
        known = circumstances_of_card(card)
        age = UNKNOWN if known.age is None else round(known.age)
        # A subsystem of no area is one of its own.
        area = self._areas.setdefault(known.subsystem, len(self._areas) + 1) if known.subsystem else 0
        self._rows[slot] = (known.bits, *_bounds(known.mileage), *_bounds(known.temperature), age, area)

    def remove(self, slot: int, card: CardRecord) -> None:
        self._rows[slot] = NOTHING

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        return Hits.none()

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        if not self._asked(query):
            return np.zeros(len(slots), dtype=np.float32)
        total = sum(self._aspects(query, slots).values(), start=np.zeros(len(slots)))
        return total.astype(np.float32)

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        if not self._asked(query):
            return []
        row = self._rows[slot]
        aspects = {name: float(parts[0]) for name, parts in self._aspects(query, np.array([slot])).items()}
        return [
            Reason(self.name, self._sentence(name, part, self._asked(query), row), part)
            for name, part in sorted(aspects.items(), key=lambda item: -item[1])
            if part
        ]

    def _asked(self, query: Query) -> Circumstances:
        if self.name not in query.memo:
            query.memo[self.name] = circumstances_of_case(query.case)
        return query.memo[self.name]

    def _aspects(self, query: Query, slots: np.ndarray) -> dict[str, np.ndarray]:
        """What each aspect adds for each slot."""
        asked, rows = self._asked(query), self._rows[slots]
        parts: dict[str, np.ndarray] = {}
        for aspect, mask in MASKS.items():
            if wanted := asked.bits & mask:
                own = rows[:, 0] & mask
                parts[aspect] = np.where(own & wanted, AGREES, np.where(own, CONTRADICTS, 0.0))
        for aspect, known, low in (("mileage", asked.mileage, 1), ("temperature", asked.temperature, 3)):
            if known is not None:
                parts[aspect] = _overlap(known, rows[:, low].astype(float), rows[:, low + 1].astype(float))
        if asked.age is not None:
            own = rows[:, 5].astype(float)
            fits = (asked.age >= own / 2) & (asked.age <= own * 2)
            parts["age"] = np.where(own == UNKNOWN, 0.0, np.where(fits, AGREES, CONTRADICTS))
        if area := self._areas.get(asked.subsystem or ""):
            # Another one is no contradiction: complaints are filed under what is noticed first.
            parts["subsystem"] = np.where(rows[:, 6] == area, AGREES, 0.0)
        return parts

    def _sentence(self, aspect: str, part: float, asked: Circumstances, row: np.ndarray) -> str:
        agrees = part > 0
        if aspect == "mileage":
            where = "within" if agrees else "outside"
            return f"{asked.mileage[0]:,.0f} km is {where} the card's {_span(row[1], row[2])} km"
        if aspect == "temperature":
            told = "cold" if asked.temperature[1] < 20 else "heat"
            verb = "as the card does" if agrees else "the card occurs at"
            return f"the complaint speaks of {told}, {verb}" + ("" if agrees else f" {_span(row[3], row[4])} °C")
        if aspect == "subsystem":
            return f"reported under {(asked.subsystem or '').replace('_', ' ')}, where the card belongs"
        if aspect == "age":
            return f"the vehicle's age {'agrees' if agrees else 'disagrees'} with the card's {row[5]} months"
        own = Circumstances(int(row[0]))
        said, stated = " and ".join(asked.values(aspect)), " or ".join(own.values(aspect))
        if agrees:
            return f"{aspect} as on the card: {stated}"
        return f"{aspect} {said} in the complaint, {stated} on the card"


def _bounds(known: Range | None) -> tuple[int, int]:
    if known is None:
        return UNKNOWN, UNKNOWN
    return int(max(known[0], LEAST)), int(min(known[1], MOST))


def _overlap(asked: Range, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Agreement where the asked range meets the card's, contradiction where it stays clear of it by the margin."""
    known = low != UNKNOWN
    meets = (asked[0] <= high) & (asked[1] >= low)
    margin_low, margin_high = MARGIN * np.abs(low), MARGIN * np.abs(high)
    clear = (asked[0] > high + margin_high) | (asked[1] < low - margin_low)
    return np.where(known & meets, AGREES, np.where(known & clear, CONTRADICTS, 0.0))


def _span(low: int, high: int) -> str:
    if low == LEAST:
        return f"up to {high:,}"
    return f"{low:,} and more" if high == MOST else f"{low:,} to {high:,}"
