"""The planner: probabilities, costs, and when to stop."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.failure_card import DiagnosticTree
from services.diagnosis.guided.catalogue import build
from services.diagnosis.guided.economics import Economics, outlook
from services.diagnosis.guided.explain import prospects, sentence
from services.diagnosis.guided.likelihoods import ANY_CARD, Counts, borrowed, table
from services.diagnosis.guided.planner import Findings, Kind, Planner
from tests.services.diagnosis.guided_samples import chain, leaf, node, planner

QUESTIONS = [f"Does lamp number {n} of the instrument panel shine?" for n in range(12)]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Planner, Findings]:
    """Up to five cards with trees out of twelve questions, and some answers."""
    cards = draw(st.integers(1, 5))
    trees = {}
    for card in range(cards):
        asked = draw(st.lists(st.sampled_from(QUESTIONS), min_size=0, max_size=4, unique=True))
        trees[f"c{card}"] = chain(*asked) if asked else None
    weights = draw(st.lists(st.floats(0, 1), min_size=cards + 1, max_size=cards + 1))
    prices = draw(st.lists(st.floats(0, 50_000), min_size=cards, max_size=cards))
    ours = planner(trees, weights, prices)
    tests = st.integers(0, max(0, len(ours.catalogue.tests) - 1))
    answers = draw(st.dictionaries(tests, st.booleans())) if ours.catalogue.tests else {}
    vain = draw(st.lists(st.integers(0, cards - 1), max_size=3))
    return ours, Findings(answers, frozenset(draw(st.sets(tests))) - answers.keys(), tuple(vain))


@settings(deadline=None, max_examples=150)
@given(problems())
def test_beliefs_are_probabilities_whatever_was_answered(problem: tuple[Planner, Findings]):
    ours, found = problem

    decision = ours.decide(found)

    assert decision.belief.sum() == pytest.approx(1)
    assert np.isfinite(decision.belief).all()
    assert (decision.belief >= 0).all()
    assert np.isfinite([decision.without, decision.total]).all()
    assert decision.total <= decision.without + 1e-9
    if decision.kind is Kind.test:
        assert decision.test not in found.answers
        assert decision.test not in found.blocked
    names = [f"Card {n}" for n in range(len(ours.catalogue.cards))]
    assert sentence(ours, decision, names)


@settings(deadline=None, max_examples=80)
@given(problems(), st.randoms())
def test_the_order_of_answers_does_not_matter(problem: tuple[Planner, Findings], random):
    ours, found = problem
    shuffled = list(found.answers.items())
    random.shuffle(shuffled)

    other = ours.decide(Findings(dict(shuffled), found.blocked, found.repairs_in_vain[::-1]))

    first = ours.decide(found)
    assert (first.belief == other.belief).all()
    assert (first.kind, first.test, first.card) == (other.kind, other.test, other.card)


@settings(deadline=None, max_examples=80)
@given(problems())
def test_a_diagnosis_ends(problem: tuple[Planner, Findings]):
    """Whatever is answered, each test is proposed at most once, and then a repair or nothing is."""
    ours, _ = problem
    answers: dict[int, bool] = {}
    for turn in range(len(ours.catalogue.tests) + 1):
        decision = ours.decide(Findings(answers))
        if decision.kind is not Kind.test:
            return
        assert decision.test not in answers
        answers[decision.test] = bool(turn % 2)
    pytest.fail("more tests than there are")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6), st.data())
def test_outlook_is_the_cheapest_sequence(weights: list[float], data: st.DataObject):
    """Against brute force over every order and every point of giving up, with repairs that always work."""
    belief = np.array(weights) / sum(weights)
    cards = len(belief) - 1
    prices = np.array(data.draw(st.lists(st.floats(10, 5000), min_size=cards, max_size=cards)))
    rates = Economics(
        hand_over=data.draw(st.floats(0, 20_000)), unknown_repair=3000, in_vain=data.draw(st.floats(0, 4000))
    )

    def cost(order: tuple[int, ...]) -> float:
        total, left = 0.0, 1.0
        for card in order:
            total += left * prices[card]
            left -= belief[card]
            total += left * rates.in_vain
        rest = sum(belief[card] * prices[card] for card in range(cards) if card not in order)
        return total + left * rates.hand_over + rest + belief[-1] * rates.unknown_repair

    by_ratio = sorted(range(cards), key=lambda card: -belief[card] / (prices[card] + rates.in_vain))
    found = float(outlook(belief[None, :], prices, np.ones(cards), rates).cost[0])

    assert found == pytest.approx(min(cost(tuple(by_ratio[:n])) for n in range(cards + 1)))
    # No other order of trying them all is cheaper.
    assert cost(tuple(by_ratio)) <= min(cost(order) for order in permutations(range(cards))) + 1e-6


@settings(deadline=None, max_examples=80)
@given(problems())
def test_no_repair_is_proposed_twice(problem: tuple[Planner, Findings]):
    """Also of the only card left: what kept its repair from helping is still there."""
    ours, found = problem
    vain: tuple[int, ...] = ()
    for _ in range(len(ours.catalogue.cards) + 1):
        decision = ours.decide(Findings(found.answers, frozenset(range(len(ours.catalogue.tests))), vain))
        if decision.kind is Kind.unknown:
            return
        assert decision.card not in vain
        vain = (*vain, decision.card)
    pytest.fail("more repairs than there are cards")


def test_a_cheap_decisive_check_comes_before_an_expensive_repair():
    ours = planner({"a": leaf(QUESTIONS[0]), "b": leaf(QUESTIONS[1])}, [0.5, 0.4, 0.1], [20_000, 15_000])

    decision = ours.decide()

    assert decision.kind is Kind.test
    assert decision.total < decision.without
    assert "saves about" in sentence(ours, decision, ["Pack", "Charger"])


def test_a_cheap_repair_is_tried_rather_than_tested():
    ours = planner({"a": leaf(QUESTIONS[0], duration_minutes=60), "b": None}, [0.8, 0.1, 0.1], [50, 5000])

    decision = ours.decide()

    assert (decision.kind, decision.card) == (Kind.repair, 0)
    assert "cheaper to try than to test further" in sentence(ours, decision, ["Fuse", "Pack"])


def test_an_answer_confirms_and_a_repair_in_vain_takes_back():
    ours = planner({"a": leaf(QUESTIONS[0]), "b": None}, [0.6, 0.3, 0.1], [9000, 9000])
    test = ours.catalogue.routes[0].steps[0].test

    confirmed = ours.decide(Findings({test: True}))
    assert (confirmed.kind, confirmed.card) == (Kind.confirmed, 0)

    after = ours.decide(Findings({test: True}, repairs_in_vain=(0,)))
    assert after.belief[0] < 0.4
    assert after.card != 0 or after.kind is Kind.test


def test_an_answer_that_confirms_at_once_never_speaks_against_its_card():
    """Though most of the card's ways to its causes pass on the other side."""
    tree = DiagnosticTree(
        root_node_id="a",
        nodes=[
            node("a", QUESTIONS[0], if_no="b", leads_to_root_cause="One"),
            node("b", QUESTIONS[1], if_yes="c", if_no="d"),
            node("c", QUESTIONS[2], leads_to_root_cause="Two", hands_over_to="x"),
            node("d", QUESTIONS[3], leads_to_root_cause="Three", hands_over_to="x"),
        ],
    )
    ours = planner({"a": tree, "b": None}, [0.4, 0.4, 0.2])
    test = ours.catalogue.routes[0].steps[0].test

    assert ours.verdict(0, Findings({test: True})) is True
    assert ours.belief(Findings({test: True}))[0] > 0.4


