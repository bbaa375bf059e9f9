"""Simulated vehicles with a known failure, and the strategies by which a workshop gets them repaired.

What a vehicle answers is drawn independently of the planner's model of it:

- each failure has its own mix of the ways through its own tree (where a way divides, any share is as likely as any
  other; the planner takes every confirming way for equally likely), and answers off that way are a coin of its own;
- each check has its own rate of misleading answers, Beta(2, 18) (the planner knows one rate for all);
- how often a failure gives the answer that speaks for another card (`Step.points_to`) is drawn for each pair of failure
  and check from `World.mimicry` (the planner guesses by how near the check is to its verdict).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from services.diagnosis.guided.catalogue import CONFIRMED, Catalogue
from services.diagnosis.guided.planner import SURE, Findings, Kind, Planner

MISLEADING = (2.0, 18.0)
DISCRIMINATING = (0.9, 2.1)
"""Mimicry of checks whose authors chose them well: another failure answers alike three times in ten."""
CONFUSING = (0.5, 0.5)
"""Mimicry of checks that tell next to nothing by themselves: other failures answer alike every second time."""
UNKNOWN = "unknown"


@dataclass
class World:
    """A fleet's nature: how its failures answer. The same for all strategies, and drawn anew with each seed."""

    mimicry: tuple[float, float]
    rng: np.random.Generator
    _rates: dict[tuple[str, str], float] = field(default_factory=dict)
    _ways: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def vehicle(self, cause: str, catalogue: Catalogue) -> dict[int, bool]:
        """One vehicle with this failure (a card's id, or UNKNOWN): what it answers to every test, in its own sense."""
        own = self._own_way(cause, catalogue)
        answers = {}
        for number, test in enumerate(catalogue.tests):
            misled = self._rate(("misled", test.id), MISLEADING)
            if number in own:
                answers[number] = own[number] ^ bool(self.rng.random() < misled)
                continue
            alike = self.rng.random() < self._rate((cause, test.id), self.mimicry)
            answers[number] = _expected(catalogue, number) ^ (not alike)
        return answers

    def chances(self, catalogue: Catalogue) -> np.ndarray:
        """P(yes) as this world draws it, in the form of `likelihoods.table`: what no workshop ever knows."""
        return np.array([self._chances_of(cause, catalogue) for cause in (*catalogue.cards, UNKNOWN)])

    def _chances_of(self, cause: str, catalogue: Catalogue) -> list[float]:
        own = self._own_chances(cause, catalogue)
        found = []
        for number, test in enumerate(catalogue.tests):
            if number in own:
                misled = self._rate(("misled", test.id), MISLEADING)
                chance = own[number] * (1 - misled) + (1 - own[number]) * misled
            else:
                alike = self._rate((cause, test.id), self.mimicry)
                chance = alike if _expected(catalogue, number) else 1 - alike
            found.append(min(1 - 1e-6, max(1e-6, chance)))
        return found

    def _own_chances(self, cause: str, catalogue: Catalogue) -> dict[int, float]:
        """P(yes) before any misleading answer, over the ways that `_own_way` may take."""
        if cause not in catalogue.cards:
            return {}
        steps = catalogue.routes[catalogue.cards.index(cause)].steps
        reached = [0.0] * len(steps)
        if steps:
            reached[0] = 1.0
        found = {}
        for place, step in enumerate(steps):  # every step leads to later ones only
            towards_yes = self._rate((cause, step.node_id, "way"), (1.0, 1.0))
            yes = 0.0 if step.expects is None else step.expects if step.expects in (0, 1) else towards_yes
            for onward, share in ((step.yes, yes), (step.no, 1 - yes)):
                if onward >= 0:
                    reached[onward] += reached[place] * share
            coin = self._rate((cause, catalogue.tests[step.test].id, "off"), (1.0, 1.0))
            on_way = 1 - yes if step.inverted else yes
            found[step.test] = reached[place] * on_way + (1 - reached[place]) * coin
        return found

    def _own_way(self, cause: str, catalogue: Catalogue) -> dict[int, bool]:
        """Answers on one way to a confirming end of the failure's own tree; off the way, a coin of this failure."""
        if cause not in catalogue.cards:
            return {}
        steps = catalogue.routes[catalogue.cards.index(cause)].steps
        way: dict[int, bool] = {}
        for step in steps:
            coin = self._rate((cause, catalogue.tests[step.test].id, "off"), (1.0, 1.0))
            way[step.test] = bool(self.rng.random() < coin)
        at = 0 if steps else CONFIRMED
        while at >= 0:
            step = steps[at]
            towards_yes = self._rate((cause, step.node_id, "way"), (1.0, 1.0))
            yes = step.expects is not None and (
                self.rng.random() < towards_yes if 0 < step.expects < 1 else step.expects >= 0.5
            )
            way[step.test] = bool(yes) != step.inverted
            at = step.yes if yes else step.no
        return way

    def _rate(self, key: tuple[str, ...], shape: tuple[float, float]) -> float:
        if key not in self._rates:
            self._rates[key] = float(self.rng.beta(*shape))
        return self._rates[key]


