"""How a request goes on without a check that was missed, and what is shown of those who did."""

from datetime import datetime

from pydantic import Field

from app.errors import Invalid
from models.diagnosis import OverrideReason, PassedCheck
from models.record import ActorRef
from models.types import ShortText, Strict
from routes.api.schemas import Out
from services.diagnosis.guided.guard import Override


class Overriding(Strict):
    """Part of a request that is refused (`check_missed`) while a cheap check that would decide was not made."""

    acknowledge_missed_checks: bool = Field(
        default=False, description="Go on although a cheap check was not made. Better: say why."
    )
    missed_checks_reason: OverrideReason | None = Field(
        default=None, description="Why it is not made; acknowledges, too. With `other` the note is needed."
    )
    missed_checks_note: ShortText = Field(default="", description="The reason in words.")

    def override(self) -> Override | None:
        """None if nobody wants to go on without the check. Raises Invalid for another reason that is not told."""
        if self.missed_checks_reason is OverrideReason.other and not self.missed_checks_note:
            raise Invalid.field("missed_checks_note", "is needed with the reason other")
        if self.missed_checks_reason is None and not self.acknowledge_missed_checks:
            return None
        return Override(self.missed_checks_reason, self.missed_checks_note)


class OverrideOut(Out):
    """`usage_id` is the part that was taken; null where the ticket was resolved."""

    override_id: str = Field(validation_alias="id")
    card_id: str = Field(description="The card relied on.")
    checks: list[PassedCheck]
    usage_id: str | None
    reason: OverrideReason | None = Field(description="Null where none was given.")
    note: str
    by: ActorRef
    created_at: datetime


class QuestionPassedOut(Out):
    question: str
    times: int


class PassedOverOut(Out):
    """Counts, never names."""

    times: int = Field(description="How often people relied on the card without a check that would decide.")
    reasons: dict[str, int] = Field(description="The most frequent first; an empty name where none was given.")
    questions: list[QuestionPassedOut] = Field(description="Which checks, the most frequent first.")
