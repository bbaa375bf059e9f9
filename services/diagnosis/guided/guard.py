"""The missed-check guard: names the cheap check that would have decided, before money is spent on a guess.

It speaks only where a check costs a small part of what is at stake, would overturn or settle the choice, and saves more
than twice its cost on average. It is silent where the guided diagnosis itself proposes the repair, where the repair has
been shown to help, and where it has no basis: a card that the match does not know, a card without a tree, no index.
"""

from dataclasses import dataclass

from app.errors import Conflict, Unavailable
from models.diagnosis import Check, DiagnosisSession, OverrideReason, StepKind
from models.enums import ResolutionOutcome
from models.part import Part
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis import matches
from services.diagnosis.guided import experience
from services.diagnosis.guided.planner import SURE, Findings, Option, Planner
from services.diagnosis.guided.problem import Problem, pose, spread
from services.diagnosis.guided.sessions import CANDIDATES, SCORER
from services.diagnosis.guided.view import check_of, findings, standing
from services.diagnosis.matches import MatchOptions
from services.diagnosis.translate import ticket_case
from services.knowledge.confidence import variant_of
from services.repairs.cards import required_parts
from services.repairs.ticket_moves import round_of
from services.repairs.visibility import load_visible

CHEAP_SHARE = 0.2
"""A check is cheap up to this share of the repair's price."""
WORTH = 2.0
"""It must save on average at least so many times what it costs."""
CHOICE = 3.0
"""How much likelier a card is for having been chosen: whoever chose it has seen the vehicle."""
NAMED = 3


class _Policy:
    expensive_part_cost = 3000.0


def configure(*, expensive_part_cost: float) -> None:
    """Set from which cost on a part is guarded (Settings.expensive_part_cost)."""
    _Policy.expensive_part_cost = expensive_part_cost


class CheckMissed(Conflict):
    code, title = "check_missed", "A cheap check would decide this first"


@dataclass(frozen=True, slots=True)
class MissedCheck:
    """A check that was not made. `saves` is on average, net of its cost; `now`, `if_yes` and `if_no` are probabilities
    of the card at stake."""

    check: Check
    cost: float
    saves: float
    now: float
    if_yes: float
    if_no: float
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """The wish to go on without a check, and why. Clients that only acknowledge give no reason."""

    reason: OverrideReason | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """Checks without which somebody goes on with a ticket, relying on a card."""

    ticket: Ticket
    card_id: str
    checks: list[Check]
    override: Override


async def missed_checks(ticket: Ticket, card_id: str | None = None) -> list[MissedCheck]:
    """The checks that should come before relying on a card, by default the one selected; the most telling first."""
    chosen = card_id or ticket.selected_failure_card
    if chosen is None:
        return []
    actions = await TechnicianAction.find({"ticket_id": ticket.id}).sort([("_id", 1)]).to_list()
    actions = [action for action in actions if action.resolution_round == round_of(ticket)]
    session = await _last_session(ticket)
    if _has_helped(chosen, actions, session):
        return []
    priors, unknown = await _priors(ticket, session)
    if chosen not in priors:
        return []
    priors[chosen] *= CHOICE
    problem = await pose(priors, unknown, variant=variant_of(ticket), site_id=None, with_stock=False)
    if chosen not in problem.cards:
        return []
    return _missed(problem, chosen, await _findings(problem, actions, session))


async def before_resolving(
    ticket: Ticket, card_id: str | None, *, successful: bool, override: Override | None = None
) -> Passed | None:
    """Raise CheckMissed if a resolution is to be credited to a card on whose cause nobody has made sure.

    With an override it is returned instead what is passed over, to be noted with the resolution (`overrides.note`).
    """
    found = await missed_checks(ticket, card_id) if successful else []
    return _passed(ticket, card_id or ticket.selected_failure_card, found, override)


async def before_allocating(
    ticket_id: str, part_id: str, quantity: int, *, override: Override | None = None
) -> Passed | None:
    """Raise CheckMissed if an expensive part is to be taken for a card, and a cheap check may show it is not needed.

    With an override as `before_resolving`. Says nothing of tickets and parts that the caller may not see: allocating
    itself does.
    """
    part = await Part.find_one({"_id": part_id})
    if part is None or part.unit_cost is None or float(part.unit_cost) * quantity < _Policy.expensive_part_cost:
        return None
    ticket = await load_visible(ticket_id)
    card_id = await _asks_for(ticket, part)
    found = await missed_checks(ticket, card_id) if card_id is not None else []
    return _passed(ticket, card_id, found, override)


def _passed(ticket: Ticket, card_id: str | None, found: list[MissedCheck], override: Override | None) -> Passed | None:
    if not found or card_id is None:
        return None
    if override is None:
        raise _refusal(found)
    return Passed(ticket, card_id, [one.check for one in found], override)


