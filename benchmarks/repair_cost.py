"""What it costs to get simulated vehicles repaired: guided diagnosis beside the fixed tree and probability alone.

Two fleets. *Starter*: the starter cards with their trees and prices; a complaint is two phrases of the symptom library
for two symptoms of the failure, never the card's own text, and goes through the real matcher, with the sentence model
if `--model` names its place. *Synthetic*: random trees that share checks, random prices, and match probabilities that
are a noisy copy of the true ones. One vehicle in ten has a failure that no card describes. `benchmarks.workshop` says
how vehicles answer, independently of the planner's model.

"After n repairs": guided diagnosis with the likelihoods learnt from n earlier vehicles of the same fleet. Two bounds
show what is left: *knowing the answers* is guided diagnosis with the true likelihood of every answer, *knowing the
cause* repairs at once what can be repaired.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.complaints import StarterFailures
from benchmarks.report import Figures, Report
from benchmarks.workshop import (
    CONFUSING,
    DISCRIMINATING,
    UNKNOWN,
    Job,
    Strategy,
    World,
    all_knowing,
    fixed_tree,
    guided,
    most_probable,
)
from matching import Embedder, Matcher
from matching.minilm import MiniLMEmbedder
from models.failure_card import DiagnosticNode, DiagnosticTree
from services.diagnosis.guided import likelihoods
from services.diagnosis.guided.catalogue import build
from services.diagnosis.guided.economics import Economics, Repair
from services.diagnosis.guided.likelihoods import ANY_CARD, Counts
from services.diagnosis.guided.planner import Planner
from services.diagnosis.guided.problem import repair_of, spread
from services.diagnosis.guided.sessions import CANDIDATES

UNKNOWN_SHARE = 0.1
WORKS = 0.95
REQUIRED = 0.15
TREES = (1, 2, 3, 5)
"""After how many trees the fixed order gives up. The first is the best card's tree alone, which is to be beaten by
REQUIRED; the best of them for each fleet is shown beside it."""
BEST_TREE = f"fixed tree ({TREES[0]})"
KNOWING = "guided, knowing the answers"

Trees = Mapping[str, DiagnosticTree]
Priors = tuple[dict[str, float], float]


@dataclass
class Fleet:
    """Cards with trees and prices, and a source of vehicles: the failure, and what the match makes of the complaint."""

    trees: Trees
    repairs: Mapping[str, Repair]
    arrive: Callable[[np.random.Generator], tuple[str, Priors]]
    economics: Economics


@dataclass
class Ledger:
    """What a strategy cost, vehicle by vehicle."""

    total: list[float] = field(default_factory=list)
    avoidable: list[float] = field(default_factory=list)
    wrong: list[bool] = field(default_factory=list)
    tests: list[int] = field(default_factory=list)
    handed_over: list[bool] = field(default_factory=list)

    def note(self, job: Job) -> None:
        self.total.append(job.cost)
        self.avoidable.append(job.cost - job.needed)
        self.wrong.append(job.wrong_repairs > 0)
        self.tests.append(job.tests)
        self.handed_over.append(job.handed_over)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--vehicles", type=int, default=120, help="per seed and fleet")
    parser.add_argument("--hand-over", type=float, default=Economics().hand_over, help="cost of giving up")
    parser.add_argument("--model", type=Path, metavar="DIR", help="where the built sentence model is or goes")
    parser.add_argument("--learn-from", type=int, default=200, help="earlier repairs of the same fleet")


def run(options: argparse.Namespace) -> Report:
    rows: dict[str, Figures] = {}
    passed = True
    economics = Economics(hand_over=options.hand_over)
    model = MiniLMEmbedder.load(options.model) if options.model is not None else None
    starter = starter_fleet(economics, model)
    for name, make, mimicry in (
        ("starter, telling checks", lambda rng: starter, DISCRIMINATING),
        ("starter, confusing checks", lambda rng: starter, CONFUSING),
        ("synthetic, telling checks", lambda rng: synthetic_fleet(rng, economics), DISCRIMINATING),
    ):
        ledgers = [
            simulate(make(rng), World(mimicry, rng), options.vehicles, options.learn_from, rng)
            for rng in (np.random.default_rng([2026, seed]) for seed in range(options.seeds))
        ]
        rows |= {f"{name}: {label}": figures for label, figures in _compared(ledgers).items()}
        if mimicry is DISCRIMINATING:
            passed &= (rows[f"{name}: guided"]["saves %"] or 0) >= 100 * REQUIRED
    notes = [
        "Cost until the vehicle is repaired: checks, wrong repairs, hand-over, and the right repair, which nobody gets "
        "round; avoidable is the same without the right repair. Savings against the best card's tree alone, ± the 95 % "
        "interval of the mean over seeds. Wrong parts: vehicles with a repair that was not needed. Given up: handed "
        "over.",
        "Best n: fixed trees up to the number that suits them best in each fleet.",
        f"Required where checks are telling: {REQUIRED:.0%} below the cost by the best card's tree.",
    ]
    return Report("Cost to the right repair", rows, notes, passed)


def simulate(fleet: Fleet, world: World, vehicles: int, learn_from: int, rng: np.random.Generator) -> dict[str, Ledger]:
    """Every strategy on the same vehicles, which give the same answers to all."""
    strategies: dict[str, Strategy] = {f"fixed tree ({n})": fixed_tree(n) for n in TREES}
    strategies |= {"probability only": most_probable, "knowing the cause": all_knowing, "guided": guided}
    ledgers = {label: Ledger() for label in strategies}
    ledgers |= {f"guided, after {learn_from} repairs": Ledger(), KNOWING: Ledger()}
    learnt = _learn(fleet, world, learn_from, rng)
    for _ in range(vehicles):
        cold, job_of = _arrival(fleet, world, rng, {})
        for label, strategy in strategies.items():
            ledgers[label].note(_done(job_of(cold), strategy))
        taught = _planner(fleet, cold.catalogue.cards, cold.prior, learnt)
        ledgers[f"guided, after {learn_from} repairs"].note(_done(job_of(taught), guided))
        ledgers[KNOWING].note(_done(job_of(_knowing(fleet, world, cold)), guided))
    return ledgers


def _done(job: Job, strategy: Strategy) -> Job:
    strategy(job)
    return job


def _arrival(
    fleet: Fleet, world: World, rng: np.random.Generator, learnt: likelihoods.Learnt
) -> tuple[Planner, Callable[[Planner], Job]]:
    """The planner of a newly arrived vehicle, and what makes the job of it for any planner of the same cards."""
    cause, (priors, unknown) = fleet.arrive(rng)
    planner = _planner(fleet, tuple(priors), [*priors.values(), unknown], learnt)
    truth = world.vehicle(cause, planner.catalogue)
    place = planner.catalogue.cards.index(cause) if cause in planner.catalogue.cards else None
    works = bool(rng.random() < WORKS)
    return planner, lambda chosen: Job(chosen, truth, place, works)


def _planner(
    fleet: Fleet, cards: Sequence[str], prior: Sequence[float] | np.ndarray, learnt: likelihoods.Learnt
) -> Planner:
    catalogue = build({card_id: fleet.trees[card_id] for card_id in cards})
    table = likelihoods.table(catalogue, learnt)
    return Planner(catalogue, prior, table, [fleet.repairs[card_id] for card_id in cards], fleet.economics)


def _knowing(fleet: Fleet, world: World, cold: Planner) -> Planner:
    catalogue = cold.catalogue
    repairs = [fleet.repairs[card_id] for card_id in catalogue.cards]
    return Planner(catalogue, cold.prior, world.chances(catalogue), repairs, fleet.economics)


def _learn(fleet: Fleet, world: World, repairs: int, rng: np.random.Generator) -> dict[tuple[str, str], Counts]:
    """Counts as the service keeps them: answers on vehicles whose cause was found, for the card and for all cards."""
    counts: dict[tuple[str, str], Counts] = {}
    for _ in range(repairs):
        planner, job_of = _arrival(fleet, world, rng, counts)
        job = _done(job_of(planner), guided)
        # Whoever takes a vehicle over finds its cause, and the ticket is resolved by that card.
        if job.cause is None:
            continue
        card = planner.catalogue.cards[job.cause]
        for test, yes in job.found.answers.items():
            for who in (card, ANY_CARD):
                key = (who, planner.catalogue.tests[test].id)
                counts[key] = counts.get(key, Counts()).plus(Counts(float(yes), float(not yes)))
    return counts


def _compared(ledgers: Sequence[Mapping[str, Ledger]]) -> dict[str, Figures]:
    """One row for each strategy, guided ones first; of the fixed trees the first, and the one best over all seeds."""
    fixed = [label for label in ledgers[0] if label.startswith("fixed")]
    best = min(fixed, key=lambda label: np.mean([np.mean(one[label].total) for one in ledgers]))
    guided_ones = [label for label in ledgers[0] if label.startswith("guided")]
    labels = dict.fromkeys([*guided_ones, "probability only", BEST_TREE, best, "knowing the cause"])
    by_label = {label: [one[label] for one in ledgers] for label in labels}
    return {label: _figures(ours, by_label[BEST_TREE], by_label[best]) for label, ours in by_label.items()}


def _figures(ours: Sequence[Ledger], peer: Sequence[Ledger], best: Sequence[Ledger]) -> Figures:
    saves = [1 - np.mean(a.total) / np.mean(b.total) for a, b in zip(ours, peer, strict=True)]
    saves_of_best = [1 - np.mean(a.total) / np.mean(b.total) for a, b in zip(ours, best, strict=True)]
    avoids = [1 - np.mean(a.avoidable) / np.mean(b.avoidable) for a, b in zip(ours, peer, strict=True)]
    return {
        "cost": round(float(np.mean([np.mean(one.total) for one in ours]))),
        "avoidable": round(float(np.mean([np.mean(one.avoidable) for one in ours]))),
        "wrong parts %": round(100 * float(np.mean([np.mean(one.wrong) for one in ours])), 1),
        "given up %": round(100 * float(np.mean([np.mean(one.handed_over) for one in ours])), 1),
        "checks": round(float(np.mean([np.mean(one.tests) for one in ours])), 1),
        "saves %": round(100 * float(np.mean(saves)), 1),
        "±": round(100 * _half_interval(saves), 1),
        "saves avoidable %": round(100 * float(np.mean(avoids)), 1),
        "± avoidable": round(100 * _half_interval(avoids), 1),
        "saves % of best n": round(100 * float(np.mean(saves_of_best)), 1),
        "± best n": round(100 * _half_interval(saves_of_best), 1),
    }


def _half_interval(values: Sequence[float]) -> float:
    return 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def starter_fleet(economics: Economics | None = None, embedder: Embedder | None = None) -> Fleet:
    """The starter cards, behind the matcher that serves them."""
    failures = StarterFailures.load()
    matcher = Matcher(failures.index(embedder))

    def arrive(rng: np.random.Generator) -> tuple[str, Priors]:
        key, case = failures.complaint(rng)
        result = matcher.match(case, scorer="calibrated", limit=CANDIDATES + 1)
        known_to_us = rng.random() >= UNKNOWN_SHARE
        kept = [one for one in result.candidates if known_to_us or one.card_id != key][:CANDIDATES]
        shares, unknown = spread([one.probability or 0.0 for one in kept], result.none_probability or 0.0)
        priors = {one.card_id: share for one, share in zip(kept, shares, strict=True)}
        return key if known_to_us else UNKNOWN, (priors, unknown)

    trees = {key: card.diagnostic_tree for key, card in failures.cards.items() if card.diagnostic_tree is not None}
    repairs = {key: repair_of(card.model_dump()) for key, card in failures.cards.items()}
    return Fleet(trees, repairs, arrive, economics or Economics())


CARDS = 30


def synthetic_fleet(rng: np.random.Generator, economics: Economics | None = None) -> Fleet:
    """Random cards: trees of two to six checks out of a pool that they share, prices over two orders of magnitude."""
    pool = [f"Does signal number {n} of the vehicle lie within its limits?" for n in range(CARDS * 3)]
    trees = {f"card{n}": _tree(rng, pool) for n in range(CARDS)}
    prices = np.exp(rng.normal(np.log(4000), 1.0, CARDS))
    repairs = {card_id: Repair(float(price), WORKS) for card_id, price in zip(trees, prices, strict=True)}
    frequency = rng.dirichlet(np.full(CARDS, 0.7))
    ids = list(trees)

    def arrive(rng: np.random.Generator) -> tuple[str, Priors]:
        cause = ids[int(rng.choice(CARDS, p=frequency))]
        # What a complaint says of each card: noisy, and truer for the cause.
        odds = np.log(frequency + 1e-3) + rng.normal(0, 1.0, CARDS)
        odds[ids.index(cause)] += 2.0
        order = np.argsort(-odds)[:CANDIDATES]
        shares = np.exp(odds[order] - odds[order].max())
        shares *= 0.85 / shares.sum()
        known_to_us = rng.random() >= UNKNOWN_SHARE
        priors = {ids[n]: float(share) for n, share in zip(order, shares, strict=True)}
        if not known_to_us:
            priors.pop(cause, None)
        return cause if known_to_us else UNKNOWN, (priors, 0.15)

    return Fleet(trees, repairs, arrive, economics or Economics())


def _tree(rng: np.random.Generator, pool: Sequence[str]) -> DiagnosticTree:
    asked = rng.choice(len(pool), size=int(rng.integers(2, 7)), replace=False)
    nodes = list(_nodes(rng, [pool[n] for n in asked]))
    return DiagnosticTree(root_node_id=nodes[0].node_id, nodes=nodes)


def _nodes(rng: np.random.Generator, questions: Sequence[str]) -> Iterator[DiagnosticNode]:
    for number, question in enumerate(questions, 1):
        last = number == len(questions)
        onward = {"leads_to_root_cause": "Found"} if last else {"if_yes": f"n{number + 1}"}
        yield DiagnosticNode(
            node_id=f"n{number}",
            step_number=number,
            question=question,
            check_action="Open the cover and measure" if rng.random() < 0.3 else "Measure",
            duration_minutes=int(rng.integers(3, 40)),
            hands_over_to="Another card",
            **onward,
        )
