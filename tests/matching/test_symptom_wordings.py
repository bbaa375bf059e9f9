"""Which symptoms of the library a complaint names."""

import pytest

from matching import CardIndex, CardRecord, Case, Matcher, Symptom
from matching.channels.graph import GraphChannel
from matching.query import Query

LIBRARY = [
    Symptom("SYM_CAR_001", "No drive", ("car will not go",)),
    Symptom("SYM_HV_001", "Isolation fault", ("high voltage",)),
    Symptom("SYM_CHRG_001", "Does not charge", ("not charging", "charger dead")),
    Symptom("SYM_BUZZ_001", "Buzzing", ()),
]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("After a car wash the chime is silent", []),
        ("The charger is dead since Monday", ["SYM_CHRG_001"]),
        ("A warning about high voltage", ["SYM_HV_001"]),
        ("An HV isolation fault", ["SYM_HV_001"]),
        ("Something buzzes", ["SYM_BUZZ_001"]),
        ("", []),
    ],
)
def test_a_wording_counts_only_while_it_tells_something(text: str, codes: list[str]):
    assert list(GraphChannel(LIBRARY).symptoms_in(Query(Case(text=text)))) == codes


def test_a_described_symptom_brings_the_words_of_its_name_into_play() -> None:
    index = CardIndex(symptoms=[Symptom("SYM_THRM_009", "Coolant leak", ("puddle under the car", "paani tapak raha"))])
    index.upsert(CardRecord("fc", title="Coolant hose cracked"))
    index.upsert(CardRecord("other", title="Radio antenna"))
    result = Matcher(index).match(Case("paani tapak raha hai"), scorer="calibrated")
    assert [candidate.card_id for candidate in result.candidates] == ["fc"]
    assert [reason.text for reason in result.candidates[0].reasons if reason.channel == "keyword"] == [
        "“coolant” for the symptom “Coolant leak”"
    ]
    own_words = Matcher(index).match(Case("coolant leak"), scorer="calibrated").candidates[0]
    assert own_words.channels["keyword"] > result.candidates[0].channels["keyword"]


def test_wordings_taken_out_of_the_library_are_no_spellings_any_more() -> None:
    index = CardIndex(symptoms=[Symptom("SYM_X_001", "Squealing", ("screeching",))])
    assert index.prepare(Case("scretching")).read("scretch") == "screech"
    index.graph.drop_symptom("SYM_X_001")
    assert index.prepare(Case("scretching")).read("scretch") == "scretch"
