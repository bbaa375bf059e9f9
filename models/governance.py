"""Keeping knowledge right: flags on cards, proposed edits, and which cards are due for review."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.enums import SubsystemCategory
from models.failure_card import CardContent
from models.record import ActorRef, Record
from models.types import ShortText, Strict, UtcDatetime


class FlagKind(StrEnum):
    wrong = "wrong"
    outdated = "outdated"
    unclear = "unclear"
    incomplete = "incomplete"
    duplicate = "duplicate"
    modified_in_use = "modified_in_use"


class FlagStatus(StrEnum):
    open = "open"
    resolved = "resolved"
    dismissed = "dismissed"


class FlagReport(Strict):
    """What one person said about a card, or what their repair by it said."""

    at: UtcDatetime
    by: ActorRef
    text: ShortText = ""
    card_version: int
    ticket_id: str | None = None
    action_id: str | None = None


class CardFlag(Record):
    """Something is the matter with a card. Reports of the same kind gather here while it is open: a card has at most
    one open flag of each kind."""

    id: str = Field(default_factory=lambda: new_id("flag"))
    card_id: str = Field(description="The card it is about today: it follows when cards are merged.")
    raised_on: str = Field(description="The card it was raised on.")
    card_version: int = Field(description="The version that the first report is about.")
    kind: FlagKind
    status: FlagStatus = FlagStatus.open
    report_count: int = Field(default=1, description="Reports gathered; the latest of them are kept.")
    reports: list[FlagReport]
    reporter_ids: list[str] = Field(description="Everybody who reported it, each once: to tell them, and for credit.")
    resolution: ShortText = ""
    resolution_version: int | None = Field(default=None, description="The version of the card that put it right.")
    closed_by: ActorRef | None = None
    closed_at: UtcDatetime | None = None
    gathered_into: str | None = Field(default=None, description="The survivor's flag that took its reports over.")

    class Settings(Record.Settings):
        name = "card_flags"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("reporter_ids", ASCENDING), ("_id", DESCENDING)]),
        ]


class ProposalStatus(StrEnum):
    open = "open"
    accepted = "accepted"
    declined = "declined"
    withdrawn = "withdrawn"
    superseded = "superseded"


class CardProposal(Record):
    """An edit that somebody proposes to settle a flag, made out of one version of the card."""

    id: str = Field(default_factory=lambda: new_id("proposal"))
    flag_id: str
    card_id: str = Field(description="The card it would change today: it follows when cards are merged.")
    base_card_id: str
    base_version: int
    content: CardContent
    reason: ShortText
    proposed_by: ActorRef
    proposer_id: str
    status: ProposalStatus = ProposalStatus.open
    decided_by: ActorRef | None = None
    decided_at: UtcDatetime | None = None
    decision_reason: ShortText = ""
    resulting_version: int | None = None

    class Settings(Record.Settings):
        name = "card_proposals"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("flag_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("proposer_id", ASCENDING), ("_id", DESCENDING)]),
        ]


class DueReason(StrEnum):
    """Why somebody should read a card again."""

    flagged = "flagged"
    falling = "falling"
    rejected = "rejected"
    firmware = "firmware"
    age = "age"


class DueNote(Strict):
    """One reason with what it rests on, and since when it holds."""

    reason: DueReason
    detail: ShortText
    since: UtcDatetime


class CardHealth(Record):
    """Whether a card is due for review; `id` is the card's. Derived by the timer from what cards, ledger and flags say,
    but for `rejected_at_review`."""

    id: str = Field(default_factory=lambda: new_id("card"))
    title: str = ""
    subsystem_category: SubsystemCategory = SubsystemCategory.other
    due: bool = False
    slot: float = Field(default=0.0, description="A hash of the id, 0 to 1: a range of it holds few rows.")
    due_reasons: list[DueReason] = []
    notes: list[DueNote] = []
    check_at: UtcDatetime | None = Field(default=None, description="When to look again, even if nothing happens.")
    firmware_models: list[str] = Field(
        default=[], description="Models (`make|model`) for which the card names firmware versions."
    )
    rejected_at_review: int = Field(default=0, description="How often it had been ruled out when it was last reviewed.")

    class Settings(Record.Settings):
        name = "card_health"
        indexes = [
            IndexModel([("due", ASCENDING), ("slot", ASCENDING)]),
            IndexModel([("due_reasons", ASCENDING), ("slot", ASCENDING)]),
            IndexModel([("check_at", ASCENDING)]),
            IndexModel([("firmware_models", ASCENDING)]),
        ]


class FirmwareSighting(Record):
    """A firmware that tickets report for a model; `id` is `make|model|firmware`, lower case."""

    model: str = Field(description="`make|model`, lower case.")
    firmware: str
    tickets: int = 0
    established_at: UtcDatetime | None = Field(
        default=None, description="When so many tickets had reported it that it is no slip of the pen."
    )

    class Settings(Record.Settings):
        name = "firmware_sightings"
        indexes = [IndexModel([("model", ASCENDING)])]


class HealthProgress(Record):
    """How far the timer has followed the cards, and by which setting."""

    followed_until: UtcDatetime | None = None
    review_after_days: Annotated[int, Field(ge=1)]

    class Settings(Record.Settings):
        name = "health_progress"