def test_nothing_known_explains_it():
    ours = planner({"a": leaf(QUESTIONS[0]), "b": leaf(QUESTIONS[1])}, [0.3, 0.3, 0.4], [9000, 9000])
    tests = [route.steps[0].test for route in ours.catalogue.routes]

    decision = ours.decide(Findings(dict.fromkeys(tests, False)))

    assert decision.kind is Kind.unknown
    assert "new card" in sentence(ours, decision, ["A", "B"])


def test_no_answer_rules_out_what_is_ruled_out_already():
    ours = planner({"a": leaf(QUESTIONS[0]), "b": leaf(QUESTIONS[0])}, [0.1, 0.1, 0.8], [4000, 4000])
    decision = ours.decide()
    assert decision.kind is Kind.test
    (option,) = decision.options

    assert [one.rules_out for one in prospects(decision, option)] == [(), (0, 1)]
    assert [one.rules_out for one in prospects(decision, option, out={0})] == [(), (1,)]
    assert "rules out “A”, “B”." in sentence(ours, decision, ["A", "B"])
    assert "rules out “B”." in sentence(ours, decision, ["A", "B"], out={0})


def test_a_question_that_only_opens_the_way_is_asked():
    """The root tells nothing by itself; the check behind it decides between two expensive repairs."""
    root = "Has the vehicle been parked for an hour beforehand?"
    trees = {"a": chain(root, QUESTIONS[0]), "b": None}
    learnt = {(card, build(trees).tests[0].id): Counts(50, 50) for card in ("a", "b", ANY_CARD)}
    ours = planner(trees, [0.48, 0.48, 0.04], [15_000, 16_000], learnt=learnt)

    decision = ours.decide()

    assert decision.kind is Kind.test
    assert decision.options[0].saves < 0
    assert decision.card == 0


