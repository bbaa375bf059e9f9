"""Phrases that recur in tickets and that the symptom library does not know: waiting for an expert's decision."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from models.enums import SubsystemCategory
from models.record import Expiry, Record
from models.types import Strict, UtcDatetime


class CandidateStatus(StrEnum):
    gathering = "gathering"
    open = "open"
    accepted = "accepted"
    merged = "merged"
    dropped = "dropped"


class Spelling(Strict):
    """One way in which the phrase is written, and in how many tickets."""

    text: str
    tickets: int


class SymptomCandidate(Record):
    """One phrase; `id` is a hash of its terms. Until enough customers have used it, it is not stored in words: what
    only one of them says may be a name."""

    status: CandidateStatus = CandidateStatus.gathering
    key: str = Field(default="", description="Its terms in alphabetical order, once it is open.")
    spellings: Annotated[list[Spelling], Field(max_length=5)] = []
    tickets: int = Field(default=0, description="How many tickets contain it.")
    voices: list[str] = Field(default=[], description="Hashes of the customers who have used it, until it is open.")
    ticket_ids: list[str] = Field(default=[], description="The latest tickets that contain it.")
    subsystems: dict[SubsystemCategory, int] = Field(default={}, description="Tickets by the subsystem they are about.")
    within: list[str] = Field(default=[], description="Ids of the shorter phrases that it contains.")
    first_seen: UtcDatetime
    last_seen: UtcDatetime
    symptom_code: str | None = Field(default=None, description="The symptom that it became, or is a wording of.")
    decided_by: str | None = None
    decided_at: UtcDatetime | None = None
    reason: str = ""
    expires_at: UtcDatetime | None = Field(default=None, description="Forgotten then, unless it is seen before.")

    class Settings(Record.Settings):
        name = "symptom_candidates"
        expiry = Expiry()
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("tickets", DESCENDING)]),
            IndexModel([("within", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING), ("_id", ASCENDING)]),
        ]
