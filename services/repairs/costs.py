"""What a ticket cost: the parts that were fitted, and labour. Exact sums, never floats."""

from decimal import Decimal
from typing import Any

from app.errors import Invalid
from models.part import PartUsage
from models.ticket import UsedPart

LARGEST = Decimal("999999999999.99")
"""What `models.types.Money` can hold."""


def total(amounts: list[Decimal], field: str) -> Decimal | None:
    """The exact sum, None of nothing. Raises Invalid, naming `field`, if it is more than can be stored."""
    if not amounts:
        return None
    amount = sum(amounts, Decimal("0.00"))
    if amount > LARGEST:
        raise Invalid.field(field, f"makes a sum above {LARGEST}", amount)
    return amount


async def summary(ticket_id: str, labor_cost: Decimal | None) -> dict[str, Any]:
    """The ticket's fields `parts_used`, `parts_cost` and `actual_cost` as its part usage has them now.

    A part without a known price counts nothing. `actual_cost` is parts plus labour; it is None while neither is known.
    """
    usages = await PartUsage.find({"ticket_id": ticket_id}).sort([("_id", 1)]).to_list()
    fitted = [usage for usage in usages if usage.quantity_used]
    priced = [usage.total_cost for usage in fitted if usage.total_cost is not None]
    parts_cost = total(priced, "parts_cost")
    return {
        "parts_used": [
            UsedPart(
                usage_id=usage.id,
                part_name=usage.part_name,
                part_number=usage.part_number,
                quantity=usage.quantity_used,
                total_cost=usage.total_cost,
            )
            for usage in fitted
        ],
        "parts_cost": parts_cost,
        "actual_cost": total([cost for cost in (parts_cost, labor_cost) if cost is not None], "actual_cost"),
    }
