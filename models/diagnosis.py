"""Guided diagnosis: a session with its steps, and what confirmed repairs taught about tests."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.record import ActorRef, Record
from models.types import Measurement, Name, Share, ShortText, Strict, UtcDatetime


class DiagnosisStatus(StrEnum):
    """`concluded`: no further test is worth its cost, the proposal says what to do; an undone answer opens it again."""

    open = "open"
    concluded = "concluded"
    stopped = "stopped"


class ProposalKind(StrEnum):
    test = "test"
    confirmed = "confirmed"
    repair = "repair"
    unknown = "unknown"


class CheckAnswer(StrEnum):
    yes = "yes"
    no = "no"
    cannot_do = "cannot_do"
    skipped = "skipped"


class StepKind(StrEnum):
    check = "check"
    repair = "repair"


class Candidate(Strict):
    """A card that may explain the ticket, with its probability from the match, and where it stands now."""

    card_id: Id
    title: str
    version: int
    prior: Share
    probability: Share
    ruled_out: bool = False
    ruled_out_by: list[int] = Field(default=[], description="Numbers of the steps that speak most against it.")
    times_ruled_out: int = Field(default=0, description="On this vehicle variant, in earlier repairs.")


class BeliefShift(Strict):
    """What an answer does to a card, or to the unknown failure (`card_id` null)."""

    card_id: Id | None
    before: Share
    after: Share


class Prospect(Strict):
    """One answer that the proposed check may have."""

    answer: CheckAnswer
    chance: Share
    shifts: list[BeliefShift] = []
    rules_out: list[Id] = []


class Check(Strict):
    """A test as one card's tree words it. Answers and measurements are in the sense of this question."""

    test_id: Id
    card_id: Id
    node_id: Name
    question: str
    check_action: str
    expected_outcome: str = ""
    tools_required: list[str] = []
    safety_warnings: list[str] = []
    duration_minutes: int = 0
    inverted: bool = Field(default=False, description="Yes to this question is no of the shared test.")
    also_asked_by: list[Id] = Field(default=[], description="Other candidates whose trees ask the same.")


class Proposal(Strict):
    """What to do next, and why. Costs in the organisation's currency, expected values until the vehicle is repaired."""

    kind: ProposalKind
    reason: str
    card_id: Id | None = None
    check: Check | None = None
    prospects: list[Prospect] = []
    cost_of_step: float = 0.0
    expected_cost: float = Field(description="If this is done and the rest goes as it does on average.")
    cost_without_tests: float = Field(description="If one repaired or handed over right away.")


class SessionStep(Strict):
    """One check that was answered, or one repair that was tried. Undone steps stay, marked."""

    number: int
    kind: StepKind
    card_id: Id
    check: Check | None = None
    answer: CheckAnswer | None = None
    worked: bool | None = Field(default=None, description="Of a repair.")
    measurement: Measurement | None = None
    note: ShortText = ""
    reason: str = Field(default="", description="Why it was proposed; empty where the technician chose it.")
    shifts: list[BeliefShift] = []
    rules_out: list[Id] = []
    answered_by: ActorRef
    answered_at: UtcDatetime
    undone_at: UtcDatetime | None = None


class ReadWarning(Strict):
    """A safety warning that somebody has acknowledged, as it read then."""

    warning: ShortText
    by: ActorRef
    at: UtcDatetime


class DiagnosisSession(Record):
    """One line of enquiry on a ticket; there may be several. What is shown is stored: reading computes nothing."""

    id: str = Field(default_factory=lambda: new_id("diagnosis"))
    ticket_id: str
    site_id: str | None = None
    organisation_id: str | None = None
    resolution_round: int
    variant: str = Field(description="Vehicle variant, `make|model|year`, lower case.")
    status: DiagnosisStatus = DiagnosisStatus.open
    started_by: ActorRef
    scorer: str
    candidates: Annotated[list[Candidate], Field(max_length=100)]
    unknown_prior: Share
    unknown_probability: Share
    tools_missing: list[Name] = []
    warnings_read: list[ReadWarning] = []
    steps: list[SessionStep] = []
    proposal: Proposal
    stop_reason: str = ""
    ended_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "diagnosis_sessions"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("ticket_id", ASCENDING), ("_id", DESCENDING)]),
        ]


class OverrideReason(StrEnum):
    """Why somebody relies on a card although a cheap check that would decide was not made."""

    made = "made"
    plain_to_see = "plain_to_see"
    not_possible = "not_possible"
    not_safe = "not_safe"
    no_time = "no_time"
    other = "other"


class PassedCheck(Strict):
    """A check that somebody went on without."""

    test_id: Id
    card_id: Id
    question: str


class CheckOverride(Record):
    """Somebody resolved a ticket by a card, or took an expensive part for it, without the checks that would decide."""

    id: str = Field(default_factory=lambda: new_id("override"))
    ticket_id: str
    site_id: str | None = None
    resolution_round: int
    card_id: str = Field(description="The card relied on.")
    checks: list[PassedCheck]
    usage_id: str | None = Field(default=None, description="The part that was taken; none where it was resolved.")
    reason: OverrideReason | None = Field(default=None, description="Null where a client acknowledged without one.")
    note: ShortText = ""
    by: ActorRef

    class Settings(Record.Settings):
        name = "check_overrides"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("ticket_id", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
        ]


class CheckOutcome(Record):
    """What one test answered in one passage of a ticket whose cause was confirmed: the ledger of the likelihoods."""

    id: str = Field(default_factory=lambda: new_id("test_outcome"))
    test_id: str
    card_id: str
    ticket_id: str
    resolution_round: int
    variant: str
    said_yes: bool = Field(description="In the test's own sense.")
    occurred_at: UtcDatetime
    event_id: str
    taken_back_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "test_outcomes"
        indexes = [
            IndexModel(
                [("ticket_id", ASCENDING), ("resolution_round", ASCENDING), ("test_id", ASCENDING)], unique=True
            ),
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
        ]


class CheckLikelihood(Record):
    """Decayed counts of a test's answers where a card was the cause; `id` is `<card id>|<test id>|<variant>`.

    The card id and the variant may be "*": all of them. Sums of weights as of `as_of`.
    """

    card_id: str
    test_id: str
    variant: str
    yes: float = 0.0
    no: float = 0.0
    outcomes: int = 0
    as_of: UtcDatetime

    class Settings(Record.Settings):
        name = "test_likelihoods"
        indexes = [IndexModel([("card_id", ASCENDING), ("variant", ASCENDING), ("test_id", ASCENDING)])]
