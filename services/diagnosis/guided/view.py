"""A session's document and the planner: what was answered as findings, a decision as a proposal."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from models.diagnosis import (
    BeliefShift,
    Candidate,
    Check,
    CheckAnswer,
    DiagnosisSession,
    DiagnosisStatus,
    Proposal,
    ProposalKind,
    Prospect,
    SessionStep,
    StepKind,
)
from services.diagnosis.guided import explain
from services.diagnosis.guided.catalogue import Place
from services.diagnosis.guided.planner import GONE, Decision, Findings, Kind
from services.diagnosis.guided.problem import Problem

TELLING = float(np.log(1.5))
"""Log odds from which an answer counts among what speaks against a card."""
REASONS_KEPT = 3


def standing(steps: Sequence[SessionStep]) -> list[SessionStep]:
    """The steps that were not undone."""
    return [step for step in steps if step.undone_at is None]


def findings(problem: Problem, steps: Sequence[SessionStep], tools_missing: Sequence[str]) -> Findings:
    """What the steps say. A test that no candidate's tree asks any more (its card was edited) says nothing now."""
    catalogue = problem.planner.catalogue
    place = {card_id: number for number, card_id in enumerate(catalogue.cards)}
    answers: dict[int, bool] = {}
    blocked: set[int] = set()
    in_vain = []
    for step in standing(steps):
        if step.kind is StepKind.repair:
            if step.worked is False and step.card_id in place:
                in_vain.append(place[step.card_id])
        elif step.check is not None and (test := catalogue.by_id.get(step.check.test_id)) is not None:
            if step.answer in (CheckAnswer.yes, CheckAnswer.no):
                answers[test] = (step.answer is CheckAnswer.yes) != step.check.inverted
            else:
                blocked.add(test)
    missing = frozenset(tool.casefold() for tool in tools_missing)
    return Findings(answers, frozenset(blocked - answers.keys()), tuple(in_vain), missing)


def check_of(problem: Problem, test: int, belief: np.ndarray, *, toward: int | None, found: Findings) -> Check:
    """The test in the words of one card: the one aimed at, else the likeliest whose tree has come to it."""
    planner, catalogue = problem.planner, problem.planner.catalogue
    asked = catalogue.tests[test]

    def fits(place: Place) -> tuple[bool, bool, float]:
        at = planner.cursor(place.card, found)
        here = at >= 0 and catalogue.routes[place.card].steps[at].node_id == place.node_id
        return place.card == toward, here, float(belief[place.card])

    return worded(problem, test, max(asked.places, key=fits))


def worded(problem: Problem, test: int, place: Place) -> Check:
    """The test as the node at this place words it."""
    catalogue = problem.planner.catalogue
    card_id = catalogue.cards[place.card]
    tree = problem.cards[card_id]["diagnostic_tree"]
    node = next(node for node in tree["nodes"] if node["node_id"] == place.node_id)
    others = {catalogue.cards[other.card] for other in catalogue.tests[test].places} - {card_id}
    return Check(
        test_id=catalogue.tests[test].id,
        card_id=card_id,
        node_id=place.node_id,
        question=node["question"],
        check_action=node["check_action"],
        expected_outcome=node["expected_outcome"],
        tools_required=node["tools_required"],
        safety_warnings=node["safety_warnings"],
        duration_minutes=node["duration_minutes"],
        inverted=place.inverted,
        also_asked_by=sorted(others),
    )


def proposal_of(problem: Problem, decision: Decision, found: Findings, out: Collection[int]) -> Proposal:
    """What to do next. The cards in `out` are ruled out by now."""
    cards = problem.planner.catalogue.cards
    check = None
    both: list[Prospect] = []
    cost = 0.0
    if decision.test is not None:
        check = check_of(problem, decision.test, decision.belief, toward=decision.card, found=found)
        option = next(option for option in decision.options if option.test == decision.test)
        cost = option.cost
        answers = explain.prospects(decision, option, inverted=check.inverted, out=out)
        both = [_prospect(one, cards) for one in answers]
    elif decision.card is not None:
        cost = float(problem.planner.repair_costs[decision.card])
    inverted = check is not None and check.inverted
    return Proposal(
        kind=ProposalKind(decision.kind),
        reason=explain.sentence(problem.planner, decision, problem.titles, inverted=inverted, out=out),
        card_id=cards[decision.card] if decision.card is not None else None,
        check=check,
        prospects=both,
        cost_of_step=round(cost, 2),
        expected_cost=round(decision.total, 2),
        cost_without_tests=round(decision.without, 2),
    )


