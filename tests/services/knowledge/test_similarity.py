import itertools

import pytest

from seeds.starter import load_starter
from services.knowledge.similarity import NEAR_DUPLICATE, similarity
from tests.services.knowledge.samples import a_card


def test_the_same_text_is_the_same_and_nothing_is_like_nothing():
    assert similarity(a_card(), a_card()) == 1
    assert similarity(a_card(), a_card(title="[DRAFT] BMS cell balancing circuit failure")) == 1
    other = a_card(title="Horn silent", symptom_text="No sound", root_cause="Relay stuck")
    assert similarity(a_card(), other) == 0


def test_a_rewording_is_a_near_duplicate():
    reworded = a_card(
        title="Cell balancing circuit of the BMS fails",
        symptom_text="Battery will not charge beyond 80 %",
        root_cause="Open balancing resistor of one cell group",
    )
    assert similarity(a_card(), reworded) >= NEAR_DUPLICATE


def test_the_same_symptom_of_another_cause_is_another_failure():
    other = a_card(title="Charger derates", root_cause="The fan of the charger is blocked by dust")
    assert similarity(a_card(), other) < NEAR_DUPLICATE


def test_the_starter_knowledge_holds_no_near_duplicates():
    cards = [card for _, card in load_starter().cards]
    assert max(similarity(one, other) for one, other in itertools.combinations(cards, 2)) == pytest.approx(
        0.33, abs=0.15
    )
