"""Which symptoms of the library a complaint names."""

import pytest

from matching import Case, Symptom
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
