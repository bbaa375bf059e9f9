"""From stored cards to a problem that the planner solves: trees, prices, stock, and what repairs taught."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from models.failure_card import DiagnosticTree, FailureCard, RequiredPart
from models.part import Part
from services.diagnosis.guided import experience, likelihoods
from services.diagnosis.guided.catalogue import build
from services.diagnosis.guided.economics import Economics, Repair
from services.diagnosis.guided.planner import Planner

WORKS_PRIOR = (9.5, 0.5)
"""Pseudo-repairs (worked, did not) of a card that is the cause: its author saw the repair work."""
_FIELDS = (
    "title", "version", "diagnostic_tree", "required_parts", "estimated_parts_cost", "estimated_labor_cost",
    "estimated_total_cost", "estimated_repair_time_minutes", "success_count", "failure_count", "merged_from",
)  # fmt: skip


class _Rates:
    economics = Economics()


def configure(*, labour_rate_per_hour: float, hand_over_cost: float, repair_in_vain_cost: float) -> None:
    """Set what work costs (the settings of these names)."""
    _Rates.economics = Economics(labour_rate_per_hour / 60, hand_over_cost, in_vain=repair_in_vain_cost)


def economics() -> Economics:
    return _Rates.economics


@dataclass(frozen=True, slots=True)
class Problem:
    """`cards` in their stored form, by id, in the order of the planner's catalogue."""

    planner: Planner
    cards: Mapping[str, Mapping[str, Any]]

    @property
    def titles(self) -> list[str]:
        return [card["title"] for card in self.cards.values()]


async def pose(
    priors: Mapping[str, float], unknown: float, *, variant: str, site_id: str | None, with_stock: bool = True
) -> Problem:
    """The problem of telling these cards apart. Cards that are gone leave their probability to the unknown failure."""
    collection = FailureCard.get_pymongo_collection()
    found = {
        card["_id"]: card async for card in collection.find({"_id": {"$in": list(priors)}}, dict.fromkeys(_FIELDS, 1))
    }
    cards = {card_id: found[card_id] for card_id in priors if card_id in found}
    trees = {card_id: _tree(card) for card_id, card in cards.items()}
    catalogue = build(trees)
    merged = {card_id: card.get("merged_from", []) for card_id, card in cards.items()}
    table = likelihoods.table(catalogue, await experience.learnt(cards, variant, merged=merged))
    lacking = await _lacking(cards, site_id) if with_stock else set()
    repairs = [repair_of(card, lacking=card_id in lacking) for card_id, card in cards.items()]
    gone = sum(share for card_id, share in priors.items() if card_id not in cards)
    prior = [*(priors[card_id] for card_id in cards), unknown + gone]
    return Problem(Planner(catalogue, prior, table, repairs, economics()), cards)


def repair_of(card: Mapping[str, Any], *, lacking: bool = False) -> Repair:
    """What repairing by a card (in its stored form) costs. `lacking`: a part it needs is out of stock.

    At least the time it takes: a campaign that the maker pays for occupies workshop and vehicle all the same.
    """
    rates = economics()
    time = (card.get("estimated_repair_time_minutes") or 0) * rates.labour_per_minute
    labour = _number(card.get("estimated_labor_cost"))
    if labour is None:
        labour = time
    parts = _number(card.get("estimated_parts_cost"))
    if parts is None:
        required = [RequiredPart.model_validate(part) for part in card.get("required_parts", [])]
        parts = float(sum((part.unit_cost or Decimal()) * part.quantity for part in required if not part.is_optional))
    cost = max(time, _number(card.get("estimated_total_cost")) or labour + parts)
    worked, failed = WORKS_PRIOR
    worked += card.get("success_count", 0)
    failed += card.get("failure_count", 0)
    return Repair(cost + (rates.out_of_stock if lacking else 0.0), worked / (worked + failed))


def _tree(card: Mapping[str, Any]) -> DiagnosticTree | None:
    tree = card.get("diagnostic_tree")
    return DiagnosticTree.model_validate(tree) if tree else None


def _number(amount: Any) -> float | None:
    """Money as the store holds it (Decimal128), or as a model does."""
    return None if amount is None else float(str(amount))


async def _lacking(cards: Mapping[str, Mapping[str, Any]], site_id: str | None) -> set[str]:
    """Cards that need a part which the site keeps, but has none of. A part that it does not keep says nothing."""
    numbers = {card_id: _part_numbers(card["required_parts"]) for card_id, card in cards.items()}
    wanted = sorted(set().union(*numbers.values())) if numbers else []
    if site_id is None or not wanted:
        return set()
    parts = Part.get_pymongo_collection().find({"site_id": site_id, "part_number": {"$in": wanted}})
    empty = {part["part_number"] async for part in parts if not part["quantity_on_hand"]}
    return {card_id for card_id, needed in numbers.items() if needed & empty}


def _part_numbers(parts: Iterable[Mapping[str, Any]]) -> set[str]:
    return {part["part_number"] for part in parts if part.get("part_number") and not part.get("is_optional")}


def spread(probabilities: Sequence[float], none: float) -> tuple[list[float], float]:
    """Priors that sum to 1 with that of the unknown failure, out of a match's for the cards it shows and for none.

    The cards' odds among each other are tempered by MATCH_TRUST. The odds of none against all cards become UNKNOWN_ODDS
    of their UNKNOWN_TRUST-th power, kept within UNKNOWN; where no card is shown the unknown is certain.
    """
    weights = [max(0.0, one) ** MATCH_TRUST for one in probabilities]
    total = sum(weights)
    if total <= 0:
        return [0.0 for _ in probabilities], 1.0
    low, high = UNKNOWN
    nothing = UNKNOWN_ODDS * max(0.0, none) ** UNKNOWN_TRUST
    something = sum(max(0.0, one) for one in probabilities) ** UNKNOWN_TRUST
    unknown = min(high, max(low, nothing / (nothing + something)))
    return [(1 - unknown) * one / total for one in weights], unknown


MATCH_TRUST = 0.8
"""What the logarithm of a match's odds is worth. The match is calibrated on complaints and cards of other places, and
may be too sure of itself elsewhere: on 1,500 complaints made of the starter library's phrases the likelihood of the
truth is greatest at 0.9 and hardly less at 0.8, where the best card is right more often than its mean probability."""


UNKNOWN_ODDS, UNKNOWN_TRUST = 0.5, 0.4
"""How the odds that no card explains a complaint are corrected. The match has learnt them where nearly half of the
complaints belonged to no card. On 1,200 complaints made of two phrases of the starter library, matched with and without
the sentence model, one in ten or one in five about a failure without a card, the likelihood of what was the case is
greatest for powers of 0.4 to 0.6 and factors of 0.35 to 1.3; these lose least in the worst of the four."""


UNKNOWN = (0.03, 0.5)
"""A match is never so sure that a failure nobody has described yet can be excluded; and where it finds cards at all, a
first check is made before they are given up."""
