"""The matcher as a whole: options, live changes, bad input, many cards, many threads."""

import threading
from dataclasses import replace
from time import thread_time

import pytest

from matching import (
    CalibratedScorer,
    CardIndex,
    CardRecord,
    Case,
    HashingEmbedder,
    Matcher,
    UnknownScorer,
    Vehicle,
    VehicleRange,
)
from tests.matching.conftest import ATHER, CARDS

SCORERS = ["efi_v2", "calibrated"]
CHARGING = Case("charging gun stuck in the port, latch does not release")


def ids(result) -> list[str]:
    return [candidate.card_id for candidate in result.candidates]


@pytest.mark.parametrize("scorer", SCORERS)
def test_drafts_only_on_request(matcher: Matcher, scorer: str) -> None:
    assert "fc_draft" not in ids(matcher.match(CHARGING, scorer=scorer))
    found = matcher.match(CHARGING, scorer=scorer, include_drafts=True)
    assert ids(found)[0] == "fc_draft"
    assert found.candidates[0].is_draft


def test_approval_and_retirement_show_at_once(matcher: Matcher, index: CardIndex) -> None:
    draft = index.get("fc_draft")
    index.upsert(replace(draft, status="approved", version=2))
    best = matcher.match(CHARGING).candidates[0]
    assert (best.card_id, best.version, best.is_draft) == ("fc_draft", 2, False)
    index.upsert(replace(draft, status="deprecated"))
    assert "fc_draft" not in ids(matcher.match(CHARGING, include_drafts=True))
    assert "fc_draft" not in index
    assert len(index) == len(CARDS) - 1
    assert index.remove("fc_draft") is False


def test_an_edit_replaces_the_old_wording(matcher: Matcher, index: CardIndex) -> None:
    index.upsert(
        replace(CARDS[1], title="Wheel bearing worn", symptom_text="Grinding noise", root_cause="", error_codes=())
    )
    assert "fc_hall" in ids(matcher.match(Case("grinding noise of the wheel bearing")))
    assert "fc_hall" not in ids(matcher.match(Case("hall sensor stalls under load"), limit=50, min_score=0.05))


def test_limits_and_thresholds(matcher: Matcher) -> None:
    case = Case("motor battery isolation warning charging", vehicle=ATHER)
    everything = matcher.match(case, limit=50)
    assert len(everything.candidates) >= 3
    assert ids(matcher.match(case, limit=1)) == ids(everything)[:1]
    assert matcher.match(case, limit=0).candidates == ()
    bar = everything.candidates[1].score
    assert len(matcher.match(case, limit=50, min_score=bar).candidates) == 2
    likely = matcher.match(case, scorer="calibrated", limit=50, min_probability=0.01)
    assert all(candidate.probability >= 0.01 for candidate in likely.candidates)


def test_unknown_scorer_names_the_known_ones(matcher: Matcher) -> None:
    with pytest.raises(UnknownScorer, match="calibrated, efi_v2"):
        matcher.match(CHARGING, scorer="oracle")


def test_trace_keeps_every_channels_hits(matcher: Matcher) -> None:
    case = Case("water in the hall sensor, code P0A3F", vehicle=ATHER)
    result = matcher.match(case, scorer="calibrated", traced=True)
    hits = {step.name: dict(step.hits) for step in result.trace}
    assert hits.keys() == {"prepare", *CalibratedScorer.channels, "score"}
    assert hits["exact"].keys() == {"fc_hall"}
    assert hits["vehicle"].keys() == {"fc_bms"}
    assert all(step.duration_ms >= 0 for step in result.trace)
    assert result.channels_off == {}
    assert result.embedder == "hashing-384-v1"


