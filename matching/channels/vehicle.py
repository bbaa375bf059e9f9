"""Vehicle channel: how a card's vehicles relate to the case's vehicle. It weighs, it never cuts.

Owners and makers name models differently ("Wrangler", "Wrangler Unlimited", "Wrangler 4xe") and model years are
mixed up, so a filter would lose right cards.
"""

import re
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np

from matching.channels.base import Channel, Hits
from matching.query import Query
from matching.records import CardRecord, Vehicle, VehicleRange
from matching.results import Reason
from matching.storage import Column, firsts, places_of
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


OPEN_START, OPEN_END = -(1 << 15), (1 << 15) - 1
"""Years of a range that is open on that side."""

SCORES = np.array([-1.0, -0.5, 0.0, 0.3, 0.5, 0.6, 0.9, 1.0], dtype=np.float32)
"""Channel score by VehicleFit."""


def fits_of(scores: float | np.ndarray) -> np.ndarray:
    """The VehicleFit, as integers, that channel scores stand for."""
    return np.searchsorted(SCORES, np.asarray(scores, dtype=np.float32))


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


class _Group:
    """The ranges of one make and model: a row per range."""

    def __init__(self) -> None:
        self.slots, self.first, self.last = Column(np.int32), Column(np.int16), Column(np.int16)
        self.refined: dict[int, list[VehicleRange]] = {}

    def add(self, slot: int, span: VehicleRange) -> None:
        self.slots.append(slot)
        self.first.append(span.year_from if span.year_from is not None else OPEN_START)
        self.last.append(span.year_to if span.year_to is not None else OPEN_END)
        if span.variants or span.firmware or span.vehicle_type:
            self.refined.setdefault(slot, []).append(span)

    def remove(self, slot: int) -> None:
        keep = self.slots.data != slot
        for column in (self.slots, self.first, self.last):
            column.replace(column.data[keep])
        self.refined.pop(slot, None)

    def fits(self, vehicle: Vehicle) -> np.ndarray:
        """VehicleFit of every row for a vehicle of this make and model."""
        fits = self._years(vehicle.year)
        for slot, spans in self.refined.items():
            if not any(refinements_agree(vehicle, span) for span in spans):
                own = self.slots.data == slot
                fits[own] = np.minimum(fits[own], VehicleFit.near)
        return fits

    def _years(self, year: int | None) -> np.ndarray:
        year = min(max(year, OPEN_START), OPEN_END) if year is not None else None
        first, last = self.first.data.astype(np.int32), self.last.data.astype(np.int32)
        if year is None:
            return np.full(len(first), VehicleFit.model, dtype=np.int8)
        away = np.maximum(first - year, year - last)
        fits = np.where(away <= 0, VehicleFit.exact, np.where(away == 1, VehicleFit.near, VehicleFit.other_year))
        return np.where((first == OPEN_START) & (last == OPEN_END), VehicleFit.model, fits).astype(np.int8)


class Fits:
    """VehicleFit by slot for one vehicle: worked out for the cards that name its line, taken as read for all others."""

    def __init__(self, default: np.ndarray, slots: np.ndarray, fits: np.ndarray, *, known: bool) -> None:
        """`slots` may repeat, then the best of its `fits` counts; `known` tells whether the vehicle is."""
        order = np.argsort(slots, kind="stable")
        self._default, self._known = default, known
        slots, fits = slots[order], fits[order]
        first = firsts(slots)
        self.slots = slots[first]
        best = np.maximum.reduceat(fits, np.flatnonzero(first)) if len(fits) else fits
        self.fits = np.maximum(best, default[self.slots])

    def __getitem__(self, slots: int | np.ndarray) -> np.ndarray:
        fits = self._default[slots]
        if not self._known:
            fits = np.where(fits == VehicleFit.incompatible, np.int8(VehicleFit.unknown), fits)
        if not len(self.slots):
            return fits
        places, named = places_of(np.asarray(slots), self.slots)
        return np.where(named, self.fits[places], fits)


