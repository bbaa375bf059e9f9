"""The next best step of a diagnosis: test, repair, or give up and capture an unknown failure. Pure, no store.

Beliefs follow Bayes' rule over the candidate cards and "unknown failure", one failure at a time, tests independent
given the cause. A test is worth making if what its answers save on the way to the repair exceeds what it costs
(Heckerman, Breese & Rommelse 1995). Looking one answer ahead undervalues questions that only open the way to the
decisive one, so each card's tree is weighed as a whole, too: followed to its verdict, at the cost expected on the way.
After either, one more tree may follow before the rest is repaired or handed over.

A tree's later questions presuppose the earlier ones (the pack is open, the low group is known), so a test can be made
where the answers so far lead to it in some card's tree.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from services.diagnosis.guided.catalogue import CONFIRMED, RULED_OUT, Catalogue, Step
from services.diagnosis.guided.economics import Economics, Outlook, Repair, outlook

SURE = 0.9
"""Probability from which answers confirm a card even if its tree has not reached its end."""
GONE = 0.02
"""Probability below which a card counts as ruled out, if evidence and not the match brought it there."""
ROUTES_WEIGHED = 8
"""Trees that are followed to their verdict, by probability of their card; the other cards' next tests are still weighed
by one answer."""
LOOKED_INTO = 8
"""Tests for which it is also weighed what one more tree would bring after their answer."""


class Kind(StrEnum):
    """What to do next. `repair`: cheaper to try than to test further. `unknown`: no card explains it, capture it."""

    test = "test"
    confirmed = "confirmed"
    repair = "repair"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Findings:
    """What has been found: answers by test, in the test's own sense; tests that cannot or shall not be made; cards
    whose repair did not help; tools that are not at hand, in lower case."""

    answers: Mapping[int, bool] = field(default_factory=dict)
    blocked: frozenset[int] = frozenset()
    repairs_in_vain: tuple[int, ...] = ()
    tools_missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Option:
    """A test that could be made now. `total` is the expected cost of making it and going on, `saves` what that is below
    repairing or handing over right away. `if_yes` and `if_no` are beliefs after the answer; `chance` is P(yes)."""

    test: int
    cost: float
    total: float
    saves: float
    chance: float
    if_yes: np.ndarray
    if_no: np.ndarray


@dataclass(frozen=True, slots=True)
class Decision:
    """`without` is the expected cost of the best way on without a test, `total` that of the way proposed. `card` is the
    card to repair, or the one that a test would confirm or rule out in its tree. `options`: every test, best first."""

    kind: Kind
    belief: np.ndarray
    without: float
    total: float
    card: int | None
    test: int | None
    options: tuple[Option, ...]


class Planner:
    """`prior`: probabilities over cards with the unknown failure last; `likelihood`: see `likelihoods.table`."""

    def __init__(
        self,
        catalogue: Catalogue,
        prior: Sequence[float],
        likelihood: np.ndarray,
        repairs: Sequence[Repair],
        economics: Economics | None = None,
    ) -> None:
        if len(prior) != len(catalogue.cards) + 1 or len(repairs) != len(catalogue.cards):
            raise ValueError("one prior for each card and the unknown failure, one repair for each card")
        self.catalogue = catalogue
        self.economics = economics or Economics()
        weights = np.maximum(np.asarray(prior, dtype=float), 1e-9)
        self.prior = weights / weights.sum()
        self.yes = likelihood
        # A repair without a price would always be tried first; nothing a workshop does costs nothing.
        self.repair_costs = np.array([max(1.0, repair.cost) for repair in repairs])
        self.works = np.array([repair.works for repair in repairs])
        self._minutes = np.array([test.minutes for test in catalogue.tests])
        names = sorted({name for test in catalogue.tests for name in test.setups})
        column = {name: n for n, name in enumerate(names)}
        self._setups = np.zeros((len(catalogue.tests), len(names)))
        for row, test in enumerate(catalogue.tests):
            for name, minutes in test.setups.items():
                self._setups[row, column[name]] = minutes

    def belief(self, found: Findings) -> np.ndarray:
        """Probabilities over cards and the unknown failure after what has been found; the order does not matter."""
        log = np.log(self.prior)
        # Sorted, so that rounding cannot depend on the order either.
        for test in sorted(found.answers):
            chance = self.yes[:, test] if found.answers[test] else 1 - self.yes[:, test]
            log = log + np.log(chance)
        for card in sorted(found.repairs_in_vain):
            log[card] += np.log(max(1e-6, 1 - self.works[card]))
        weights = np.exp(log - log.max())
        return weights / weights.sum()

    def against(self, test: int, answer: bool) -> np.ndarray:
        """By how much (log odds against the average cause) an answer speaks against each cause."""
        chance = self.yes[:, test] if answer else 1 - self.yes[:, test]
        return np.log(self.prior @ chance) - np.log(chance)

    def cost_of(self, tests: np.ndarray, found: Findings) -> np.ndarray:
        """What each test costs now: preparations that answered tests have made already are free."""
        done = self._setups[list(found.answers)].any(axis=0) if found.answers else np.zeros(self._setups.shape[1], bool)
        return (self._minutes[tests] + self._setups[tests] @ ~done) * self.economics.labour_per_minute

    def cursor(self, card: int, found: Findings) -> int:
        """The step of a card's tree that comes next, or its verdict (CONFIRMED, RULED_OUT).

        A step that cannot be made is passed on the side that the card expects; where that ends the tree without an
        answer, the step itself is returned.
        """
        steps = self.catalogue.routes[card].steps
        at = 0 if steps else RULED_OUT
        while at >= 0:
            step = steps[at]
            if step.test in found.answers:
                at = step.yes if found.answers[step.test] != step.inverted else step.no
                continue
            onward = _expected_side(step)
            if not self._barred(step.test, found) or onward < 0:
                return at
            at = onward
        return at

    def verdict(self, card: int, found: Findings) -> bool | None:
        """Whether a card's tree ended in confirming it (True) or ruling it out (False); None while it has not."""
        if not self.catalogue.routes[card].steps:
            return None
        return {CONFIRMED: True, RULED_OUT: False}.get(self.cursor(card, found))

    def available(self, found: Findings) -> list[int]:
        """Tests that can be made now, in the order of the cards."""
        tests: dict[int, None] = {}
        for card, route in enumerate(self.catalogue.routes):
            at = self.cursor(card, found)
            if at >= 0 and not self._barred(route.steps[at].test, found):
                tests[route.steps[at].test] = None
        return list(tests)

    def decide(self, found: Findings | None = None) -> Decision:
        """The step with the least expected cost."""
        found = found or Findings()
        belief = self.belief(found)
        routes = self._routes(belief, found)
        first, without = self._without(belief, routes)
        options = self._options(belief, without, found, routes)
        best_total, best_test, toward = without, None, None
        if options and options[0].total < without:
            best_total, best_test = options[0].total, options[0].test
        if routes.cards:
            totals = self._follow_on(belief, routes)
            n = int(np.argmin(totals))
            if totals[n] < best_total:
                best_total, best_test, toward = float(totals[n]), routes.tests[n], routes.cards[n]
        if best_test is not None and best_total < without - 1e-9:
            return Decision(Kind.test, belief, without, best_total, toward, best_test, tuple(options))
        if first < 0:
            return Decision(Kind.unknown, belief, without, without, None, None, tuple(options))
        # A complaint alone confirms nothing, however well it matches.
        sure = self.verdict(first, found) is True or (bool(found.answers) and belief[first] >= SURE)
        return Decision(Kind.confirmed if sure else Kind.repair, belief, without, without, first, None, tuple(options))

    def _barred(self, test: int, found: Findings) -> bool:
        return test in found.blocked or not found.tools_missing.isdisjoint(self.catalogue.tests[test].tools)

    def outlook(self, beliefs: np.ndarray, tried: Collection[int] = ()) -> Outlook:
        """The cheapest way on without a test, for rows of beliefs. `tried`: cards whose repair did not help.

        Whatever kept such a repair from helping keeps it from helping again, even if the card is the cause after all.
        """
        works = self.works
        if tried:
            works = works.copy()
            works[list(tried)] = 0.0
        return outlook(beliefs, self.repair_costs, works, self.economics)

    def _without(self, belief: np.ndarray, routes: "_Routes") -> tuple[int, float]:
        """The card to repair (-1: hand over) if no test is made now, and what that costs."""
        plan = self.outlook(belief[None, :], routes.tried)
        first, cost = int(plan.first[0]), float(plan.cost[0])
        if first >= 0:
            # If it does not help, testing may still go on.
            fixed = belief[first] * self.works[first]
            in_vain = belief.copy()
            in_vain[first] -= fixed
            after = replace(routes, tried=(*routes.tried, first))
            onward = self._ahead(
                in_vain[None, :] / max(1e-12, 1 - fixed), after, np.zeros((1, len(routes.cards)), bool)
            )
            failing = self.economics.in_vain + float(onward[0])
            cost = min(cost, float(self.repair_costs[first] + (1 - fixed) * failing))
        return first, cost

    def _options(self, belief: np.ndarray, without: float, found: Findings, routes: "_Routes") -> list[Option]:
        """Every test that can be made now, the least expected cost first."""
        tests = np.array(self.available(found), dtype=int)
        if not len(tests):
            return []
        chance, if_yes, if_no = _split(belief, self.yes[:, tests].T)
        costs = self.cost_of(tests, found)
        after = chance * self.outlook(if_yes, routes.tried).cost
        after += (1 - chance) * self.outlook(if_no, routes.tried).cost
        totals = costs + after
        near = np.argsort(totals, kind="stable")[:LOOKED_INTO]
        # A tree that asks the test itself would count its answer twice.
        asking = np.array([[test in asked for asked in routes.asked] for test in tests[near]], dtype=bool)
        asking = asking.reshape(len(near), len(routes.cards))
        deeper = chance[near] * self._ahead(if_yes[near], routes, asking)
        deeper += (1 - chance[near]) * self._ahead(if_no[near], routes, asking)
        totals[near] = np.minimum(totals[near], costs[near] + deeper)
        return [
            Option(
                int(tests[n]),
                float(costs[n]),
                float(totals[n]),
                float(without - totals[n]),
                float(chance[n]),
                if_yes[n],
                if_no[n],
            )
            for n in np.argsort(totals, kind="stable")
        ]

    def _follow_on(self, belief: np.ndarray, routes: "_Routes") -> np.ndarray:
        """Expected cost of following each route to its verdict and going on from there."""
        chance, confirmed, ruled_out = _split(belief, routes.confirm)
        own = np.eye(len(routes.cards), dtype=bool)
        after = chance * self._ahead(confirmed, routes, own) + (1 - chance) * self._ahead(ruled_out, routes, own)
        return routes.cost @ belief + after

    def _ahead(self, beliefs: np.ndarray, routes: "_Routes", used: np.ndarray) -> np.ndarray:
        """Expected cost from each of several beliefs on: without a test, or along one more route that is not `used`."""
        cost = self.outlook(beliefs, routes.tried).cost
        if not routes.cards:
            return cost
        rows, ways = len(beliefs), len(routes.cards)
        pairs = np.repeat(beliefs, ways, axis=0), np.tile(routes.confirm, (rows, 1))
        chance, confirmed, ruled_out = _split(*pairs)
        ends = self.outlook(np.concatenate([confirmed, ruled_out]), routes.tried).cost
        half = rows * ways
        after = (chance * ends[:half] + (1 - chance) * ends[half:]).reshape(rows, ways)
        along = beliefs @ routes.cost.T + after
        return np.minimum(cost, np.where(used, np.inf, along).min(axis=1))

    def _routes(self, belief: np.ndarray, found: Findings) -> "_Routes":
        """The likeliest cards' trees, from where they stand to their verdict."""
        nothing = np.empty((0, len(belief)))
        routes = _Routes([], [], [], nothing, nothing, found.repairs_in_vain)
        confirms, costs = [], []
        for card in np.argsort(-belief[:-1], kind="stable")[:ROUTES_WEIGHED].tolist():
            at = self.cursor(card, found)
            steps = self.catalogue.routes[card].steps
            if at < 0 or self._barred(steps[at].test, found):
                continue
            confirm, cost = self._follow(card, at, found)
            routes.cards.append(card)
            routes.tests.append(steps[at].test)
            routes.asked.append(frozenset(step.test for step in steps))
            confirms.append(confirm)
            costs.append(cost)
        if confirms:
            routes.confirm, routes.cost = np.array(confirms), np.array(costs)
        return routes

    def _follow(self, card: int, start: int, found: Findings) -> tuple[np.ndarray, np.ndarray]:
        """P(the tree ends by confirming the card) and the cost of getting to its end, for each cause."""
        steps = self.catalogue.routes[card].steps
        causes = len(self.prior)
        confirm: dict[int, np.ndarray] = {CONFIRMED: np.ones(causes), RULED_OUT: np.zeros(causes)}
        cost: dict[int, np.ndarray] = {CONFIRMED: np.zeros(causes), RULED_OUT: np.zeros(causes)}
        prices = self.cost_of(np.array([step.test for step in steps]), found)
        for at in range(len(steps) - 1, start - 1, -1):
            step = steps[at]
            if step.test in found.answers:
                end = step.yes if found.answers[step.test] != step.inverted else step.no
                confirm[at], cost[at] = confirm[end], cost[end]
            elif self._barred(step.test, found):
                end = _expected_side(step)
                # Without its last check a tree cannot confirm what it was about to.
                confirm[at] = confirm[end] if end >= 0 else np.full(causes, 0.5)
                cost[at] = cost[end]
            else:
                says = 1 - self.yes[:, step.test] if step.inverted else self.yes[:, step.test]
                confirm[at] = says * confirm[step.yes] + (1 - says) * confirm[step.no]
                cost[at] = prices[at] + says * cost[step.yes] + (1 - says) * cost[step.no]
        return confirm[start], cost[start]


@dataclass(slots=True)
class _Routes:
    """Trees to follow: card, next test, all tests; rows of P(confirmed | cause) and of E(cost | cause). And the cards
    whose repair has been `tried` in vain by then."""

    cards: list[int]
    tests: list[int]
    asked: list[frozenset[int]]
    confirm: np.ndarray
    cost: np.ndarray
    tried: tuple[int, ...]


def _split(belief: np.ndarray, yes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For rows of P(yes | cause): the chance of yes, and the beliefs after yes and after no."""
    joint_yes, joint_no = belief * yes, belief * (1 - yes)
    chance, rest = joint_yes.sum(axis=1), joint_no.sum(axis=1)
    return chance, joint_yes / np.maximum(chance, 1e-300)[:, None], joint_no / np.maximum(rest, 1e-300)[:, None]


def _expected_side(step: Step) -> int:
    return step.yes if step.expects is None or step.expects >= 0.5 else step.no
