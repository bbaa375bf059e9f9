"""Simulated streams of tickets: ordinary ones in the words of the starter cards' symptoms, and a failure that emerges.

Ordinary tickets come as a Poisson process; each speaks of one starter card, drawn by a Zipf law, in the words of some
of its symptoms and a few words of everyday. Nothing about them changes with time but their number, if told to.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matching.channels.vehicle import make_key, model_key
from matching.codes import find_codes
from matching.resemblance import Report
from matching.text import is_keyword, terms
from models.failure_card import CardContent
from seeds.starter import load_starter

VEHICLES = (
    ("Ather", "450X"),
    ("Ola", "S1 Pro"),
    ("TVS", "iQube"),
    ("Tata", "Nexon EV"),
    ("MG", "ZS EV"),
    ("Mahindra", "Treo"),
)
FIRMWARE = ("4.1", "4.2", "4.3", "5.0")
FILLERS = (
    "Started last week.", "The customer waits outside.", "Second visit to a workshop for it.", "Needs it by Friday.",
    "Please check everything else, too.", "Bought last year.", "Used every day for deliveries.", "Parked in the open.",
    "It was serviced on schedule.", "Only my wife rides it.", "The neighbour has the same model.",
    "Happened on the way home.",
)  # fmt: skip
EMERGING = (
    "left grip too hot to hold", "grip heater stays on", "melted rubber on the left grip", "heated grip burns the hand",
    "smell of burnt rubber from the handlebar", "grip heater cannot be switched off", "grip turns sticky with heat",
    "grip heater switch has no effect",
)  # fmt: skip
CODE = "B1A47"
UNEXPLAINED_SHARE = 0.35
"""Of ordinary tickets: what matching leaves without a known failure."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One ticket. `day` counts from the beginning of the stream; `emerging` tells truth that detection does not see."""

    number: int
    day: float
    text: str
    make: str
    model: str
    firmware: str
    codes: tuple[str, ...]
    unexplained: bool
    emerging: bool


@functools.cache
def _cards() -> tuple[CardContent, ...]:
    return tuple(card for _, card in load_starter().cards)


class Stream:
    """A reproducible stream: the same seed gives the same tickets."""

    def __init__(self, seed: int, *, per_day: float, days: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._cards = _cards()
        order = self._rng.permutation(len(self._cards))
        popular = 1.0 / (1 + order)
        self._popularity = popular / popular.sum()
        self.per_day, self.days = per_day, days
        self._number = 0

    def ordinary(self, *, growth: float = 1.0, growing_from: float = 0.0) -> list[Simulated]:
        """All ordinary tickets, in order; from day `growing_from` on `growth` times as many."""
        rates = np.where(np.arange(self.days) >= growing_from, self.per_day * growth, self.per_day)
        times = [day + self._rng.random() for day, rate in enumerate(rates) for _ in range(self._rng.poisson(rate))]
        return [self._ordinary(time) for time in sorted(times)]

    def emerging(
        self, count: int, *, start: float, within: float, firmware: str = "5.0", coded: float = 0.0
    ) -> list[Simulated]:
        """Tickets about one new failure of one model, each in words of its own; a share of them reports CODE."""
        times = sorted(start + within * self._rng.random(count))
        return [self._emerging(time, firmware, coded) for time in times]

    def _ordinary(self, day: float) -> Simulated:
        rng = self._rng
        card: CardContent = self._cards[rng.choice(len(self._cards), p=self._popularity)]
        phrases = [symptom.description for symptom in card.symptoms] or [card.title]
        said = rng.permutation(phrases)[: int(rng.integers(1, 3))]
        make, model = VEHICLES[rng.integers(len(VEHICLES))]
        codes = tuple(card.error_codes[:1]) if card.error_codes and rng.random() < 0.3 else ()
        text = ". ".join([*said, *rng.choice(FILLERS, int(rng.integers(1, 4)), replace=False)])
        return self._ticket(day, text, make, model, str(rng.choice(FIRMWARE)), codes, rng.random() < UNEXPLAINED_SHARE)

    def _emerging(self, day: float, firmware: str, coded: float) -> Simulated:
        rng = self._rng
        said = rng.permutation(EMERGING)[: int(rng.integers(2, 5))]
        text = ". ".join([*said, *rng.choice(FILLERS, int(rng.integers(0, 3)), replace=False)])
        codes = (CODE,) if coded and rng.random() < coded else ()
        return self._ticket(day, text, *VEHICLES[0], firmware, codes, True, emerging=True)

    def _ticket(
        self, day: float, text: str, make: str, model: str, firmware: str, codes: tuple[str, ...], unexplained: bool,
        *, emerging: bool = False,
    ) -> Simulated:  # fmt: skip
        self._number += 1
        return Simulated(self._number, float(day), text, make, model, firmware, codes, bool(unexplained), emerging)


def reports(tickets: list[Simulated], *, now: float, window: float, baseline: float) -> Iterator[Report]:
    """The tickets as detection sees them on day `now`."""
    for ticket in tickets:
        if now - window - baseline <= ticket.day < now:
            current = ticket.day >= now - window
            yield Report(
                key=f"{ticket.number:06}",
                subject=f"{ticket.number:06}",
                current=current,
                unexplained=current and ticket.unexplained,
                make=make_key(ticket.make),
                model=model_key(ticket.model),
                firmware=ticket.firmware,
                terms=_told(ticket.text),
                codes=frozenset(code.key for code in find_codes("; ".join(ticket.codes))),
            )


@functools.lru_cache(maxsize=1 << 16)
def _told(text: str) -> frozenset[str]:
    return frozenset(filter(is_keyword, terms(text)))