def _refusal(found: list[MissedCheck]) -> CheckMissed:
    return CheckMissed(
        f"{found[0].reason} Make it, or send missed_checks_reason.",
        missed_checks=[
            {
                "test_id": one.check.test_id,
                "card_id": one.check.card_id,
                "question": one.check.question,
                "cost": round(one.cost, 2),
                "saves": round(one.saves, 2),
                "now": one.now,
                "if_yes": one.if_yes,
                "if_no": one.if_no,
            }
            for one in found
        ],
    )


async def _asks_for(ticket: Ticket, part: Part) -> str | None:
    """The card for which a part is taken: the selected one, or else the first suggested one that asks for it."""
    if ticket.selected_failure_card is not None:
        return ticket.selected_failure_card
    names = {part.part_number.casefold(), part.part_name.casefold()}
    wanted = await required_parts(ticket.suggested_failure_cards)
    for card_id, parts in wanted.items():
        if any({one.part_number.casefold(), one.part_name.casefold()} & names for one in parts):
            return card_id
    return None


async def _last_session(ticket: Ticket) -> DiagnosisSession | None:
    found = await DiagnosisSession.find({"ticket_id": ticket.id}).sort([("_id", -1)]).limit(1).to_list()
    return found[0] if found and found[0].resolution_round == round_of(ticket) else None


def _has_helped(card_id: str, actions: list[TechnicianAction], session: DiagnosisSession | None) -> bool:
    """Whether the card's repair was seen to work: better evidence than any check."""
    by_action = any(
        action.failure_card_used == card_id and action.resolution_outcome is ResolutionOutcome.success
        for action in actions
    )
    tried = standing(session.steps) if session else []
    return by_action or any(step.kind is StepKind.repair and step.worked and step.card_id == card_id for step in tried)


async def _priors(ticket: Ticket, session: DiagnosisSession | None) -> tuple[dict[str, float], float]:
    if session is not None:
        return {one.card_id: one.prior for one in session.candidates}, session.unknown_prior
    try:
        matched = await matches.match(ticket_case(ticket), MatchOptions(scorer=SCORER, limit=CANDIDATES))
    except Unavailable:
        return {}, 1.0
    found = matched.result.candidates
    shares, unknown = spread([one.probability or 0.0 for one in found], matched.result.none_probability or 0.0)
    return {one.card_id: share for one, share in zip(found, shares, strict=True)}, unknown


async def _findings(problem: Problem, actions: list[TechnicianAction], session: DiagnosisSession | None) -> Findings:
    """What the session and the actions of this passage answered, wherever it was written down."""
    found = findings(problem, session.steps, session.tools_missing) if session else Findings()
    said = await experience.outcomes_in(done for action in actions for done in action.attempted_diagnostics)
    by_id = problem.planner.catalogue.by_id
    answers = {by_id[one.test_id]: one.yes for one in said if one.test_id in by_id} | dict(found.answers)
    return Findings(answers, found.blocked - answers.keys(), found.repairs_in_vain, found.tools_missing)


def _missed(problem: Problem, card_id: str, found: Findings) -> list[MissedCheck]:
    planner = problem.planner
    card = planner.catalogue.cards.index(card_id)
    decision = planner.decide(found)
    belief = decision.belief
    price = float(planner.repair_costs[card])
    now = _cost_of_relying(planner, card, found)
    chance = float(belief[card])
    missed = []
    for option in decision.options:
        saves = now - option.total
        if option.cost <= CHEAP_SHARE * price and saves >= WORTH * option.cost and _decides(option, card, chance):
            check = check_of(problem, option.test, belief, toward=card, found=found)
            yes, no = (option.if_no, option.if_yes) if check.inverted else (option.if_yes, option.if_no)
            missed.append((saves, check, option.cost, float(yes[card]), float(no[card])))
    missed.sort(key=lambda one: -one[0])
    title = problem.cards[card_id]["title"]
    return [
        MissedCheck(
            check,
            cost,
            saves,
            chance,
            yes,
            no,
            f"“{check.question}” has not been checked. It costs about {cost:.0f} against {price:.0f} for the repair by "
            f"“{title}”, which is the cause with {chance:.0%}; after it {yes:.0%} (yes) or {no:.0%} (no).",
        )
        for saves, check, cost, yes, no in missed[:NAMED]
    ]


def _cost_of_relying(planner: Planner, card: int, found: Findings) -> float:
    """Expected cost of repairing by this card at once, and of whatever follows if it was not the cause."""
    fixed = float(planner.belief(found)[card] * planner.works[card])
    in_vain = Findings(found.answers, found.blocked, (*found.repairs_in_vain, card), found.tools_missing)
    after = planner.outlook(planner.belief(in_vain)[None, :], in_vain.repairs_in_vain)
    return float(planner.repair_costs[card] + (1 - fixed) * (planner.economics.in_vain + after.cost[0]))


def _decides(option: Option, card: int, now: float) -> bool:
    """One answer would halve the card's probability, or make it sure."""
    outcomes = float(option.if_yes[card]), float(option.if_no[card])
    return min(outcomes) <= now / 2 or (max(outcomes) >= SURE > now)
