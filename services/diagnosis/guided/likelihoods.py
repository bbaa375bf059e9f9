"""How likely a test answers yes if a given card is the cause: what the trees expect, corrected by what repairs showed.

Every number is the mean of a Beta distribution. Its prior pseudo-counts come from the trees; the counts of confirmed
repairs, decayed with age, are added to them. Outcomes on other vehicle variants count for less (`borrowed`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from services.diagnosis.guided.catalogue import CONFIRMED, Catalogue, Route

EXPECTATION_STRENGTH = 8.0
"""Pseudo-outcomes behind what a card's own tree expects: its author knew the failure, but had not seen this vehicle."""
ERROR_RATE = 0.08
"""How often a check misleads: a doubtful reading, a slip, a failure that shows itself otherwise than written."""
BACKGROUND_STRENGTH = 2.0
"""Pseudo-outcomes behind a guess about a card whose tree does not ask the test; a few repairs outweigh it."""
MIMICRY_AT_ROOT, MIMICRY_AT_VERDICT = 0.5, 0.15
"""How often another failure answers as this card expects: often at the root, whose question repeats the complaint, and
seldom at the check that decides, which its author chose because it tells this cause from others."""
SIBLING_LIMIT = 10.0
"""Outcomes on other variants, however many, count as fewer than this many on this one."""
ANY_CARD = "*"
"""In place of a card: all confirmed repairs together, from which an unknown failure is guessed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Decayed numbers of yes and no, in the test's own sense."""

    yes: float = 0.0
    no: float = 0.0

    @property
    def n(self) -> float:
        return self.yes + self.no

    def plus(self, other: "Counts", weight: float = 1.0) -> "Counts":
        return Counts(self.yes + weight * other.yes, self.no + weight * other.no)


Learnt = Mapping[tuple[str, str], Counts]
"""What repairs showed, by card id (or ANY_CARD) and test id."""


def borrowed(own: Counts, everywhere: Counts) -> Counts:
    """The counts on one variant with a part of the others': n there count as n · SIBLING_LIMIT / (n + SIBLING_LIMIT).

    `everywhere` includes `own`, which is taken out again: nothing counts twice.
    """
    others = Counts(max(0.0, everywhere.yes - own.yes), max(0.0, everywhere.no - own.no))
    return own.plus(others, SIBLING_LIMIT / (SIBLING_LIMIT + others.n))


def table(catalogue: Catalogue, learnt: Learnt | None = None) -> np.ndarray:
    """P(yes) in each test's own sense, (cards + 1) × tests; the last row is the unknown failure. All within (0, 1).

    A cause whose tree does not ask a test, the unknown failure among them, is guessed from what others such answered.
    """
    cards, tests = len(catalogue.cards), len(catalogue.tests)
    yes, total = _background(catalogue)
    yes = np.tile(yes, (cards + 1, 1))
    total = np.tile(total, (cards + 1, 1))
    own_yes, own_n, asks = np.zeros((cards, tests)), np.zeros((cards, tests)), np.zeros((cards + 1, tests), bool)
    all_yes, all_n = np.zeros(tests), np.zeros(tests)
    for card, route in enumerate(catalogue.routes):
        for test, share in _expected(route):
            asks[card, test] = True
            yes[card, test] = EXPECTATION_STRENGTH * (ERROR_RATE + (1 - 2 * ERROR_RATE) * share)
            total[card, test] = EXPECTATION_STRENGTH
    rows = {card_id: row for row, card_id in enumerate(catalogue.cards)}
    for (card_id, test_id), counts in (learnt or {}).items():
        if (test := catalogue.by_id.get(test_id)) is None:
            continue
        if card_id == ANY_CARD:
            all_yes[test], all_n[test] = counts.yes, counts.n
        elif (row := rows.get(card_id)) is not None:
            own_yes[row, test], own_n[row, test] = counts.yes, counts.n
    # Of all repairs those of other causes that do not ask the test either; decay leaves tiny differences.
    apart_yes, apart_n = _apart(all_yes, own_yes, asks), _apart(all_n, own_n, asks)
    discount = np.where(asks, 0.0, SIBLING_LIMIT / (SIBLING_LIMIT + apart_n))
    yes += discount * np.minimum(apart_yes, apart_n)
    total += discount * apart_n
    yes[:-1] += own_yes
    total[:-1] += own_n
    return yes / total if tests else np.empty((cards + 1, 0))


def _apart(together: np.ndarray, own: np.ndarray, asks: np.ndarray) -> np.ndarray:
    """The sums over all causes without those that ask the test, and without the row's own."""
    others = together - np.where(asks[:-1], own, 0.0).sum(axis=0)
    rows = np.tile(others, (len(own) + 1, 1))
    rows[:-1] -= np.where(asks[:-1], 0.0, own)
    return np.maximum(rows, 0.0)


def _expected(route: Route) -> Iterable[tuple[int, float]]:
    """P(yes) in the test's own sense by the tree; a test that the tree asks twice goes by the first place."""
    seen = set()
    for step in route.steps:
        if step.expects is not None and step.test not in seen:
            seen.add(step.test)
            yield step.test, 1 - step.expects if step.inverted else step.expects


def _background(catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-counts (yes, total) of each test for a cause whose tree does not ask it."""
    sums = np.full(len(catalogue.tests), 0.0)
    asked = np.full(len(catalogue.tests), 0.0)
    for route in catalogue.routes:
        nearness = _nearness(route)
        for place, step in enumerate(route.steps):
            if (speaks_for := step.points_to) is None:
                continue
            mimicry = MIMICRY_AT_ROOT + (MIMICRY_AT_VERDICT - MIMICRY_AT_ROOT) * nearness[place]
            share = 1 - speaks_for if step.inverted else speaks_for
            sums[step.test] += share * mimicry + (1 - share) * (1 - mimicry)
            asked[step.test] += 1
    mean = np.divide(sums, asked, out=np.full_like(sums, 0.5), where=asked > 0)
    return BACKGROUND_STRENGTH * mean, np.full_like(mean, BACKGROUND_STRENGTH)


def _nearness(route: Route) -> list[float]:
    """How near each step is to confirming the card, from 0 (at the root of a long tree) to 1 (its answer confirms)."""
    to_go: dict[int, int] = {CONFIRMED: 0}
    for place in range(len(route.steps) - 1, -1, -1):
        step = route.steps[place]
        known = [to_go[end] for end in (step.yes, step.no) if end in to_go]
        if known:
            to_go[place] = 1 + min(known)
    longest = max((steps for place, steps in to_go.items() if place >= 0), default=1)
    return [1 - (to_go.get(place, longest) - 1) / max(1, longest - 1) for place in range(len(route.steps))]