class VehicleChannel(Channel):
    name = "vehicle"

    def __init__(self) -> None:
        self._default = Column(np.int8, fill=VehicleFit.unknown)
        # By make, by every beginning of a model's name, by the whole name.
        self._makes: dict[str, dict[tuple[str, ...], dict[tuple[str, ...], _Group]]] = {}

    def add(self, slot: int, card: CardRecord) -> None:
        if card.universal:
            self._default[slot] = VehicleFit.universal
        else:
            self._default[slot] = VehicleFit.incompatible if card.vehicles else VehicleFit.unknown
        for span in card.vehicles:
            models, model = self._makes.setdefault(make_key(span.make), {}), model_key(span.model or "")
            group = models[model][model] if model in models.get(model, {}) else _Group()
            for beginning in _beginnings(model):
                models.setdefault(beginning, {})[model] = group
            group.add(slot, span)

    def remove(self, slot: int, card: CardRecord) -> None:
        self._default[slot] = VehicleFit.unknown
        for make, model in {(make_key(span.make), model_key(span.model or "")) for span in card.vehicles}:
            models = self._makes[make]
            models[model][model].remove(slot)
            if not models[model][model].slots.size:
                for beginning in _beginnings(model):
                    del models[beginning][model]
                    if not models[beginning]:
                        del models[beginning]

    def fits(self, query: Query) -> Fits:
        """VehicleFit of any slot, or array of slots, as int8."""
        if self.name not in query.memo:
            query.memo[self.name] = self._fits(query.case.vehicle)
        return query.memo[self.name]

    def favoured(self, query: Query) -> np.ndarray | None:
        """Ascending slots of the cards that name the vehicle; None for a case without one."""
        if not query.case.vehicle.make:
            return None
        fits = self.fits(query)
        return fits.slots[fits.fits >= VehicleFit.near]

    def _fits(self, vehicle: Vehicle) -> Fits:
        slots, fits = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int8)]
        models = self._makes.get(make_key(vehicle.make), {}) if vehicle.make else {}
        asked = model_key(vehicle.model or "")
        # Models of which the name continues the asked one, and those that the asked one continues.
        line = dict(models.get(asked, {}))
        line |= {model: models[model][model] for model in _beginnings(asked) if model in models.get(model, {})}
        for model, group in line.items():
            if not model:
                rows = np.full(group.slots.size, VehicleFit.make, dtype=np.int8)
            elif not asked:
                rows = np.full(group.slots.size, VehicleFit.unknown, dtype=np.int8)
            else:
                rows = group.fits(vehicle)
            slots.append(group.slots.data)
            fits.append(rows)
        return Fits(self._default.data, np.concatenate(slots), np.concatenate(fits), known=bool(vehicle.make))

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        """Only cards that name the vehicle: universal ones would crowd everything else out."""
        fits = self.fits(query)
        keep = (fits.fits >= VehicleFit.near) & allowed[fits.slots]
        slots, found = fits.slots[keep], fits.fits[keep]
        order = np.argsort(-found, kind="stable")[:limit]
        return Hits.of(slots[order], SCORES[found[order]])

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        return SCORES[self.fits(query)[slots]]

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        relation = VehicleFit(int(fits_of(score)))
        if relation is VehicleFit.unknown:
            return []
        return [Reason(self.name, SENTENCES[relation], score)]


def _beginnings(model: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What a model's name begins with, from nothing to all of it."""
    return [model[:words] for words in range(len(model) + 1)]


def same_line(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one model name continues the other: "Wrangler" and "Wrangler Unlimited", not "Model 3" and "Model S"."""
    return one[: len(other)] == other[: len(one)]


def refinements_agree(vehicle: Vehicle, span: VehicleRange) -> bool:
    """Whether variant, firmware and type of the vehicle are among those a range names, as far as both are known."""
    if vehicle.variant and span.variants and fold(vehicle.variant) not in {fold(variant) for variant in span.variants}:
        return False
    if vehicle.vehicle_type and span.vehicle_type and fold(vehicle.vehicle_type) != fold(span.vehicle_type):
        return False
    if not vehicle.firmware or not span.firmware:
        return True
    return any(fnmatchcase(fold(vehicle.firmware), fold(pattern)) for pattern in span.firmware)
