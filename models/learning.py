"""What repairs taught about a card: single outcomes, and the evidence they add up to."""

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.record import Record
from models.types import UtcDatetime


class CardOutcome(Record):
    """Whether one card's fix worked in one passage of one ticket. The ledger behind counts and evidence: at most one
    per card, ticket and passage, so that nothing counts twice."""

    id: str = Field(default_factory=lambda: new_id("outcome"))
    card_id: str
    ticket_id: str
    resolution_round: int
    action_ids: list[str]
    variant: str = Field(description="Vehicle variant, `make|model|year`, lower case.")
    technician_id: str | None = Field(default=None, description="Who repaired by the card last in the passage.")
    site_id: str | None = None
    firmware: str = Field(default="", description="Of the vehicle, as the ticket says.")
    success: bool
    reason: str
    score_change: float = Field(default=0.0, description="What it did to the score: less than a full step at 0 and 1.")
    occurred_at: UtcDatetime
    taken_back_at: UtcDatetime | None = Field(default=None, description="A revisit showed that it had not worked.")
    superseded_at: UtcDatetime | None = Field(
        default=None, description="Its card was merged with one used later in the same passage, whose outcome counts."
    )
    event_id: str

    class Settings(Record.Settings):
        name = "card_outcomes"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel(
                [("card_id", ASCENDING), ("ticket_id", ASCENDING), ("resolution_round", ASCENDING)], unique=True
            ),
            IndexModel([("ticket_id", ASCENDING), ("resolution_round", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("occurred_at", DESCENDING)]),
            IndexModel([("occurred_at", ASCENDING)]),
        ]


class CardEvidence(Record):
    """Decayed outcome counts of one card on one vehicle variant; `id` is `<card id>|<variant>`.

    `successes` and `failures` are sums of weights as of `as_of`; a later reader multiplies both by
    2 ** (-(t - as_of) / half-life).
    """

    card_id: str
    variant: str
    successes: float = 0.0
    failures: float = 0.0
    rejections: float = Field(default=0.0, description="Decayed count of technicians ruling the card out.")
    ruled_out: int = Field(default=0, description="Plain count of technicians ruling the card out.")
    outcomes: int = 0
    as_of: UtcDatetime

    class Settings(Record.Settings):
        name = "card_evidence"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("variant", ASCENDING)]),
        ]