def _expected(catalogue: Catalogue, test: int) -> bool:
    """The answer that speaks for the first card that asks the test, in the test's own sense."""
    place = catalogue.tests[test].places[0]
    step = next(step for step in catalogue.routes[place.card].steps if step.node_id == place.node_id)
    return (step.points_to is None or step.points_to >= 0.5) != step.inverted


@dataclass
class Job:
    """One vehicle in the workshop, and what has been spent on it."""

    planner: Planner
    truth: Mapping[int, bool]
    cause: int | None
    """Place of the card that is the cause, None if no candidate is."""
    works: bool
    cost: float = 0.0
    tests: int = 0
    wrong_repairs: int = 0
    handed_over: bool = False
    done: bool = False
    found: Findings = field(default_factory=Findings)

    def check(self, test: int) -> bool:
        """Make a test, unless it was made before; returns its answer."""
        if test not in self.found.answers:
            self.cost += float(self.planner.cost_of(np.array([test]), self.found)[0])
            self.tests += 1
            answers = {**self.found.answers, test: self.truth[test]}
            self.found = Findings(answers, self.found.blocked, self.found.repairs_in_vain)
        return self.found.answers[test]

    def repair(self, card: int) -> bool:
        """Repair by a card; returns whether that helped."""
        self.cost += float(self.planner.repair_costs[card])
        self.done = card == self.cause and self.works
        if not self.done:
            self.cost += self.planner.economics.in_vain
        if card != self.cause:
            self.wrong_repairs += 1
        vain = (*self.found.repairs_in_vain, card)
        self.found = Findings(self.found.answers, self.found.blocked, vain)
        return self.done

    def hand_over(self) -> None:
        """Give up: somebody else finds out, and the repair that the vehicle needs is still to be paid."""
        self.cost += self.planner.economics.hand_over + self.needed
        self.handed_over = self.done = True

    @property
    def needed(self) -> float:
        """What the right repair costs: nobody gets round it."""
        if self.cause is None:
            return self.planner.economics.unknown_repair
        return float(self.planner.repair_costs[self.cause])


Strategy = Callable[[Job], None]


def fixed_tree(trees: int) -> Strategy:
    """Follow the tree of the best match to its end, node by node; if it hands over, or its repair does not help, go on
    with the next best, up to `trees` of them."""

    def strategy(job: Job) -> None:
        order = np.argsort(-job.planner.prior[:-1], kind="stable")
        for card in order[:trees]:
            steps = job.planner.catalogue.routes[card].steps
            at = 0 if steps else CONFIRMED
            while at >= 0:
                step = steps[at]
                at = step.yes if job.check(step.test) != step.inverted else step.no
            if at == CONFIRMED and job.repair(int(card)):
                return
        job.hand_over()

    return strategy


def most_probable(job: Job) -> None:
    """Always take the likeliest card, whatever anything costs: test along its tree, repair once it is sure or its tree
    confirms it; give up when the unknown failure is likeliest."""
    planner = job.planner
    while not job.done:
        belief = planner.belief(job.found)
        card = int(np.argmax(belief))
        if card == len(belief) - 1:
            job.hand_over()
            return
        at = planner.cursor(card, job.found)
        if at < 0 or belief[card] >= SURE:
            if card in job.found.repairs_in_vain:
                job.hand_over()
                return
            job.repair(card)
        else:
            job.check(planner.catalogue.routes[card].steps[at].test)


def all_knowing(job: Job) -> None:
    """Repairs the cause at once, and hands over at once what no card or no repair helps: nothing can cost less."""
    if job.cause is None or not job.works:
        job.hand_over()
    else:
        job.repair(job.cause)


def guided(job: Job) -> None:
    """The planner's decision, step by step."""
    while not job.done:
        decision = job.planner.decide(job.found)
        if decision.kind is Kind.test:
            job.check(decision.test)
        elif decision.kind is Kind.unknown:
            job.hand_over()
        else:
            job.repair(decision.card)
