"""How far two complaints resemble each other."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from matching.resemblance import WEIGHTS, Block, Rarity, Report, alike
from tests.matching.test_emergence import WORDS, history, report


def likeness(one: Report, other: Report) -> float:
    """Without meaning."""
    everything = [one, other, *history(300)]
    value, weight = Block(everything, Rarity(everything)).likeness(0)
    return float(value[1] / weight[1])


def found(reports: Sequence[Report], **options: object) -> dict[str, set[str]]:
    return {one.key: {other.key for other in others} for one, others in alike(reports, **options)}


def test_the_same_complaint_is_wholly_alike_and_another_hardly():
    one = report("a", "grip heater hot", firmware="5.0", kind="electrical", codes=frozenset({"P0AA6"}))
    assert likeness(one, report("b", "grip heater hot", firmware="5.0", kind="electrical", codes=one.codes)) == 1
    assert likeness(one, report("b", "horn silent", firmware="4.0", kind="body", codes=frozenset({"P0A80"}))) < 0.15


def test_likeness_goes_both_ways():
    rng = random.Random(4)
    for _ in range(50):
        words = [" ".join(rng.sample(WORDS[:12], rng.randint(1, 6))) for _ in range(2)]
        codes = [frozenset(rng.sample(["P0A80", "P0AA6", "U0100"], rng.randint(0, 2))) for _ in range(2)]
        one, other = (report(f"r{n}", words[n], codes=codes[n]) for n in range(2))
        assert likeness(one, other) == pytest.approx(likeness(other, one))


def test_a_trait_that_one_of_them_does_not_tell_is_left_out():
    silent, telling = report("a", "grip heater hot"), report("b", "grip heater hot", codes=frozenset({"P0AA6"}))
    assert likeness(silent, telling) == 1


@pytest.mark.parametrize(
    ("fields", "trait"),
    [
        ({"codes": frozenset({"P0A80"})}, "codes"),
        ({"symptoms": frozenset({"SYM_BATT_001"})}, "symptoms"),
        ({"firmware": "5.0"}, "firmware"),
        ({"kind": "battery"}, "kind"),
    ],
)
def test_every_trait_counts_by_its_weight(fields: dict[str, object], trait: str):
    one, same = report("a", "grip", **fields), report("b", "horn", **fields)
    whole = WEIGHTS["words"] + WEIGHTS["model"] + WEIGHTS[trait]
    assert likeness(one, same) == pytest.approx((WEIGHTS["model"] + WEIGHTS[trait]) / whole)


def test_a_model_continues_its_line():
    one = report("a", "grip", model=("wrangler",))
    assert likeness(one, report("b", "grip", model=("wrangler", "4xe"))) == 1
    assert likeness(one, report("b", "grip", model=("gladiator",))) < 1


def test_words_that_everybody_says_tell_nothing():
    chatter = [report(f"n{n}", f"scooter word{n}") for n in range(100)]
    neighbours = found([*history(300), *chatter])
    assert not any(neighbours.values())


def test_complaints_that_say_nothing_resemble_nobody():
    assert likeness(report("a", ""), report("b", "")) < 0.15
    assert found([*history(300), report("a", ""), report("b", "")]) == {"a": set(), "b": set()}


def test_complaints_about_different_makes_are_not_compared():
    pair = [report("a", "grip heater hot"), report("b", "grip heater hot", make="ola")]
    assert found([*history(300), *pair]) == {"a": set(), "b": set()}


def test_only_current_unexplained_complaints_ask_but_all_are_found():
    before = report("before", "grip heater hot", current=False)
    explained = report("explained", "grip heater hot", unexplained=False)
    assert found([*history(300), report("a", "grip heater hot"), before, explained]) == {"a": {"before", "explained"}}


class Meanings:
    """Two complaints mean the same if their keys begin alike."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __call__(self, keys: Sequence[str]) -> np.ndarray:
        self.asked |= set(keys)
        rng = {key: np.random.default_rng(ord(key[0]) if key[0] != "h" else int(key[1:])) for key in keys}
        return np.array([rng[key].normal(size=64) for key in keys], np.float32).reshape(len(keys), 64)


def test_meaning_brings_together_what_words_bring_near():
    pair = [report("a1", "grip heater hot rubber"), report("a2", "grip melted handle sticky")]
    everything = [*history(300), *pair]
    assert found(everything) == {"a1": set(), "a2": set()}
    meanings = Meanings()
    assert found(everything, embed=meanings) == {"a1": {"a2"}, "a2": {"a1"}}
    assert len(meanings.asked) < 150, "only what words bring near is embedded, and a sample"
