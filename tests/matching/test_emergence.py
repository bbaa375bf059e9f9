"""What is unusual among complaints, and what is not."""

import dataclasses
import math
import random

import pytest

from benchmarks.ticket_stream import Stream, reports
from matching.emergence import LEAST_HISTORY, binomial_tail, scan
from matching.resemblance import Report

DAYS, WINDOW, BASELINE = 395, 30, 365
WORDS = tuple(f"{one}{two}" for one in ("mo", "ra", "ti", "ke", "lu", "no", "sa", "po") for two in (
    "bal", "cer", "dim", "fon", "gur", "hal", "jes", "kin", "lom", "mur", "nes", "pol", "quen", "rost", "sul", "tab",
))  # fmt: skip


def report(key: str, words: str, *, current: bool = True, unexplained: bool = True, **fields: object) -> Report:
    made = {"subject": key, "make": "ather", "model": ("450x",), **fields}
    return Report(key=key, current=current, unexplained=unexplained, terms=frozenset(words.split()), **made)


def history(count: int, **fields: object) -> list[Report]:
    """Complaints of before, each in words of its own."""
    rng = random.Random(1)
    return [report(f"h{n:04}", " ".join(rng.sample(WORDS, 6)), current=False, **fields) for n in range(count)]


def group(count: int, words: str = "grip heater hot rubber", prefix: str = "g", **fields: object) -> list[Report]:
    return [report(f"{prefix}{n}", f"{words} {WORDS[n]}", **fields) for n in range(count)]


@pytest.mark.parametrize(("least", "trials", "share"), [(1, 1, 0.3), (3, 7, 0.08), (6, 6, 1 / 7), (40, 400, 0.1)])
def test_the_tail_of_the_binomial_distribution(least: int, trials: int, share: float):
    exact = sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(least, trials + 1))
    assert binomial_tail(least, trials, share) == pytest.approx(exact, rel=1e-9)


def test_the_tail_at_its_edges():
    assert binomial_tail(0, 5, 0.1) == 1
    assert binomial_tail(6, 5, 0.1) == 0
    assert binomial_tail(1, 5, 0.0) == 0
    assert binomial_tail(5, 5, 1.0) == 1


def test_a_group_without_history_is_unusual_and_its_numbers_say_why():
    (cluster,) = scan([*history(300), *group(6)]).clusters
    assert sorted(cluster.keys) == [f"g{n}" for n in range(6)]
    assert (cluster.subjects, cluster.earlier) == (6, 0)
    assert cluster.scope.line == "450x"
    assert (cluster.scope.now, cluster.scope.before) == (6, 300)
    assert cluster.expected == pytest.approx(6 / 300)
    assert cluster.chance == pytest.approx((6 / 306) ** 5)


def test_what_has_always_come_at_this_rate_is_not_unusual():
    usual = group(60, prefix="b", current=False)
    assert scan([*history(300), *usual, *history(30, unexplained=False), *group(6)]).clusters == ()


def test_many_tickets_of_one_vehicle_count_once():
    assert scan([*history(300), *group(8, subject="veh_1")]).clusters == ()


def test_too_few_vehicles_are_no_group_however_unusual():
    everything = [*history(2000), *group(3)]
    assert scan(everything, least=4).clusters == ()
    assert len(scan(everything, least=3).clusters) == 1


def test_explained_tickets_make_no_group():
    assert scan([*history(300), *group(8, unexplained=False)]).clusters == ()


def fleet(count: int, **fields: object) -> list[Report]:
    """Unexplained complaints of the period, none of them like another."""
    return [report(f"f{n:04}", " ".join(f"{word}{n}" for word in WORDS[:6]), **fields) for n in range(count)]


def test_with_nothing_to_compare_with_nothing_is_unusual():
    assert scan(group(8)).clusters == ()
    assert scan([*group(8), *fleet(8)]).clusters == ()


def test_without_history_the_fleet_says_what_is_usual():
    (cluster,) = scan([*fleet(20), *group(8)]).clusters
    assert sorted(cluster.keys) == [f"g{n}" for n in range(8)]
    assert cluster.by_fleet
    assert (cluster.scope.make, cluster.scope.now, cluster.scope.before) == ("ather", 28, 0)
    assert cluster.expected == pytest.approx(20 / (20 + 20))
    assert cluster.chance == pytest.approx((1 / 3) ** 7)


def test_what_is_as_frequent_as_other_failures_of_a_young_fleet_is_not_unusual():
    words = ("horn silent relay click", "belt noise worn pulley", "seat lock jammed latch", "mirror loose bolt rattle")
    others = [one for place, text in enumerate(words) for one in group(8, text, f"k{place}_")]
    assert scan([*others, *group(8)]).clusters == ()


def test_a_fleet_that_is_too_small_of_one_make_is_compared_with_all_makes():
    (cluster,) = scan([*fleet(20, make="ola"), *group(8)]).clusters
    assert (cluster.scope.make, cluster.scope.now) == (None, 28)


