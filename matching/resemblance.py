"""How far complaints resemble each other: which of them may tell of one failure.

Complaints about vehicles of one make are compared, each with all others of the make, by an inverted index over their
rare words, codes and symptoms, so that ten thousand of them take seconds.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from matching.channels.vehicle import same_line
from matching.embedding import unit_rows

WEIGHTS = {
    "words": 0.40,
    "meaning": 0.20,
    "codes": 0.15,
    "symptoms": 0.10,
    "model": 0.05,
    "firmware": 0.05,
    "kind": 0.05,
}
"""What each trait counts. Vehicle and subsystem count little: two complaints about one model are not alike for that."""
ALIKE = 0.35
"""Similarity from which two complaints are taken to tell of one failure (docs/decisions/0018)."""
REACH = 0.10
"""Meaning is asked of pairs that come so near to ALIKE without it: a sentence model takes milliseconds for a text."""
COMMON = 0.10
"""Share of complaints above which a word tells nothing."""
FEW = 200
"""Complaints below which too few are known to tell which words are rare: they are weighed as among so many."""
SAMPLE = 100
"""Complaints by which it is found how near any two of them are."""


@dataclass(frozen=True, slots=True)
class Report:
    """One complaint. Reports of one `subject`, a vehicle, count once.

    `current` ones lie in the period that is looked at, the others before it. `unexplained` ones have no known failure
    that fits. Codes are keys of `matching.codes.Code`, `model` is a `model_key`.
    """

    key: str
    subject: str
    current: bool
    unexplained: bool
    make: str = ""
    model: tuple[str, ...] = ()
    firmware: str = ""
    kind: str | None = None
    terms: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    symptoms: frozenset[str] = frozenset()


Embed = Callable[[Sequence[str]], np.ndarray]
"""Vectors of the reports with these keys, rows of length 1 or zero."""


class Rarity:
    """idf of words among reports; none for those that are in more than COMMON of them."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._counts = Counter(term for report in reports for term in report.terms)
        self._total = max(len(reports), FEW)

    def __call__(self, term: str) -> float:
        count = self._counts[term]
        if count > COMMON * self._total:
            return 0.0
        return math.log(1 + (self._total - count + 0.5) / (count + 0.5))


