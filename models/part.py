"""Parts in stock and their use on tickets."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.enums import PartUsageStatus
from models.record import ActorRef, Record
from models.types import Line, Money, Name, Strict, UtcDatetime

MAX_QUANTITY = 1_000_000
Quantity = Annotated[int, Field(ge=0, le=MAX_QUANTITY)]


class PartContent(Strict):
    part_name: Line
    part_number: Line
    category: Name = ""
    unit_cost: Money | None = None


class StockChange(Strict):
    """Pieces counted in or out by hand, and why."""

    timestamp: UtcDatetime
    quantity: int = Field(description="Added; negative where taken away.")
    reason: Line
    updated_by: ActorRef


class Part(Record, PartContent):
    """A stocked part at one site. `quantity_on_hand` never falls below zero; allocated pieces have left it."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("part"))
    site_id: str
    quantity_on_hand: Quantity = 0
    quantity_allocated: Quantity = 0
    stock_changes: list[StockChange] = Field(default=[], description="The last hundred.")

    class Settings(Record.Settings):
        name = "parts"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("_id", ASCENDING), ("quantity_on_hand", ASCENDING)]),
            IndexModel([("site_id", ASCENDING), ("part_number", ASCENDING)], unique=True),
            IndexModel([("site_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("part_number", ASCENDING), ("_id", DESCENDING)]),
        ]


class PartUsage(Record):
    """One part on one ticket: allocated from stock, then used, returned or damaged."""

    id: str = Field(default_factory=lambda: new_id("usage"))
    ticket_id: str
    action_id: str | None = None
    site_id: str | None = None
    part_id: str
    part_name: str
    part_number: str = ""
    category: str = ""
    quantity_allocated: Quantity
    quantity_used: Quantity = 0
    quantity_returned: Quantity = 0
    quantity_damaged: Quantity = 0
    unit_cost: Money | None = None
    total_cost: Money | None = None
    failure_card_id: Id | None = None
    was_recommended: bool = False
    is_substitute: bool = False
    substitute_for: str = ""
    status: PartUsageStatus = PartUsageStatus.allocated
    allocated_at: UtcDatetime | None = None
    used_at: UtcDatetime | None = None
    returned_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "part_usage"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("ticket_id", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("part_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_id", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("failure_card_id", ASCENDING), ("_id", DESCENDING)]),
        ]