def test_two_tests_behind_one_cover_cost_less_together():
    fields = {"duration_minutes": 20, "check_action": "Open the pack and look"}
    ours = planner({"a": leaf(QUESTIONS[0], **fields), "b": leaf(QUESTIONS[1], **fields)}, [0.4, 0.4, 0.2])
    both = np.array([0, 1])

    alone = ours.cost_of(both, Findings())
    after = ours.cost_of(both, Findings({0: False}))

    assert alone[1] == 20 * ours.economics.labour_per_minute
    assert after[1] == alone[1] / 2


def test_what_cannot_be_done_is_passed_and_missing_tools_too():
    trees = {"a": chain(QUESTIONS[0], QUESTIONS[1]), "b": leaf(QUESTIONS[2], tools_required=["Oscilloscope"])}
    ours = planner(trees, [0.5, 0.4, 0.1], [9000, 9000])

    assert ours.available(Findings()) == [0, 2]
    assert ours.available(Findings(blocked=frozenset({0}))) == [1, 2]
    assert ours.available(Findings(tools_missing=frozenset({"oscilloscope"}))) == [0]
    nothing = ours.decide(Findings(blocked=frozenset({0, 1, 2})))
    assert nothing.kind is not Kind.test


def test_repairs_correct_what_the_tree_expected():
    trees = {"a": leaf(QUESTIONS[0]), "b": None}
    catalogue = build(trees)
    before = table(catalogue)
    taught = table(
        catalogue, {("a", catalogue.tests[0].id): Counts(0, 40), ("b", catalogue.tests[0].id): Counts(30, 0)}
    )

    assert before[0, 0] > 0.9
    assert taught[0, 0] < 0.2
    assert taught[1, 0] > 0.9
    # Nobody knows what an unknown failure does, so it stays as it was.
    assert taught[2, 0] == before[2, 0]


def test_other_variants_lend_a_little():
    own, everywhere = Counts(3, 0), Counts(3, 1000)

    lent = borrowed(own, everywhere)

    assert lent.yes == 3
    assert 9 < lent.no < 10
    assert borrowed(own, own) == own


def test_a_complaint_alone_confirms_nothing_however_well_it_matches():
    ours = planner({"a": leaf(QUESTIONS[0], duration_minutes=600), "b": leaf(QUESTIONS[1])}, [0.97, 0.02, 0.01])
    assert ours.decide().kind is Kind.repair
