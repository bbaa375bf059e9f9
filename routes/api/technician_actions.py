"""Technician actions: the reasoning of a repair."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import ConfigDict, Field

from app.ids import Id
from models.enums import ResolutionOutcome
from models.technician_action import (
    ActionContent,
    ActionPart,
    AttemptedDiagnostic,
    RejectedHypothesis,
    TechnicianAction,
)
from models.types import Measurement
from routes.api.deps import PageQuery
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.diagnosis.guided import drafts, sessions
from services.repairs import actions

router = api_router("/efi/technician-actions", tag="technician actions")


class NewAction(ActionContent):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "ticket_id": "tkt_0v7k3m2x9qd4hz6t1b8n",
                    "attempted_diagnostics": [
                        {
                            "hypothesis": "Charger derates for heat",
                            "check_performed": "Measured pack temperature while charging",
                            "result": "31 °C, within limits",
                            "confirmed": False,
                            "measurements": [{"quantity": "pack temperature", "value": 31.0, "unit": "°C"}],
                        }
                    ],
                    "rejected_hypotheses": [
                        {"hypothesis": "Charger fault", "reason_rejected": "Same with a second charger"}
                    ],
                    "failure_card_used": "fc_0v7k3m2x9qd4hz6t1b8n",
                    "failure_card_helpful": True,
                    "failure_card_accuracy_rating": 4,
                    "resolution_outcome": "success",
                    "issue_resolved": True,
                    "started_at": "2026-01-12T09:30:00Z",
                    "completed_at": "2026-01-12T11:05:00Z",
                }
            ]
        },
    )

    technician_id: Id | None = Field(default=None, description="On whose behalf, for admins; the caller by default.")


class ActionOut(Out):
    action_id: str = Field(validation_alias="id")
    ticket_id: str
    diagnosis_session_id: str | None
    technician_id: str
    technician_name: str
    site_id: str | None
    resolution_round: int = Field(description="Which passage of the ticket it belongs to; a revisit adds one.")
    diagnostic_steps_performed: list[str]
    attempted_diagnostics: list[AttemptedDiagnostic]
    rejected_hypotheses: list[RejectedHypothesis]
    observations: list[str]
    measurements: list[Measurement]
    photos: list[str]
    diagnostic_time_minutes: int
    failure_cards_suggested: list[str]
    failure_cards_viewed: list[str]
    failure_card_used: str | None
    failure_card_helpful: bool | None
    failure_card_accuracy_rating: int | None
    failure_card_modifications: list[str]
    resolution_steps_followed: list[str]
    parts_used: list[ActionPart]
    tools_used: list[str]
    resolution_time_minutes: int
    resolution_outcome: ResolutionOutcome
    issue_resolved: bool
    new_issue_found: bool
    escalation_reason: str
    new_failure_discovered: bool
    new_failure_description: str
    new_failure_root_cause: str
    new_failure_resolution: str
    suggest_new_card: bool
    technician_notes: str
    difficulty_rating: int | None
    documentation_quality_rating: int | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime


async def _load(action_id: Annotated[Id, Path()]) -> TechnicianAction:
    return await actions.get(action_id)


@router.post("", status_code=201, responses=problems(404, 409))
async def record_action(body: NewAction) -> ActionOut:
    """Record what was done on a ticket. It starts a ticket that is still open; a discovery becomes a draft card.

    With `diagnosis_session_id` its checks and what they ruled out are taken over.
    """
    content: ActionContent = body
    if body.diagnosis_session_id is not None:
        content = drafts.filled(body, await sessions.get(body.diagnosis_session_id))
    return ActionOut.model_validate(await actions.record(content, technician_id=body.technician_id))


@router.get("")
async def list_actions(
    page: PageQuery,
    ticket_id: Id | None = None,
    technician_id: Id | None = None,
    card_id: Id | None = None,
) -> PageOut[ActionOut]:
    """Newest first; a technician sees the actions at their sites."""
    found = await actions.list_actions(
        ticket_id=ticket_id, technician_id=technician_id, card_id=card_id, **page.as_arguments()
    )
    return PageOut[ActionOut].of(found)


@router.get("/{action_id}", responses=problems(404))
async def get_action(action: Annotated[TechnicianAction, Depends(_load)]) -> ActionOut:
    return ActionOut.model_validate(action)
