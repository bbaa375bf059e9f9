"""Guided diagnosis: what to check next on a ticket, why, and when to stop."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Depends, Path, Query, Response
from pydantic import ConfigDict, Field, model_validator

from app.ids import Id
from models.diagnosis import (
    Candidate,
    Check,
    CheckAnswer,
    DiagnosisSession,
    DiagnosisStatus,
    Proposal,
    ReadWarning,
    SessionStep,
)
from models.record import ActorRef
from models.types import Measurement, Name, ShortText, Strict
from routes.api.deps import OptionalIfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.diagnosis.guided import drafts, sessions
from services.diagnosis.guided.drafts import ActionDraft

router = api_router("/efi/diagnosis-sessions", tag="guided diagnosis")

TICKET = "tkt_0v7k3m2x9qd4hz6t1b8n"
TEST = "tst_3f2a9c0d5e6b7a8f9c0d"
CARD = "fc_0v7k3m2x9qd4hz6t1b8n"


def _examples(*bodies: dict[str, object]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(bodies)})


class NewSession(Strict):
    model_config = _examples({"ticket_id": TICKET, "tools_missing": ["Oscilloscope"]})

    ticket_id: Id
    tools_missing: Annotated[list[Name], Field(max_length=100, description="Tools that are not at hand.")] = []


class Answer(Strict):
    """An answer, a measurement that answers by itself, or both."""

    model_config = _examples(
        {"test_id": TEST, "answer": "no", "note": "Terminal tight"},
        {"test_id": TEST, "measurement": {"quantity": "resting spread", "value": 0.081, "unit": "V"}},
        {"test_id": TEST, "answer": "cannot_do", "note": "No lift free today"},
    )

    test_id: Id = Field(description="The proposed check's, or any other that a candidate's tree asks.")
    answer: CheckAnswer | None = Field(default=None, description="In the sense of the question as it is shown.")
    measurement: Measurement | None = None
    note: ShortText = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.answer is None and self.measurement is None:
            raise ValueError("send an answer, a measurement, or both")
        return self


class RepairResult(Strict):
    model_config = _examples({"card_id": CARD, "worked": True})

    card_id: Id
    worked: bool
    note: ShortText = ""


class Acknowledgement(Strict):
    model_config = _examples({}, {"test_id": TEST})

    test_id: Id | None = Field(default=None, description="The proposed check's, if left out.")


class Stopping(Strict):
    model_config = _examples({"reason": "Vehicle towed to another workshop"})

    reason: ShortText = ""


class ProposalOut(Proposal):
    """`check` is withheld while safety warnings are outstanding: acknowledge them first."""

    acknowledgement_required: bool
    safety_warnings: list[str] = Field(description="To be acknowledged before the check is shown.")
    check: Check | None = None

    @classmethod
    def of_session(cls, session: DiagnosisSession) -> Self:
        warnings = sessions.outstanding_warnings(session)
        fields = dict(session.proposal) | ({"check": None} if warnings else {})
        return cls(**fields, acknowledgement_required=bool(warnings), safety_warnings=warnings)


class SessionOut(Out):
    session_id: str
    ticket_id: str
    resolution_round: int
    status: DiagnosisStatus
    next_step: ProposalOut
    candidates: list[Candidate] = Field(description="As the match ranked them; `probability` is the present one.")
    unknown_probability: float = Field(description="That no candidate explains the ticket.")
    steps: list[SessionStep] = Field(description="All of them, undone ones too, oldest first.")
    tools_missing: list[str]
    warnings_read: list[ReadWarning] = Field(description="Safety warnings that were acknowledged, by whom and when.")
    started_by: ActorRef
    stop_reason: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class SessionSummary(Out):
    session_id: str = Field(validation_alias="id")
    ticket_id: str
    resolution_round: int
    status: DiagnosisStatus
    started_by: ActorRef
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


async def _load(session_id: Annotated[Id, Path()], revision: OptionalIfMatch) -> DiagnosisSession:
    session = await sessions.get(session_id)
    sessions.expect_revision(session, revision)
    return session


CurrentSession = Annotated[DiagnosisSession, Depends(_load)]
"""The session of the path, if the caller works at its site; 412 if they sent an If-Match and it has changed since."""


@router.post("", status_code=201, responses=problems(404, 409))
async def start_session(body: NewSession, response: Response) -> SessionOut:
    """Start from the match's probabilities; the answer holds the first step. A ticket may have several sessions."""
    return _shown(await sessions.start(body.ticket_id, tools_missing=body.tools_missing), response)


@router.get("", responses=problems(404))
async def list_sessions(page: PageQuery, ticket_id: Annotated[Id, Query()]) -> PageOut[SessionSummary]:
    """The sessions of a ticket, newest first."""
    return PageOut[SessionSummary].of(await sessions.list_sessions(ticket_id, **page.as_arguments()))


@router.get("/{session_id}", responses=problems(404, 412))
async def get_session(session: CurrentSession, response: Response) -> SessionOut:
    """Where the session stands; go on from here on any device."""
    return _shown(session, response)


@router.post("/{session_id}/acknowledge", responses=problems(404, 409, 412))
async def acknowledge_warnings(session: CurrentSession, body: Acknowledgement, response: Response) -> SessionOut:
    """Say that the safety warnings were read; the check is shown then."""
    return _shown(await sessions.acknowledge(session, body.test_id), response)


@router.post("/{session_id}/answers", responses=problems(404, 409, 412))
async def answer_check(session: CurrentSession, body: Answer, response: Response) -> SessionOut:
    """Answer a check; the answer holds what it ruled out and what to do next."""
    answered = await sessions.answer(session, body.test_id, body.answer, measurement=body.measurement, note=body.note)
    return _shown(answered, response)


@router.post("/{session_id}/repairs", responses=problems(404, 409, 412))
async def report_repair(session: CurrentSession, body: RepairResult, response: Response) -> SessionOut:
    """Say whether a repair helped. One that did not is evidence, and the session goes on."""
    told = await sessions.repaired(session, body.card_id, worked=body.worked, note=body.note)
    return _shown(told, response)


@router.post("/{session_id}/undo", responses=problems(404, 409, 412))
async def undo_step(session: CurrentSession, response: Response) -> SessionOut:
    """Take the last step back; it stays in the record, marked."""
    return _shown(await sessions.undo(session), response)


@router.post("/{session_id}/stop", responses=problems(404, 409, 412))
async def stop_session(session: CurrentSession, body: Stopping, response: Response) -> SessionOut:
    """End the session as it stands."""
    return _shown(await sessions.stop(session, body.reason), response)


@router.get("/{session_id}/action-draft", responses=problems(404, 412))
async def draft_action(session: CurrentSession) -> ActionDraft:
    """The session as fields of a technician's action. Naming `diagnosis_session_id` in an action does it by itself."""
    return drafts.draft_of(session)


def _shown(session: DiagnosisSession, response: Response) -> SessionOut:
    etag(response, session.revision)
    known = {name: getattr(session, name) for name in SessionOut.model_fields if hasattr(session, name)}
    return SessionOut(session_id=session.id, next_step=ProposalOut.of_session(session), **known)