def _prospect(one: explain.Prospect, cards: Sequence[str]) -> Prospect:
    return Prospect(
        answer=CheckAnswer.yes if one.answer else CheckAnswer.no,
        chance=_share(one.chance),
        shifts=[_shift(cards, shift.card, shift.before, shift.after) for shift in one.shifts],
        rules_out=[cards[card] for card in one.rules_out],
    )


def _shift(cards: Sequence[str], card: int, before: float, after: float) -> BeliefShift:
    return BeliefShift(card_id=cards[card] if card < len(cards) else None, before=_share(before), after=_share(after))


def shifts_between(cards: Sequence[str], before: np.ndarray, after: np.ndarray) -> list[BeliefShift]:
    """What changed by at least a percentage point, the largest change first."""
    change = np.abs(after - before)
    order = [int(n) for n in np.argsort(-change, kind="stable") if change[n] >= 0.01]
    return [_shift(cards, n, float(before[n]), float(after[n])) for n in order]


def planned(session: DiagnosisSession, steps: list[SessionStep], problem: Problem) -> dict[str, Any]:
    """The fields of a session that follow from its steps."""
    found = findings(problem, steps, session.tools_missing)
    decision = problem.planner.decide(found)
    place = {card_id: number for number, card_id in enumerate(problem.planner.catalogue.cards)}
    candidates = [
        _candidate(candidate, place.get(candidate.card_id), problem, decision, found, steps)
        for candidate in session.candidates
    ]
    out = {place[candidate.card_id] for candidate in candidates if candidate.ruled_out}
    return {
        "steps": steps,
        "candidates": candidates,
        "unknown_probability": _share(float(decision.belief[-1])),
        "proposal": proposal_of(problem, decision, found, out),
        "status": DiagnosisStatus.open if decision.kind is Kind.test else DiagnosisStatus.concluded,
    }


def _candidate(
    candidate: Candidate,
    place: int | None,
    problem: Problem,
    decision: Decision,
    found: Findings,
    steps: Sequence[SessionStep],
) -> Candidate:
    if place is None:
        return candidate.model_copy(update={"probability": 0.0, "ruled_out": False, "ruled_out_by": []})
    probability = _share(float(decision.belief[place]))
    against = _against(place, problem, steps)
    if place in found.repairs_in_vain:
        gone = probability < GONE
    else:
        # What was never a suspect has not been ruled out because another card has become likelier: it would count
        # against a card of which nobody had thought.
        suspected = candidate.prior >= GONE and probability < GONE
        handed_over = problem.planner.verdict(place, found) is False
        gone = (suspected or handed_over) and probability < explain.FELL_TO * candidate.prior
    ruled_out = bool(against) and gone and decision.card != place
    return candidate.model_copy(
        update={"probability": probability, "ruled_out": ruled_out, "ruled_out_by": against if ruled_out else []}
    )


def _against(place: int, problem: Problem, steps: Sequence[SessionStep]) -> list[int]:
    """Numbers of the steps that speak most against a card, the strongest first."""
    planner = problem.planner
    weights: dict[int, float] = {}
    for step in standing(steps):
        if step.kind is StepKind.repair:
            if step.worked is False and step.card_id == planner.catalogue.cards[place]:
                weights[step.number] = float("inf")
        elif step.check is not None and step.answer in (CheckAnswer.yes, CheckAnswer.no):
            test = planner.catalogue.by_id.get(step.check.test_id)
            if test is not None:
                said = (step.answer is CheckAnswer.yes) != step.check.inverted
                weights[step.number] = float(planner.against(test, said)[place])
    telling = [number for number, weight in weights.items() if weight >= TELLING]
    return sorted(telling, key=lambda number: (-weights[number], number))[:REASONS_KEPT]


def _share(number: float) -> float:
    """Within [0, 1] whatever rounding has done."""
    return min(1.0, max(0.0, number))