class Postings:
    """Which rows have which features, and how many weighted features any row shares with one."""

    def __init__(self, rows: Sequence[Mapping[Hashable, float]]) -> None:
        found: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            for feature in row:
                found[feature].append(number)
        self._rows = rows
        self._where = {feature: np.array(places, np.int32) for feature, places in found.items()}
        self.whole = np.array([sum(row.values()) for row in rows])

    def shared(self, number: int) -> np.ndarray:
        """For every row, the weight of the features that it has in common with this one."""
        own = self._rows[number]
        if not own:
            return np.zeros(len(self._rows))
        places = [self._where[feature] for feature in own]
        weights = np.repeat(list(own.values()), [len(place) for place in places])
        return np.bincount(np.concatenate(places), weights=weights, minlength=len(self._rows))

    def dice(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Dice coefficient of every row with this one, and where it is known: where both have features."""
        known = (self.whole > 0) & (self.whole[number] > 0)
        return _quotient(2 * self.shared(number), self.whole + self.whole[number]), known


class Block:
    """The reports of one make, ready to be compared."""

    def __init__(self, reports: Sequence[Report], rarity: Rarity) -> None:
        self.reports = reports
        self._words = Postings([_weighted(report.terms, rarity) for report in reports])
        self._codes = Postings([dict.fromkeys(report.codes, 1.0) for report in reports])
        self._symptoms = Postings([dict.fromkeys(report.symptoms, 1.0) for report in reports])
        self._model = _Labels([report.model for report in reports], same_line)
        self._firmware = _Labels([report.firmware for report in reports])
        self._kind = _Labels([report.kind for report in reports])

    def likeness(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Of every report with this one, without meaning: the sum of the traits that both have, each times its weight,
        and the sum of those weights.

        Words: cosine over idf; who says nothing telling is like nobody in that. Codes and symptoms: Dice coefficient.
        Model, firmware, kind (subsystem): same or not.
        """
        everywhere = np.ones(len(self.reports), bool)
        words = np.sqrt(self._words.whole * self._words.whole[number])
        traits = (
            ("words", _quotient(self._words.shared(number), words), everywhere),
            ("codes", *self._codes.dice(number)),
            ("symptoms", *self._symptoms.dice(number)),
            ("model", *self._model.same(number)),
            ("firmware", *self._firmware.same(number)),
            ("kind", *self._kind.same(number)),
        )
        value, weight = np.zeros(len(self.reports)), np.zeros(len(self.reports))
        for name, likeness, known in traits:
            value += WEIGHTS[name] * np.where(known, likeness, 0.0)
            weight += WEIGHTS[name] * known
        return value, weight


class _Labels:
    """One label per report, None or empty where it is not known."""

    def __init__(
        self, labels: Sequence[Hashable], alike: Callable[..., bool] = lambda one, other: one == other
    ) -> None:
        self._names = list(dict.fromkeys(labels))
        place = {name: number for number, name in enumerate(self._names)}
        self._numbers = np.array([place[name] for name in labels], np.int32)
        self._known = np.array([bool(name) for name in self._names])
        self._alike = alike

    def same(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        own = self._names[self._numbers[number]]
        alike = np.array([bool(own and name and self._alike(own, name)) for name in self._names])
        return alike[self._numbers].astype(float), self._known[self._numbers] & bool(own)


def _weighted(terms: Iterable[str], rarity: Rarity) -> dict[Hashable, float]:
    """Squares, so that shared weight over the root of both wholes is the cosine."""
    return {term: weight**2 for term in terms if (weight := rarity(term)) > 0}


def _quotient(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def alike(reports: Sequence[Report], embed: Embed | None = None) -> Iterator[tuple[Report, list[Report]]]:
    """For each current unexplained report: all others of its make, at any time, that are alike.

    A pair is alike from ALIKE on, the mean of the traits that both have by their WEIGHTS; a pair that neither words,
    codes nor symptoms bring near is not, whatever it means. The order is that of `reports`.
    """
    rarity = Rarity(reports)
    usual = _usual(reports, embed) if embed is not None else 0.0
    for block in _blocks(reports, rarity):
        near = {
            number: _near(block, number, embed is not None)
            for number, report in enumerate(block.reports)
            if report.current and report.unexplained
        }
        vectors = _vectors(block, near.values(), embed) if embed is not None else None
        for number, (places, value, weight) in near.items():
            if vectors is not None:
                meaning, known = vectors.meaning(number, places, usual)
                value, weight = value + WEIGHTS["meaning"] * meaning, weight + WEIGHTS["meaning"] * known
            found = places[value >= ALIKE * weight]
            yield block.reports[number], [block.reports[place] for place in found.tolist()]


def _blocks(reports: Sequence[Report], rarity: Rarity) -> Iterator[Block]:
    """By make. A make without an unexplained report is passed over."""
    makes: defaultdict[str, list[Report]] = defaultdict(list)
    for report in reports:
        makes[report.make].append(report)
    for own in makes.values():
        if any(report.current and report.unexplained for report in own):
            yield Block(own, rarity)


def _near(block: Block, number: int, with_meaning: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the reports within reach, with what `likeness` says of them."""
    value, weight = block.likeness(number)
    within = value >= (ALIKE - (REACH if with_meaning else 0.0)) * weight
    within &= weight > 0
    within[number] = False
    places = np.flatnonzero(within)
    return places, value[places], weight[places]


class _Vectors:
    def __init__(self, places: np.ndarray, rows: np.ndarray) -> None:
        self._row = {place: number for number, place in enumerate(places.tolist())}
        self._rows = rows

    def meaning(self, number: int, places: np.ndarray, usual: float) -> tuple[np.ndarray, np.ndarray]:
        """Cosine above that of any two reports, in [0, 1], and where both have a vector."""
        if not len(places):
            return np.zeros(0), np.zeros(0, bool)
        own, others = self._rows[self._row[number]], self._rows[[self._row[place] for place in places.tolist()]]
        known = others.any(axis=1) & own.any()
        return np.clip((others @ own - usual) / max(1e-6, 1 - usual), 0, 1) * known, known


def _vectors(block: Block, near: Iterable[tuple[np.ndarray, ...]], embed: Embed) -> _Vectors:
    """Of all reports that are within reach of another."""
    within = np.zeros(len(block.reports), bool)
    for places, *_ in near:
        within[places] = True
    # Reach goes both ways, so each report that reaches another is itself reached only if it is current or not alone.
    within |= np.array([report.current and report.unexplained for report in block.reports]) & within.any()
    wanted = np.flatnonzero(within)
    rows = embed([block.reports[place].key for place in wanted.tolist()])
    return _Vectors(wanted, unit_rows(rows) if len(wanted) else rows)


def _usual(reports: Sequence[Report], embed: Embed) -> float:
    """Mean cosine of any two of SAMPLE reports, spread evenly: models differ in how near texts of one trade are."""
    some = [report.key for report in reports[:: max(1, len(reports) // SAMPLE)]][:SAMPLE]
    if len(some) < 2:
        return 0.0
    rows = unit_rows(embed(some))
    together = rows.sum(axis=0)
    count = len(some)
    return min(1.0, max(0.0, float((together @ together - (rows * rows).sum()) / (count * (count - 1)))))
