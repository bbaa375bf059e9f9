"""The promises of `base.Channel`, checked on every channel, and what is particular to each."""

from collections import Counter

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from matching import CardIndex, CardRecord, Case, HashingEmbedder, Relation, SignatureFields, Vehicle, VehicleRange
from matching.bm25 import Bm25
from matching.channels import Channel, VehicleFit
from matching.text import terms
from tests.matching.conftest import ATHER, CARDS, RELATIONS, SYMPTOMS

CHANNELS = ["signature", "exact", "overlap", "keyword", "semantic", "vehicle", "graph", "condition"]
PROPOSING = [name for name in CHANNELS if name != "condition"]

# One case per channel that finds a card, and the card it must find first.
FINDS = {
    "signature": (Case(signature=CARDS[2].signature), "fc_iso"),
    "exact": (Case("code P0A3F came up"), "fc_hall"),
    "overlap": (Case("cell balancing"), "fc_bms"),
    "keyword": (Case("water in the hall sensor"), "fc_hall"),
    "semantic": (Case("hall sensor of the motor, water in the connector"), "fc_hall"),
    "vehicle": (Case(vehicle=ATHER), "fc_bms"),
    "graph": (Case("it stops charging every night"), "fc_bms"),
    "condition": (Case("it cuts out while idling"), "fc_iso"),
}
NOTHING = Case()
STRANGE = [
    NOTHING,
    Case("x"),
    Case("brake"),
    Case("बैटरी चार्ज नहीं होती"),
    Case("电池 故障 🔥🔥"),
    Case("\x00\x01\u202e"),
    Case("battery charging " * 10_000),
    Case(error_codes=("P0A80", "not a code at all, is it", "")),
    Case(vehicle=Vehicle(year=2020)),
    Case(vehicle=Vehicle("", "", None)),
]


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest, index: CardIndex) -> Channel:
    return index.channels[request.param]


@pytest.fixture(params=PROPOSING)
def proposing(request: pytest.FixtureRequest, index: CardIndex) -> Channel:
    return index.channels[request.param]


def everything(index: CardIndex) -> np.ndarray:
    return np.array([index.slot_of(card.card_id) for card in index], dtype=np.int32)


def test_finds_its_card(proposing: Channel, index: CardIndex) -> None:
    case, card_id = FINDS[proposing.name]
    hits = proposing.search(index.prepare(case), 10, index.alive.data)
    assert index.card_at(int(hits.slots[0])).card_id == card_id
    assert hits.scores[0] > 0


@pytest.mark.parametrize("case", [*STRANGE, *(case for case, _ in FINDS.values())])
def test_scores_are_finite_and_bounded(channel: Channel, index: CardIndex, case: Case) -> None:
    query = index.prepare(case)
    scores = channel.score(query, everything(index))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert (scores <= 1).all()
    assert (scores >= (-1 if channel.name in ("vehicle", "condition") else 0)).all()


@pytest.mark.parametrize("case", [*STRANGE, *(case for case, _ in FINDS.values())])
def test_search_and_score_agree(channel: Channel, index: CardIndex, case: Case) -> None:
    query = index.prepare(case)
    hits = channel.search(query, 10, index.alive.data)
    assert (np.diff(hits.scores) <= 0).all()
    assert len(set(hits.slots.tolist())) == len(hits)
    np.testing.assert_allclose(channel.score(query, hits.slots), hits.scores, atol=1e-5)


@pytest.mark.parametrize("case", [case for case, _ in FINDS.values()])
def test_explanation_adds_up(channel: Channel, index: CardIndex, case: Case) -> None:
    query = index.prepare(case)
    for slot in everything(index):
        score = float(channel.score(query, np.array([slot]))[0])
        reasons = channel.explain(query, int(slot), score)
        assert sum(reason.contribution for reason in reasons) == pytest.approx(score, abs=1e-5)
        assert all(reason.text and reason.channel == channel.name for reason in reasons)


def test_respects_what_is_allowed_and_the_limit(proposing: Channel, index: CardIndex) -> None:
    query = index.prepare(FINDS[proposing.name][0])
    assert len(proposing.search(query, 10, np.zeros_like(index.alive.data))) == 0
    assert len(proposing.search(query, 1, index.alive.data)) == 1


def test_removed_cards_are_forgotten_and_come_back(proposing: Channel, index: CardIndex) -> None:
    case, card_id = FINDS[proposing.name]
    card = index.get(card_id)
    before = proposing.search(index.prepare(case), 10, index.alive.data)
    index.remove(card_id)
    after = proposing.search(index.prepare(case), 10, index.alive.data)
    assert card_id not in [index.card_at(int(slot)).card_id for slot in after.slots]
    index.upsert(card)
    again = proposing.search(index.prepare(case), 10, index.alive.data)
    assert index.card_at(int(again.slots[0])).card_id == card_id
    assert again.scores.tolist() == pytest.approx(before.scores.tolist())


