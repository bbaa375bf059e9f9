"""The reference line: plain BM25 as a textbook has it, over the failures' text as written.

Lower-case words as they stand, no fields, function words dropped, each word of the complaint counted once; k1 = 1.2,
b = 0.75, Lucene's idf. The vehicle's names are words like others, or it is shown the failures of exactly this make,
model and year only.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from matching import Case
from matching.bm25 import Bm25
from matching.vocabulary import STOP_WORDS

K1, B = 1.2, 0.75
_WORD = re.compile(r"[a-z0-9]+")

Vehicle = tuple[str, str, str]


class PlainBm25:
    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """`rows` as in a corpus: `_id`, `text` and `vehicles` with make, model and year."""
        self._engine = Bm25(K1, B)
        self._ids: list[str] = []
        self._by_vehicle: dict[Vehicle, list[int]] = {}
        for slot, row in enumerate(rows):
            self._ids.append(row["_id"])
            self._engine.add(slot, {word: float(n) for word, n in Counter(_words(str(row.get("text") or ""))).items()})
            for one in (one for one in row.get("vehicles") or [] if isinstance(one, dict)):
                key = _vehicle(one.get("make"), one.get("model"), one.get("year"))
                self._by_vehicle.setdefault(key, []).append(slot)

    def search(self, case: Case, limit: int) -> list[tuple[str, float]]:
        """Ids and scores, best first; the vehicle's names are words like others."""
        named = " ".join(str(part) for part in (case.vehicle.make, case.vehicle.model, case.vehicle.year) if part)
        return self._search(f"{case.text} {named}", np.ones(len(self._ids), dtype=np.bool_), limit)

    def search_vehicle(self, case: Case, limit: int) -> list[tuple[str, float]]:
        """The same without the vehicle's names among the failures of exactly this vehicle."""
        allowed = np.zeros(len(self._ids), dtype=np.bool_)
        allowed[self._by_vehicle.get(_vehicle(case.vehicle.make, case.vehicle.model, case.vehicle.year), [])] = True
        return self._search(case.text, allowed, limit)

    def _search(self, text: str, allowed: np.ndarray, limit: int) -> list[tuple[str, float]]:
        asked = dict.fromkeys(_words(text), 1.0)
        if not asked or not self._ids:
            return []
        slots, scores = self._engine.search(self._engine.ask(asked), limit, allowed)
        return [(self._ids[slot], score) for slot, score in zip(slots.tolist(), scores.tolist(), strict=True)]


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def _vehicle(make: object, model: object, year: object) -> Vehicle:
    return tuple(str(part or "").strip().casefold() for part in (make, model, year))  # type: ignore[return-value]
