"""The simulated workshop in which guided diagnosis is measured: what is paid for, and how vehicles answer."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.repair_cost import Fleet, simulate, starter_fleet, synthetic_fleet
from benchmarks.workshop import (
    DISCRIMINATING,
    UNKNOWN,
    Job,
    World,
    all_knowing,
    fixed_tree,
    guided,
    most_probable,
)
from services.diagnosis.guided.planner import Planner
from tests.services.diagnosis.guided_samples import chain, planner

STRATEGIES = {"fixed": fixed_tree(2), "probable": most_probable, "guided": guided, "knowing": all_knowing}
QUESTIONS = [f"Does lamp number {n} of the instrument panel shine?" for n in range(6)]


def two_cards() -> Planner:
    return planner({"a": chain(*QUESTIONS[:3]), "b": chain(*QUESTIONS[3:])}, [0.6, 0.3, 0.1], [8000, 9000])


def job(cause: int | None, answers: list[bool], *, works: bool = True) -> Job:
    return Job(two_cards(), dict(enumerate(answers)), cause, works)


def test_the_fixed_tree_pays_for_its_checks_and_the_repair():
    done = job(0, [True] * 6)
    fixed_tree(1)(done)

    checks = 3 * 5 * done.planner.economics.labour_per_minute
    assert (done.tests, done.wrong_repairs, done.handed_over) == (3, 0, False)
    assert done.cost == pytest.approx(checks + 8000)


def test_what_is_found_out_by_others_is_paid_too():
    done = job(1, [False] * 6)
    fixed_tree(2)(done)

    checks = 2 * 5 * done.planner.economics.labour_per_minute
    assert done.handed_over
    assert done.cost == pytest.approx(checks + done.planner.economics.hand_over + 9000)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("cause", [0, 1, None])
@pytest.mark.parametrize("works", [True, False])
def test_every_strategy_ends_with_a_repaired_vehicle(strategy: str, cause: int | None, works: bool):
    for answers in range(64):
        done = job(cause, [bool(answers >> n & 1) for n in range(6)], works=works)
        STRATEGIES[strategy](done)
        assert done.done
        assert done.cost >= done.needed
        assert done.handed_over or (works and cause is not None)


def test_vehicles_answer_by_their_own_nature():
    """Own checks mostly as the tree says; another card's checks as the drawn mimicry has it, the same for the fleet."""
    ours = two_cards()
    rng = np.random.default_rng(1)
    world = World(DISCRIMINATING, rng)
    fleet = [world.vehicle("a", ours.catalogue) for _ in range(400)]
    own = [np.mean([answers[test] for answers in fleet]) for test in range(3)]
    other = [np.mean([answers[test] for answers in fleet]) for test in range(3, 6)]

    assert min(own) > 0.7
    assert world.chances(ours.catalogue)[0] == pytest.approx([*own, *other], abs=0.08)
    again = [world.vehicle("a", ours.catalogue) for _ in range(400)]
    assert np.allclose(other, [np.mean([answers[test] for answers in again]) for test in range(3, 6)], atol=0.12)
    means = [
        np.mean([World(DISCRIMINATING, rng).vehicle(UNKNOWN, ours.catalogue)[test] for _ in range(300)])
        for test in range(6)
    ]
    assert np.mean(means) == pytest.approx(0.9 / 3, abs=0.06)


def test_a_repair_in_vain_costs_more_than_its_price():
    done = job(1, [True] * 6)
    fixed_tree(1)(done)

    checks = 3 * 5 * done.planner.economics.labour_per_minute
    economics = done.planner.economics
    assert (done.wrong_repairs, done.handed_over) == (1, True)
    assert done.cost == pytest.approx(checks + 8000 + economics.in_vain + economics.hand_over + 9000)


@pytest.mark.parametrize("make", [lambda rng: starter_fleet(), synthetic_fleet], ids=["starter", "synthetic"])
def test_fleets_send_vehicles_that_every_strategy_repairs(make: Callable[[np.random.Generator], Fleet]):
    rng = np.random.default_rng(4)

    ledgers = simulate(make(rng), World(DISCRIMINATING, rng), vehicles=4, learn_from=2, rng=rng)

    costs = {label: sum(ledger.total) for label, ledger in ledgers.items()}
    assert all(len(ledger.total) == 4 for ledger in ledgers.values())
    assert costs["knowing the cause"] == min(costs.values())