def test_order_of_arrival_does_not_change_scores(channel: Channel, index: CardIndex) -> None:
    other = CardIndex(HashingEmbedder(), symptoms=SYMPTOMS, relations=RELATIONS)
    for card in CARDS[::-1]:
        other.upsert(card)
        other.upsert(card)
    case = FINDS[channel.name][0]
    for card in CARDS:
        scores = [
            float(i.channels[channel.name].score(i.prepare(case), np.array([i.slot_of(card.card_id)]))[0])
            for i in (index, other)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize("name", PROPOSING)
def test_single_card_and_empty_index(name: str) -> None:
    case, card_id = FINDS[name]
    index = CardIndex(HashingEmbedder(), symptoms=SYMPTOMS, relations=RELATIONS)
    assert len(index.channels[name].search(index.prepare(case), 10, index.alive.data)) == 0
    index.upsert(next(card for card in CARDS if card.card_id == card_id))
    hits = index.channels[name].search(index.prepare(case), 10, index.alive.data)
    assert len(hits) == 1
    assert 0 < hits.scores[0] <= 1


def test_rare_codes_weigh_more_than_common_ones() -> None:
    index = CardIndex()
    for number in range(20):
        index.upsert(CardRecord(f"fc_{number}", error_codes=("U0100", f"P0{number:02d}0")))
    query = index.prepare(Case(error_codes=("U0100", "P0070")))
    rare, common = (float(index.exact.score(query, np.array([index.slot_of(f"fc_{n}")]))[0]) for n in (7, 8))
    assert rare > 0.9
    assert common < 0.3


def test_partial_credit_for_codes() -> None:
    index = CardIndex()
    for card_id, code in (("same", "P0A80-1A"), ("type", "P0A80-16"), ("family", "P0A8F"), ("other", "P0B80")):
        index.upsert(CardRecord(card_id, error_codes=(code,)))
    query = index.prepare(Case(error_codes=("P0A80-1A",)))
    scores = [
        float(index.exact.score(query, np.array([index.slot_of(c)]))[0]) for c in ("same", "type", "family", "other")
    ]
    assert scores[0] > scores[1] > scores[2] > scores[3] == 0


def test_keyword_ranks_like_the_reference_bm25() -> None:
    texts = [
        f"{a} {b} {c} {a if n % 3 else b} noise"
        for n, (a, b, c) in enumerate(
            (a, b, c)
            for a in ("brake", "pedal", "rotor", "caliper", "hose")
            for b in ("fluid", "leak", "worn", "grinds")
            for c in ("front", "rear", "left", "cold")
        )
    ]
    engine = Bm25(k1=1.2, b=0.75)
    for slot, text in enumerate(texts):
        engine.add(slot, Counter(terms(text)))
    # The oracle uses another idf, so it is given ours: what is compared is saturation, length norm and summation.
    oracle = BM25Okapi([terms(text) for text in texts], k1=1.2, b=0.75)
    oracle.idf = {term: engine.idf(term) for term in oracle.idf}
    for asked in ("worn front brake rotor", "leak at the rear left hose", "caliper grinds cold cold", "noise"):
        expected = oracle.get_scores(terms(asked))
        question = engine.ask(Counter(terms(asked)))
        np.testing.assert_allclose(engine.score(question, np.arange(len(texts))), expected, rtol=1e-4)
        slots, scores = engine.search(question, 10, np.ones(len(texts), dtype=bool))
        np.testing.assert_allclose(scores, np.sort(expected)[::-1][: len(scores)], rtol=1e-4)
        assert len(slots) == 10


def test_shared_vectors_are_used_and_foreign_ones_are_not() -> None:
    embedder = HashingEmbedder()
    vector = embedder.embed(["regen braking fault"])[0]
    index = CardIndex(embedder)
    index.upsert(CardRecord("own", vector=vector, vector_model=embedder.name), embed=False)
    index.upsert(CardRecord("foreign", vector=vector, vector_model="another"), embed=False)
    index.upsert(CardRecord("broken", vector=np.full(384, np.nan), vector_model=embedder.name), embed=False)
    index.upsert(CardRecord("short", vector=vector[:10], vector_model=embedder.name), embed=False)
    hits = index.semantic.search(index.prepare(Case("regen braking fault")), 10, index.alive.data)
    assert [index.card_at(int(slot)).card_id for slot in hits.slots] == ["own"]
    assert hits.scores[0] == pytest.approx(1, abs=1e-5)


def test_cards_wait_for_their_vector_without_blocking() -> None:
    index = CardIndex(HashingEmbedder())
    index.upsert(CardRecord("later", title="regen braking fault"), embed=False)
    case = Case("regen braking fault")
    assert len(index.semantic.search(index.prepare(case), 10, index.alive.data)) == 0
    assert len(index.keyword.search(index.prepare(case), 10, index.alive.data)) == 1
    assert index.embed_pending() == 1
    assert len(index.semantic.search(index.prepare(case), 10, index.alive.data)) == 1
    assert index.embed_pending() == 0


def test_without_embedder_the_semantic_channel_says_so() -> None:
    assert CardIndex().semantic.off == "no embedding model is installed"


WRANGLER = VehicleRange("JEEP", "WRANGLER", 2018, 2020)


@pytest.mark.parametrize(
    ("span", "vehicle", "fit"),
    [
        (WRANGLER, Vehicle("Jeep", "Wrangler", 2019), VehicleFit.exact),
        (WRANGLER, Vehicle("jeep", "Wrangler Unlimited", 2018), VehicleFit.exact),
        (WRANGLER, Vehicle("Jeep", "Wrangler"), VehicleFit.model),
        (WRANGLER, Vehicle("Jeep", "Wrangler", 2021), VehicleFit.near),
        (WRANGLER, Vehicle("Jeep", "Wrangler", 2012), VehicleFit.other_year),
        (WRANGLER, Vehicle("Jeep", "Compass", 2019), VehicleFit.incompatible),
        (WRANGLER, Vehicle("Ford", "Wrangler", 2019), VehicleFit.incompatible),
        (WRANGLER, Vehicle("Jeep"), VehicleFit.unknown),
        (WRANGLER, Vehicle(), VehicleFit.unknown),
        (VehicleRange("Tesla", "Model 3"), Vehicle("Tesla Motors", "Model S"), VehicleFit.incompatible),
        (VehicleRange("Ford", "F-150"), Vehicle("Ford Motor Company", "F150", 2020), VehicleFit.model),
        (VehicleRange("Ola Electric"), Vehicle("Ola", "S1 Pro"), VehicleFit.make),
        (VehicleRange("Tata", "Nexon EV", 2021, None), Vehicle("Tata Motors", "Nexon EV", 2035), VehicleFit.exact),
        (VehicleRange("Ather", "450X", firmware=("2.*",)), Vehicle("Ather", "450X", firmware="2.1"), VehicleFit.model),
        (VehicleRange("Ather", "450X", firmware=("2.1.*",)), Vehicle("Ather", "450X", firmware="3.0"), VehicleFit.near),
        (VehicleRange("Ather", "450", variants=("Plus",)), Vehicle("Ather", "450", variant="X"), VehicleFit.near),
    ],
)  # fmt: skip
def test_vehicle_relations(span: VehicleRange, vehicle: Vehicle, fit: VehicleFit) -> None:
    index = CardIndex()
    index.upsert(CardRecord("fc", vehicles=(span,)))
    assert index.vehicle.fits(index.prepare(Case(vehicle=vehicle)))[0] == fit


def test_the_best_of_several_ranges_counts() -> None:
    index = CardIndex()
    index.upsert(CardRecord("fc", vehicles=(VehicleRange("Jeep", "Wrangler", 1990, 1995), WRANGLER)))
    assert index.vehicle.fits(index.prepare(Case(vehicle=Vehicle("Jeep", "Wrangler", 2018))))[0] == VehicleFit.exact


def test_signature_agreement_short_of_identity(index: CardIndex) -> None:
    near = SignatureFields(primary_symptoms=("SYM_HV_001",), subsystem="hv", load_condition="driving")
    slot = np.array([index.slot_of("fc_iso")])
    assert 0 < index.signature.score(index.prepare(Case(signature=near)), slot)[0] < 0.9


def test_graph_follows_parts_and_neighbours(index: CardIndex) -> None:
    iso = index.slot_of("fc_iso")
    by_part = index.graph.score(index.prepare(Case(parts=("part_compressor",))), np.array([iso]))[0]
    assert by_part == pytest.approx(0.8 * 3 / 4, abs=1e-6)  # weight 0.8, two repairs of evidence
    by_neighbour = index.graph.score(index.prepare(Case("it stops charging")), np.array([iso]))[0]
    assert by_neighbour == pytest.approx(0.5 * 0.5 * 1 / 2, abs=1e-6)  # decay × weight × no evidence yet


def test_relations_can_be_changed(index: CardIndex) -> None:
    slot = np.array([index.slot_of("fc_iso")])
    case = Case(parts=("part_compressor",))
    index.put_relation(Relation("part_compressor", "fc_iso", weight=1.0, evidence=18))
    assert index.graph.score(index.prepare(case), slot)[0] == pytest.approx(0.95)
    index.drop_relation("part_compressor", "fc_iso")
    assert index.graph.score(index.prepare(case), slot)[0] == 0


def test_codes_are_not_counted_a_second_time_as_a_signature(index: CardIndex) -> None:
    query = index.prepare(Case(error_codes=("P0AA6",)))
    slot = np.array([index.slot_of("fc_iso")])
    assert index.exact.score(query, slot)[0] > 0.5
    assert index.signature.score(query, slot)[0] == 0
