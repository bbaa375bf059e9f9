"""From cards to a problem: prices, stock, priors."""

from decimal import Decimal
from typing import Any

import pytest
from bson import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from models.enums import FailureMode, SubsystemCategory
from models.failure_card import FailureCard
from models.part import Part
from services.diagnosis.guided.problem import UNKNOWN, economics, pose, repair_of, spread


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 1))
def test_priors_are_probabilities(probabilities: list[float], none: float):
    shares, unknown = spread(probabilities, none)

    assert sum(shares) + unknown == pytest.approx(1)
    assert all(share >= 0 for share in shares)
    if any(shares):
        assert UNKNOWN[0] <= unknown <= UNKNOWN[1]
        # The match's order stays.
        assert shares == sorted(shares, reverse=True) or probabilities != sorted(probabilities, reverse=True)


def test_a_short_complaint_does_not_make_the_failure_unknown():
    """The match says none rather than the card; on such complaints the card is right all the same."""
    (share,), unknown = spread([0.4], 0.6)

    assert share > 0.6 > unknown
    assert spread([0.05], 0.95)[1] > unknown > spread([0.95], 0.05)[1]


def test_without_a_card_it_is_unknown():
    assert spread([], 0.2) == ([], 1.0)
    assert spread([0.0, 0.0], 0.2) == ([0.0, 0.0], 1.0)


@pytest.mark.parametrize(
    ("card", "cost"),
    [
        ({"estimated_total_cost": Decimal128("900.50"), "estimated_parts_cost": Decimal128("1")}, 900.5),
        ({"estimated_labor_cost": Decimal(100), "estimated_parts_cost": Decimal(250)}, 350),
        ({"estimated_repair_time_minutes": 30, "estimated_parts_cost": 40}, 30 * 12 + 40),
        (
            {
                "estimated_labor_cost": 0,
                "required_parts": [
                    {"part_name": "Cell", "quantity": 3, "unit_cost": "20"},
                    {"part_name": "Lid", "unit_cost": "500", "is_optional": True},
                    {"part_name": "Glue"},
                ],
            },
            60,
        ),
    ],
)
def test_what_a_repair_costs(card: dict[str, Any], cost: float):
    assert repair_of(card).cost == cost


def test_failures_lower_how_often_a_repair_is_thought_to_work():
    fresh, proven, doubtful = (
        repair_of({"success_count": worked, "failure_count": failed}).works
        for worked, failed in ((0, 0), (40, 0), (2, 8))
    )

    assert proven > fresh > doubtful


async def test_a_part_out_of_stock_makes_a_repair_dearer(as_system: None):
    def card(number: str) -> FailureCard:
        return FailureCard(
            title=f"Needs {number}",
            subsystem_category=SubsystemCategory.bms,
            failure_mode=FailureMode.degradation,
            estimated_total_cost=Decimal(1000),
            required_parts=[{"part_name": "Board", "part_number": number}],
        )

    cards = [await card(number).insert() for number in ("EMPTY-1", "FULL-1", "UNKNOWN-1")]
    for number, pieces in (("EMPTY-1", 0), ("FULL-1", 4)):
        await Part(site_id="site_1", part_name="Board", part_number=number, quantity_on_hand=pieces).insert()

    problem = await pose({one.id: 0.3 for one in cards} | {"fc_gone": 0.05}, 0.05, variant="||", site_id="site_1")

    lacking, there, foreign = problem.planner.repair_costs
    assert lacking == 1000 + economics().out_of_stock
    assert there == foreign == 1000
    # A card that is gone leaves its share to the unknown failure.
    assert problem.planner.prior[-1] == pytest.approx(0.1)
