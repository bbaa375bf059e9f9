"""Likeness of cards: symmetric, between 0 and 1, explained, and blind to the vehicle where the failure is the same."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from matching import CardIndex, CardRecord, HashingEmbedder, VehicleRange
from matching.embedding import EmbeddingFailed
from matching.likeness import WEIGHTS, Traits, alike

BALANCING = CardRecord(
    "fc_balancing",
    title="BMS cell balancing circuit failure",
    subsystem="bms",
    failure_mode="degradation",
    symptom_text="Battery charges only up to 80 percent, then the charger goes green. Group 9 stands at 4.18 V.",
    symptom_codes=("SYM_BMS_001", "SYM_BATT_016"),
    error_codes=("P0A80",),
    root_cause="Bleed transistor of one balancing channel failed open or shorted.",
    vehicles=(VehicleRange("Ather", "450X", 2021, 2023),),
)
PAWL = CardRecord(
    "fc_pawl",
    title="Parking pawl rattles downhill",
    subsystem="drivetrain",
    failure_mode="noise_vibration",
    symptom_text="Rattling from the gearbox when parked on a slope.",
    root_cause="The spring of the pawl has settled.",
    vehicles=(VehicleRange("Tata", "Nexon EV"),),
)
HORN = CardRecord("fc_horn", title="Horn stays silent", subsystem="low_voltage", root_cause="Relay contact burnt off.")
BRIEF = CardRecord(
    "fc_brief",
    status="draft",
    title="Charge ends at 80 percent, group 9 high",
    subsystem="bms",
    failure_mode="intermittent",
    root_cause="Bleed transistor of one balancing channel shorted",
    vehicles=(VehicleRange("Ola", "S1 Pro"),),
)


@pytest.fixture
def index() -> CardIndex:
    filled = CardIndex(HashingEmbedder())
    filled.upsert_many([BALANCING, PAWL, HORN, BRIEF])
    return filled


def similarities(index: CardIndex, card: CardRecord) -> dict[str, float]:
    return {one.card.card_id: one.similarity for one in alike(index, card, limit=9, least=0.0)}


def test_weights_cover_the_traits_and_sum_to_one():
    assert set(WEIGHTS) == set(Traits.__dataclass_fields__)
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_a_copy_for_other_vehicles_is_nearly_the_same(index: CardIndex):
    copy = replace(BALANCING, card_id="fc_copy", vehicles=(VehicleRange("Ola", "S1"),))
    found = similarities(index, copy)
    assert found["fc_balancing"] > 0.9
    assert max(found.get("fc_pawl", 0), found.get("fc_horn", 0)) < 0.2


def test_two_lines_of_a_technician_find_the_long_card(index: CardIndex):
    found = similarities(index, BRIEF)
    assert "fc_brief" not in found, "a card is not compared with itself"
    assert found["fc_balancing"] > 0.45 > found.get("fc_pawl", 0)


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_it_is_symmetric_and_bounded(index: CardIndex, least: float):
    for one in (BALANCING, PAWL, HORN, BRIEF):
        for other in alike(index, one, limit=9, least=least):
            assert least <= other.similarity <= 1
            assert similarities(index, other.card)[one.card_id] == pytest.approx(other.similarity, abs=1e-6)


def test_reasons_add_up_and_name_what_is_shared(index: CardIndex):
    copy = replace(BALANCING, card_id="fc_copy", title="Balancing board defective")
    (best, *_) = alike(index, copy, limit=1, least=0.4)
    assert sum(reason.contribution for reason in best.reasons) == pytest.approx(best.similarity)
    texts = {reason.channel: reason.text for reason in best.reasons}
    assert "P0A80" in texts["codes"]
    assert texts["words"] == "both speak of balancing, battery, charger, failed, green"
    assert texts["vehicles"] == "same vehicles"
    assert texts["kind"] == "same subsystem and failure mode"
    assert "SYM_BMS_001" in texts["symptoms"]


def test_limit_threshold_drafts_and_retired_cards(index: CardIndex):
    copy = replace(BALANCING, card_id="fc_copy")
    assert [one.card.card_id for one in alike(index, copy, limit=1, least=0.0)] == ["fc_balancing"]
    assert alike(index, copy, limit=0, least=0.0) == []
    assert {one.card.card_id for one in alike(index, copy, limit=9, least=0.45)} == {"fc_balancing", "fc_brief"}
    index.upsert(replace(BALANCING, status="deprecated"))
    assert "fc_balancing" not in similarities(index, copy)


@pytest.mark.parametrize("card", [CardRecord("fc_empty"), CardRecord("fc_dots", title="… ?!", root_cause="\x00\u200b")])
def test_a_card_that_says_nothing_resembles_none(index: CardIndex, card: CardRecord):
    assert alike(index, card, limit=9, least=0.45) == []
    assert alike(CardIndex(HashingEmbedder()), BALANCING, limit=9, least=0.0) == []


class Broken:
    name, dimension = "broken", 384

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        raise EmbeddingFailed("no model today")


def test_without_meaning_the_rest_decides():
    silent = CardIndex(None)
    silent.upsert_many([BALANCING, PAWL])
    copy = replace(BALANCING, card_id="fc_copy", title="Balancing board defective")
    (best,) = alike(silent, copy, limit=1, least=0.4)
    assert best.traits.meaning is None
    broken = CardIndex(Broken())
    broken.upsert_many([BALANCING, PAWL], embed=False)
    (same,) = alike(broken, copy, limit=1, least=0.4)
    assert same.similarity == best.similarity
