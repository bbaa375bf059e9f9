"""A decision in words and numbers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from services.diagnosis.guided.planner import GONE, Decision, Kind, Option, Planner

SHOWN = 3
"""Cards named for each answer; the rest are in the numbers."""
NOTABLE = 0.02
FELL_TO = 0.5
"""Share of its probability below which a card may count as ruled out by what was checked."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What an answer does to a card."""

    card: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """One answer that a test may have: how likely it is, what it makes likely and what it rules out."""

    answer: bool
    chance: float
    shifts: tuple[Shift, ...]
    rules_out: tuple[int, ...]


def prospects(
    decision: Decision, option: Option, *, inverted: bool = False, out: Collection[int] = ()
) -> tuple[Prospect, Prospect]:
    """Yes, then no, in the sense of the question as it is put (`inverted`: against the test's own sense). The cards in
    `out` are ruled out already, so no answer does it."""
    yes = _prospect(decision.belief, option.if_no if inverted else option.if_yes, True, out)
    no = _prospect(decision.belief, option.if_yes if inverted else option.if_no, False, out)
    chance = 1 - option.chance if inverted else option.chance
    return (
        Prospect(True, chance, yes.shifts, yes.rules_out),
        Prospect(False, 1 - chance, no.shifts, no.rules_out),
    )


def _prospect(before: np.ndarray, after: np.ndarray, answer: bool, out: Collection[int]) -> Prospect:
    change = np.abs(after - before)
    order = np.argsort(-change, kind="stable")
    shifts = tuple(Shift(int(n), float(before[n]), float(after[n])) for n in order[:SHOWN] if change[n] >= NOTABLE)
    known, left = before[:-1], after[:-1]
    gone = map(int, np.flatnonzero((left < GONE) & (known >= GONE) & (left < FELL_TO * known)))
    return Prospect(answer, 0.0, shifts, tuple(card for card in gone if card not in out))


def sentence(
    planner: Planner,
    decision: Decision,
    names: Sequence[str],
    *,
    inverted: bool = False,
    out: Collection[int] = (),
) -> str:
    """Why this step, for the person who is to do it. `names` are the cards' titles; the rest as for `prospects`."""
    belief = decision.belief
    if decision.kind is Kind.unknown:
        return (
            f"No known failure explains this well enough: unknown {belief[-1]:.0%}, likeliest card "
            f"{belief[:-1].max(initial=0.0):.0%}. Neither a further check nor a repair on trial is worth its cost; "
            "record what you found, so that it becomes a new card."
        )
    if decision.card is not None and decision.kind is not Kind.test:
        return _why_repair(planner, decision, names[decision.card])
    option = next(option for option in decision.options if option.test == decision.test)
    both = prospects(decision, option, inverted=inverted, out=out)
    gain = decision.without - decision.total
    # A tree's saving is reached at its end; a single answer's at once.
    goal = f" (following the tree of “{names[decision.card]}” to its end)" if decision.card is not None else ""
    return (
        f"Costs about {option.cost:.0f} and saves about {gain:.0f} on the way to the right repair{goal}. "
        + " ".join(_outcome(prospect, names) for prospect in both)
    )


def _why_repair(planner: Planner, decision: Decision, name: str) -> str:
    chance, price = decision.belief[decision.card], planner.repair_costs[decision.card]
    if decision.kind is Kind.confirmed:
        return f"“{name}” is the cause with {chance:.0%}; repair it (about {price:.0f})."
    cheapest = min((option.cost for option in decision.options), default=None)
    rest = f"the next check costs {cheapest:.0f} or more and saves less" if cheapest else "no check is left to make"
    return f"Repair “{name}” now ({chance:.0%}, about {price:.0f}): cheaper to try than to test further, for {rest}."


def _outcome(prospect: Prospect, names: Sequence[str]) -> str:
    said = f"{'Yes' if prospect.answer else 'No'} ({prospect.chance:.0%})"
    out = [names[card] for card in prospect.rules_out]
    if out:
        more = f" and {len(out) - SHOWN} more" if len(out) > SHOWN else ""
        return f"{said} rules out " + ", ".join(f"“{name}”" for name in out[:SHOWN]) + f"{more}."
    if prospect.shifts:
        shift = prospect.shifts[0]
        name = f"“{names[shift.card]}”" if shift.card < len(names) else "an unknown failure"
        return f"{said} takes {name} from {shift.before:.0%} to {shift.after:.0%}."
    return f"{said} changes little."
