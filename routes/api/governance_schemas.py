"""What the routes of flags, proposals, health and credit take and show."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from app.ids import Id
from models.enums import FailureCardStatus, SubsystemCategory
from models.failure_card import CardContent
from models.governance import DueNote, DueReason, FlagKind, FlagReport, FlagStatus, ProposalStatus
from models.record import ActorRef
from models.types import ShortText, Strict, UtcDatetime
from routes.api.card_schemas import CARD_EXAMPLE, CardBody, DifferenceOut, Reason
from routes.api.override_schemas import PassedOverOut
from routes.api.schemas import Out

Version = Annotated[int, Field(ge=1, le=1_000_000)]


class FlagIn(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "outdated", "text": "Boards of 2025 lack R14", "card_version": 2}]}
    )

    kind: FlagKind
    text: Reason
    card_version: Version | None = Field(default=None, description="That was read; by default the present one.")
    ticket_id: Id | None = None


class Resolving(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 3, "text": "Step 2 names the new board"}]})

    version: Version = Field(description="The version of the card that put it right.")
    text: ShortText = ""


class Dismissal(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "R14 is there, under the cover"}]})

    reason: Reason


class FlagOut(Out):
    flag_id: str = Field(validation_alias="id")
    failure_id: str = Field(validation_alias="card_id")
    raised_on: str = Field(description="The card it was raised on: another one where cards were merged.")
    card_version: int
    kind: FlagKind
    status: FlagStatus
    count: int = Field(validation_alias="report_count", description="Reports gathered in it.")
    reports: list[FlagReport] = Field(description="The latest 50, oldest first.")
    resolution: str
    resolution_version: int | None
    closed_by: ActorRef | None
    closed_at: UtcDatetime | None
    gathered_into: str | None
    created_at: UtcDatetime
    updated_at: UtcDatetime


class FlagReceived(Out):
    """What whoever raises a flag is told: what others said is for those who work with the card."""

    flag_id: str = Field(validation_alias="id")
    failure_id: str = Field(validation_alias="card_id")
    kind: FlagKind
    status: FlagStatus
    count: int = Field(validation_alias="report_count", description="Reports gathered in it.")


class ProposalIn(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"content": CARD_EXAMPLE, "reason": "R14 is gone", "base_version": 2}]}
    )

    content: CardBody = Field(description="The whole card as it should read.")
    reason: Reason
    base_version: Version | None = Field(default=None, description="It was made out of; by default the present one.")


class Acceptance(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Checked on two boards"}]})

    content: CardBody | None = Field(
        default=None, description="What is to stand, where card and proposal changed the same field."
    )
    reason: ShortText = ""


class ProposalLine(Out):
    proposal_id: str = Field(validation_alias="id")
    flag_id: str
    failure_id: str = Field(validation_alias="card_id")
    base_version: int
    reason: str
    proposed_by: ActorRef
    status: ProposalStatus
    decided_by: ActorRef | None
    decided_at: UtcDatetime | None
    decision_reason: str
    resulting_version: int | None
    created_at: UtcDatetime


class ThreeWayOut(Out):
    field: str
    base: Any = None
    present: Any = None
    proposed: Any = None
    conflict: bool = Field(description="Both changed this field of the card, and not alike.")


class ComparisonOut(Out):
    present_version: int
    differences: list[DifferenceOut] = Field(description="From the present card to the proposal.")
    moved_on: bool = Field(description="The card has changed since the version that the proposal was made out of.")
    lines: list[ThreeWayOut] = Field(description="Then: what either changed since.")
    conflicts: list[str] = Field(description="Fields that need an expert's content to be accepted.")


class ProposalOut(ProposalLine):
    content: CardContent
    comparison: ComparisonOut | None = Field(description="With the card as it is; null once it has been decided.")


class ReviewedByUseOut(Out):
    confirmations: int = Field(description="Repairs by the card that worked.")
    technicians: int = Field(description="So many different people confirmed it.")
    sites: int = Field(description="In so many workshops.")
    last_confirmed_at: UtcDatetime | None
    version_confirmed: int | None
    changed_since: list[str] = Field(description="Fields changed after the last confirmation.")


class CardHealthOut(Out):
    failure_id: str
    reviewed_by_use: ReviewedByUseOut
    last_reviewed_at: UtcDatetime | None
    open_flags: int
    due: bool = Field(description="As of the latest round, minutes ago at most.")
    notes: list[DueNote] = Field(description="Why, the most pressing first.")
    passed_over: PassedOverOut


class DueCardOut(Out):
    failure_id: str = Field(validation_alias="id")
    title: str
    subsystem_category: SubsystemCategory
    notes: list[DueNote] = Field(description="Why, the most pressing first.")


class WaitingOut(Out):
    drafts: int
    median_age_hours: float | None
    oldest_age_hours: float | None


class HealthSummaryOut(Out):
    generated_at: UtcDatetime
    since: UtcDatetime
    cards: dict[FailureCardStatus, int]
    due: int
    due_by_reason: dict[DueReason, int]
    flags_open: int
    proposals_open: int
    waiting: WaitingOut = Field(description="Drafts that wait for an expert.")
    resolved_tickets: int = Field(description="In the period.")
    linked_tickets: int = Field(description="Of these, those that named a card.")
    coverage: float | None = Field(description="Linked / resolved; null without any.")
    cards_used: int = Field(description="In the period.")
    uses: int
    reuse_rate: float | None = Field(description="Share of approved cards that were used in the period.")
    discoveries_approved: int
    median_approval_hours: float | None = Field(description="From discovery to approval, of those.")


class CreditOut(Out):
    cards_authored: int
    cards_approved: int
    proposals_accepted: int
    flags_that_led_to_a_fix: int
    times_helped: int = Field(description="Repairs by others that worked with what this person wrote.")
    places_helped: int = Field(description="Workshops in which that happened.")


class SiteCreditOut(Out):
    site_id: str
    figures: CreditOut | None = Field(description="Null where fewer than five people contributed.")
