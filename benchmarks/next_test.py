"""How long the choice of the next test takes: 50 candidate cards, 300 tests, some of them answered."""

import argparse
import time

import numpy as np

from benchmarks.report import Report, milliseconds
from models.failure_card import DiagnosticNode, DiagnosticTree
from services.diagnosis.guided import likelihoods
from services.diagnosis.guided.catalogue import build
from services.diagnosis.guided.economics import Repair
from services.diagnosis.guided.planner import Findings, Planner

LIMIT_MS = 20.0
WARM_UP = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=50)
    parser.add_argument("--tests", type=int, default=300)
    parser.add_argument("--decisions", type=int, default=2000)


def run(options: argparse.Namespace) -> Report:
    rng = np.random.default_rng(2026)
    trees = _trees(options.cards, options.tests)
    posing, deciding, computed = [], [], []
    for turn in range(options.decisions + WARM_UP):
        started = time.perf_counter()
        if turn % 20 == 0:
            catalogue = build(trees)
            table = likelihoods.table(catalogue)
            repairs = [Repair(float(cost)) for cost in rng.lognormal(8, 1, options.cards)]
            planner = Planner(catalogue, rng.dirichlet(np.ones(options.cards + 1)), table, repairs)
            posing.append(time.perf_counter() - started)
        answered = rng.choice(options.tests, size=int(rng.integers(0, 30)), replace=False)
        found = Findings({int(test): bool(rng.random() < 0.5) for test in answered})
        started, computing = time.perf_counter(), time.process_time()
        planner.decide(found)
        deciding.append(time.perf_counter() - started)
        computed.append(time.process_time() - computing)
    rows = {
        "next test": milliseconds(deciding[WARM_UP:]),
        "next test, processor time": milliseconds(computed[WARM_UP:]),
        "setting the problem up": milliseconds(posing),
    }
    passed = (rows["next test"]["p99 ms"] or 0) < LIMIT_MS
    title = f"The next test of {options.tests} for {options.cards} candidate cards"
    return Report(title, rows, [f"Required: p99 below {LIMIT_MS:g} ms."], passed)


def _trees(cards: int, tests: int) -> dict[str, DiagnosticTree]:
    """The tests spread evenly over the cards, in chains whose end confirms."""
    trees = {}
    for card, numbers in enumerate(np.array_split(np.arange(tests), cards)):
        nodes = [
            DiagnosticNode(
                node_id=f"n{number}",
                step_number=1,
                question=f"Does signal number {number} of the vehicle lie within its limits?",
                check_action="Measure",
                hands_over_to="Another card",
                **({"leads_to_root_cause": "Found"} if number == numbers[-1] else {"if_yes": f"n{number + 1}"}),
            )
            for number in numbers
        ]
        trees[f"card{card}"] = DiagnosticTree(root_node_id=nodes[0].node_id, nodes=nodes)
    return trees