@pytest.mark.parametrize("scorer", SCORERS)
def test_searches_side_by_side_find_the_same(matcher: Matcher, scorer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = (CHARGING, Case("water in the hall sensor, code P0A3F", vehicle=ATHER), Case(signature=CARDS[2].signature))
    one_by_one = [matcher.match(case, scorer=scorer) for case in cases]
    monkeypatch.setattr("matching.matcher.SIDE_BY_SIDE", 0)
    monkeypatch.setattr("matching.matcher.CORES", 2)
    for case, expected in zip(cases, one_by_one, strict=True):
        result = matcher.match(case, scorer=scorer)
        assert result.candidates == expected.candidates
        assert [(step.name, step.hits) for step in result.trace] == [(s.name, s.hits) for s in expected.trace]


def test_a_failing_search_beside_fails_the_match(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matching.matcher.SIDE_BY_SIDE", 0)
    monkeypatch.setattr("matching.matcher.CORES", 2)
    monkeypatch.setattr(matcher.index.semantic, "store", None)
    with pytest.raises(AttributeError):
        matcher.match(CHARGING)


@pytest.mark.parametrize("scorer", SCORERS)
def test_without_a_model_matching_goes_on_and_says_so(scorer: str) -> None:
    index = CardIndex()
    index.upsert_many(CARDS)
    result = Matcher(index).match(Case("water in the hall sensor"), scorer=scorer)
    assert ids(result)[0] == "fc_hall"
    assert result.channels_off == {"semantic": "no embedding model is installed"}
    assert result.embedder is None


@pytest.mark.parametrize("scorer", SCORERS)
def test_ties_are_broken_the_same_way_every_time(scorer: str) -> None:
    names = ["c", "a", "d", "b"]
    for order in (names, names[::-1]):
        index = CardIndex(HashingEmbedder())
        index.upsert_many(CardRecord(name, title="Throttle sensor drift") for name in order)
        index.upsert(CardRecord("e", title="Throttle sensor drift", confidence_score=0.9))
        assert ids(Matcher(index).match(Case("throttle sensor drift"), scorer=scorer)) == ["e", "a", "b", "c", "d"]


@pytest.mark.parametrize("scorer", SCORERS)
def test_empty_index(scorer: str) -> None:
    result = Matcher(CardIndex(HashingEmbedder())).match(CHARGING, scorer=scorer)
    assert result.candidates == ()
    assert result.abstained in (None, True)


def make_cards(count: int) -> list[CardRecord]:
    parts = ("battery", "motor", "controller", "charger", "contactor", "inverter", "compressor", "fan", "relay", "hose")
    faults = ("overheats", "leaks", "corroded", "open", "shorted", "noisy", "erratic", "drifting", "loose", "cracked")
    places = ("front", "rear", "left", "right", "cold", "hot", "wet", "parked", "driving", "charging")
    return [
        CardRecord(
            f"fc_{n}",
            title=f"{parts[n % 10]} {faults[n // 10 % 10]}",
            symptom_text=f"{parts[n % 10]} {faults[n // 10 % 10]} when {places[n // 100 % 10]}, marker{n}",
            error_codes=(f"P{n % 4096:04X}",),
            vehicles=(VehicleRange(f"Make{n % 7}", f"M{n % 13}", 2015, 2020),),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_thousand_cards_answer_quickly(scorer: str) -> None:
    index = CardIndex(HashingEmbedder())
    index.upsert_many(make_cards(1000))
    matcher = Matcher(index)
    vehicle = Vehicle("Make3", "M5", 2018)
    times = []
    for n in range(0, 1000, 10):
        case = Case(f"the contactor is open when driving in wet weather, marker{n} P{n:04X}", vehicle=vehicle)
        begun = thread_time()
        assert ids(matcher.match(case, scorer=scorer))[0] == f"fc_{n}"
        times.append(thread_time() - begun)
    # Processor time, and far above what is measured (see benchmarks): only a change of order shows.
    assert sorted(times)[len(times) // 2] < 0.05


def test_matches_and_changes_from_many_threads() -> None:
    cards = make_cards(200)
    index = CardIndex(HashingEmbedder())
    index.upsert_many(cards[:100])
    matcher = Matcher(index)
    errors: list[BaseException] = []

    def change() -> None:
        for card in cards[100:]:
            index.upsert(card)
            index.remove(card.card_id)

    def ask() -> None:
        try:
            for n in range(60):
                result = matcher.match(Case(f"battery overheats marker{n}"), scorer=SCORERS[n % 2], limit=100)
                assert f"fc_{n}" in ids(result)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)

    threads = [threading.Thread(target=change), *(threading.Thread(target=ask) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(index) == 100
