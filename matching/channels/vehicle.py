"""Vehicle channel: how a card's vehicles relate to the case's vehicle. It weighs, it never cuts.

Owners and makers name models differently ("Wrangler", "Wrangler Unlimited", "Wrangler 4xe") and model years are
mixed up, so a filter would lose right cards.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np

from matching.channels.base import Channel, Hits
from matching.query import Query
from matching.records import CardRecord, Vehicle, VehicleRange
from matching.results import Reason
from matching.storage import Column
from matching.text import fold


class VehicleFit(IntEnum):
    """Relation of a card to a vehicle, worst to best."""

    incompatible = 0  # another make, or another model of the make
    other_year = 1  # the right model, years apart
    unknown = 2  # the card names no vehicle, or the case does not
    universal = 3  # the card applies to every vehicle
    near = 4  # the model, one year beside the range, or another variant or firmware
    make = 5  # a card for the whole make
    model = 6  # the model; the year is not known on one side
    exact = 7  # make, model and year


SCORES = np.array([-1.0, -0.5, 0.0, 0.3, 0.5, 0.6, 0.9, 1.0], dtype=np.float32)
"""Channel score by VehicleFit."""

SENTENCES = {
    VehicleFit.incompatible: "the card is for other vehicles",
    VehicleFit.other_year: "the card is for other model years",
    VehicleFit.universal: "the card applies to every vehicle",
    VehicleFit.near: "the card covers this model, but a neighbouring year, variant or firmware",
    VehicleFit.make: "the card covers the whole make",
    VehicleFit.model: "the card covers this model",
    VehicleFit.exact: "the card covers this model and year",
}

_MAKE_ALIASES = {
    "vw": "volkswagen",
    "chevy": "chevrolet",
    "merc": "mercedes",
    "mercedes benz": "mercedes",
    "mercedesbenz": "mercedes",
    "mahindra and mahindra": "mahindra",
    "general": "gm",
}
_COMPANY_WORDS = "motor motors company co inc corp corporation ltd limited llc electric energy mobility automotive"
_MAKE_SUFFIXES = frozenset(_COMPANY_WORDS.split())


@lru_cache(maxsize=16384)
def make_key(make: str) -> str:
    """Normal form of a make: case, punctuation, company words and common short names evened out."""
    tokens = re.sub(r"[^\w\s]", "", fold(make).replace("&", " and ")).split()
    while len(tokens) > 1 and tokens[-1] in _MAKE_SUFFIXES:
        tokens.pop()
    name = " ".join(tokens)
    return _MAKE_ALIASES.get(name, name)


@lru_cache(maxsize=16384)
def model_key(model: str) -> tuple[str, ...]:
    """Normal form of a model as words: "F-150" is ("f150",), "Wrangler 4xe" ("wrangler", "4xe")."""
    return tuple(re.sub(r"[^\w\s]", "", fold(model)).replace("_", " ").split())


@dataclass(frozen=True, slots=True)
class _Entry:
    slot: int
    model: tuple[str, ...]
    span: VehicleRange


class VehicleChannel(Channel):
    name = "vehicle"

    def __init__(self) -> None:
        self._default = Column(np.int8, fill=VehicleFit.unknown)
        self._by_make: dict[str, list[_Entry]] = {}

    def add(self, slot: int, card: CardRecord) -> None:
        if card.universal:
            self._default[slot] = VehicleFit.universal
        else:
            self._default[slot] = VehicleFit.incompatible if card.vehicles else VehicleFit.unknown
        for span in card.vehicles:
            entries = self._by_make.setdefault(make_key(span.make), [])
            entries.append(_Entry(slot, model_key(span.model or ""), span))

    def remove(self, slot: int, card: CardRecord) -> None:
        for make in {make_key(span.make) for span in card.vehicles}:
            entries = [entry for entry in self._by_make[make] if entry.slot != slot]
            if entries:
                self._by_make[make] = entries
            else:
                del self._by_make[make]

    def fits(self, query: Query) -> np.ndarray:
        """VehicleFit of every slot as an int8 array."""
        if self.name not in query.memo:
            query.memo[self.name] = self._fits(query.case.vehicle)
        return query.memo[self.name]

    def _fits(self, vehicle: Vehicle) -> np.ndarray:
        if not vehicle.make:
            fits = self._default.data.copy()
            fits[fits == VehicleFit.incompatible] = VehicleFit.unknown
            return fits
        fits = self._default.data.copy()
        model = model_key(vehicle.model or "")
        for entry in self._by_make.get(make_key(vehicle.make), ()):
            fits[entry.slot] = max(fits[entry.slot], fit(vehicle, model, entry.model, entry.span))
        return fits

    def search(self, query: Query, limit: int, allowed: np.ndarray) -> Hits:
        """Only cards that name the vehicle: universal ones would crowd everything else out."""
        fits = self.fits(query)
        slots = np.flatnonzero((fits >= VehicleFit.near) & allowed[: len(fits)])
        order = np.argsort(-fits[slots], kind="stable")[:limit]
        return Hits.of(slots[order], SCORES[fits[slots[order]]])

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        return SCORES[self.fits(query)[slots]]

    def explain(self, query: Query, slot: int) -> list[Reason]:
        relation = VehicleFit(int(self.fits(query)[slot]))
        if relation is VehicleFit.unknown:
            return []
        return [Reason(self.name, SENTENCES[relation], float(SCORES[relation]))]


def fit(vehicle: Vehicle, model: tuple[str, ...], card_model: tuple[str, ...], span: VehicleRange) -> VehicleFit:
    """Relation of a vehicle, whose make agrees, to one range of a card."""
    if not card_model:
        return VehicleFit.make
    if not model:
        return VehicleFit.unknown
    # "Wrangler" and "Wrangler Unlimited" are one model line; "Model 3" and "Model S" are not.
    shorter, longer = sorted((model, card_model), key=len)
    if longer[: len(shorter)] != shorter:
        return VehicleFit.incompatible
    if vehicle.year is None or (span.year_from is None and span.year_to is None):
        relation = VehicleFit.model
    else:
        relation = _year_fit(vehicle.year, span)
    if relation >= VehicleFit.model and not _refinements_agree(vehicle, span):
        return VehicleFit.near
    return relation


def _year_fit(year: int, span: VehicleRange) -> VehicleFit:
    below = (span.year_from - year) if span.year_from is not None else 0
    above = (year - span.year_to) if span.year_to is not None else 0
    distance = max(below, above, 0)
    if distance == 0:
        return VehicleFit.exact
    return VehicleFit.near if distance == 1 else VehicleFit.other_year


def _refinements_agree(vehicle: Vehicle, span: VehicleRange) -> bool:
    if vehicle.variant and span.variants and fold(vehicle.variant) not in {fold(variant) for variant in span.variants}:
        return False
    if vehicle.vehicle_type and span.vehicle_type and fold(vehicle.vehicle_type) != fold(span.vehicle_type):
        return False
    if not vehicle.firmware or not span.firmware:
        return True
    return any(fnmatchcase(fold(vehicle.firmware), fold(pattern)) for pattern in span.firmware)
