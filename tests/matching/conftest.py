"""A small knowledge base with one card for every way of being found."""

from pathlib import Path

import pytest

from matching import (
    CardIndex,
    CardRecord,
    HashingEmbedder,
    Matcher,
    Relation,
    SignatureFields,
    Symptom,
    Vehicle,
    VehicleRange,
)
from matching.minilm import MiniLMEmbedder

SYMPTOMS = (
    Symptom("SYM_CHRG_001", "battery does not charge fully", ("stops charging", "not charging beyond 80%")),
    Symptom("SYM_MOT_001", "motor jerks", ("jerky acceleration",)),
    Symptom("SYM_HV_001", "isolation fault warning", ()),
)

CARDS = (
    CardRecord(
        "fc_bms",
        title="BMS cell balancing circuit failure",
        symptom_text="Battery not charging beyond 80%, cell voltages spread",
        symptom_codes=("SYM_CHRG_001",),
        error_codes=("E401", "E402"),
        root_cause="Balancing resistor open",
        keywords=("battery", "charging", "balancing", "cell"),
        vehicles=(VehicleRange("Ather", "450X", 2020, 2023),),
        effectiveness=0.8,
        confidence_score=0.75,
        confidence_level="high",
        evidence_lower=0.6,
    ),
    CardRecord(
        "fc_hall",
        revision=7,
        title="Motor hall sensor failure",
        symptom_text="Motor jerks at start and stalls under load",
        symptom_codes=("SYM_MOT_001",),
        error_codes=("P0A3F-16",),
        root_cause="Water in the hall sensor connector",
        components=("hall sensor",),
        vehicles=(VehicleRange("Ola", "S1 Pro"),),
        effectiveness=0.5,
    ),
    CardRecord(
        "fc_iso",
        title="HV isolation fault at the compressor",
        symptom_text="Isolation warning after rain, vehicle does not start",
        symptom_codes=("SYM_HV_001",),
        error_codes=("P0AA6-1A",),
        signature=SignatureFields(
            primary_symptoms=("SYM_HV_001",), error_codes=("P0AA6",), subsystem="hv", load_condition="idle"
        ),
        universal=True,
    ),
    CardRecord("fc_blank"),
    CardRecord(
        "fc_draft",
        title="Charging port latch stuck",
        symptom_text="Charging gun cannot be removed, latch stuck",
        status="draft",
        vehicles=(VehicleRange("Tata", "Nexon EV", 2021, None),),
    ),
)

RELATIONS = (
    Relation("SYM_MOT_001", "fc_hall", evidence=8),
    Relation("part_compressor", "fc_iso", kind="requires", weight=0.8, evidence=2),
    Relation("SYM_CHRG_001", "SYM_HV_001", kind="similar_to", weight=0.5, evidence=0),
)

ATHER = Vehicle("Ather", "450X", 2022)


@pytest.fixture
def index() -> CardIndex:
    index = CardIndex(HashingEmbedder(), symptoms=SYMPTOMS, relations=RELATIONS)
    index.upsert_many(CARDS)
    return index


@pytest.fixture
def matcher(index: CardIndex) -> Matcher:
    return Matcher(index)


@pytest.fixture(scope="session")
def sentence_model(sentence_models: Path) -> MiniLMEmbedder:
    return MiniLMEmbedder.load(sentence_models)