def test_the_fleet_counts_less_the_more_history_there_is():
    expected = [scan([*history(before), *fleet(20), *group(8)]).clusters[0] for before in (0, 7, 14, 21)]
    assert [one.by_fleet for one in expected] == [True] * 4
    virtual = [28 / one.expected - before for one, before in zip(expected, (0, 7, 14, 21), strict=True)]
    assert virtual == pytest.approx([28 * share / 0.5 for share in (1, 0.75, 0.5, 0.25)])
    assert not scan([*history(60), *fleet(20), *group(8)]).clusters[0].by_fleet


def test_a_young_service_finds_a_failure_and_keeps_quiet_about_noise():
    alarms, found = 0, 0
    for seed in range(12):
        stream = Stream(300 + seed, per_day=3, days=WINDOW)
        ordinary = stream.ordinary()
        alarms += bool(scan(list(reports(ordinary, now=WINDOW, window=WINDOW, baseline=BASELINE))).clusters)
        emerging = stream.emerging(10, start=10, within=19)
        seen = scan(list(reports([*ordinary, *emerging], now=WINDOW, window=WINDOW, baseline=BASELINE)))
        true = {f"{one.number:06}" for one in emerging}
        found += any(2 * len(cluster.keys & true) >= len(cluster.keys) for cluster in seen.clusters)
    assert alarms <= 1
    assert found >= 11


def test_a_new_model_is_compared_with_its_make_and_a_new_make_with_all():
    (of_make,) = scan([*history(LEAST_HISTORY), *group(6, model=("rizta",))]).clusters
    assert (of_make.scope.make, of_make.scope.line, of_make.scope.before) == ("ather", None, LEAST_HISTORY)
    (of_all,) = scan([*history(300), *group(6, make="river", model=("indie",))]).clusters
    assert (of_all.scope.make, of_all.scope.before) == (None, 300)


def test_groups_do_not_grow_by_chaining():
    """Each link is like the next one, and nothing like the one after that."""
    links = [report(f"c{n:02}", " ".join(WORDS[3 * n : 3 * n + 6])) for n in range(40)]
    found = scan([*history(2000), *links], least=3, false_discovery_rate=0.5)
    assert found.neighbours["c10"] == {"c09", "c11"}
    assert max((len(cluster.reports) for cluster in found.clusters), default=0) <= 9


def test_one_failure_in_two_wordings_is_one_group():
    one = [report(f"a{n}", f"grip heater hot rubber {WORDS[n]}") for n in range(6)]
    other = [report(f"b{n}", f"heater hot switch handlebar {WORDS[20 + n]}") for n in range(6)]
    (cluster,) = scan([*history(500), *one, *other]).clusters
    assert len(cluster.reports) == 12


def test_two_failures_are_two_groups():
    found = scan([*history(500), *group(6), *group(6, "horn silent relay click", "k")])
    assert sorted(min(cluster.keys) for cluster in found.clusters) == ["g0", "k0"]


def test_the_order_of_reports_does_not_matter():
    everything = [*history(300), *group(7)]
    shuffled = random.Random(2).sample(everything, len(everything))
    assert scan(shuffled).clusters[0].keys == scan(everything).clusters[0].keys


def test_an_injected_failure_is_found_within_eight_tickets_and_once():
    for seed in (2, 3, 5):
        stream = Stream(seed, per_day=2, days=DAYS)
        ordinary = stream.ordinary()
        emerging = stream.emerging(8, start=DAYS - 25, within=24)
        found = scan(list(reports([*ordinary, *emerging], now=DAYS, window=WINDOW, baseline=BASELINE)))
        (cluster,) = found.clusters
        true = {f"{one.number:06}" for one in emerging}
        assert len(cluster.keys & true) >= 6
        assert len(cluster.keys - true) <= 1


def times_drawn_anew(everything: list[Report], rng: random.Random) -> list[Report]:
    """The same complaints at random times: nothing can have changed."""
    drawn = [rng.random() < WINDOW / DAYS for _ in everything]
    return [
        dataclasses.replace(one, current=now, unexplained=now and rng.random() < 0.5)
        for one, now in zip(everything, drawn, strict=True)
    ]


def test_noise_alarms_in_fewer_than_one_run_of_twenty():
    """The rate of false discoveries is set to 1 %: of 40 streams of nothing but noise, two alarms are too many."""
    alarms = 0
    for seed in range(20):
        tickets = Stream(100 + seed, per_day=1, days=DAYS).ordinary()
        everything = list(reports(tickets, now=DAYS, window=WINDOW, baseline=BASELINE))
        alarms += bool(scan(everything).clusters)
        alarms += bool(scan(times_drawn_anew(everything, random.Random(seed))).clusters)
    assert alarms < 2


def test_three_times_as_many_tickets_of_every_kind_do_not_alarm():
    alarms = 0
    for seed in range(10):
        tickets = Stream(seed, per_day=1, days=DAYS).ordinary(growth=3, growing_from=DAYS - WINDOW)
        alarms += bool(scan(list(reports(tickets, now=DAYS, window=WINDOW, baseline=BASELINE))).clusters)
    assert alarms == 0
