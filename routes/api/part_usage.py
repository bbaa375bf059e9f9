"""Parts on tickets: allocated from stock, then used, returned or damaged."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response
from pydantic import ConfigDict, Field

from app.ids import Id
from models.enums import PartUsageStatus
from models.part import PartUsage
from models.types import Money, Name, Strict
from routes.api.deps import PageQuery, etag
from routes.api.http import api_router
from routes.api.override_schemas import Overriding
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.diagnosis.guided import overrides
from services.repairs import usage
from services.repairs.usage import Settling

router = api_router("/efi/part-usage", tag="parts")

Pieces = Annotated[int, Field(ge=1, le=1000)]


class Allocation(Overriding):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"ticket_id": "tkt_0v7k3m2x9qd4hz6t1b8n", "part_id": "prt_0v7k3m2x9qd4hz6t1b8n", "quantity": 2}
            ]
        },
    )

    ticket_id: Id
    part_id: Id
    quantity: Pieces = 1
    substitute_for: Name = Field(default="", description="The part it replaces, where no card of the ticket says so.")


class SettledPieces(Strict):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"quantity": 1}, {}]})

    quantity: Pieces | None = Field(default=None, description="All that are outstanding, if left out.")


class PartUsageOut(Out):
    usage_id: str = Field(validation_alias="id")
    ticket_id: str
    action_id: str | None
    site_id: str | None
    part_id: str
    part_name: str
    part_number: str
    category: str
    quantity_allocated: int
    quantity_used: int
    quantity_returned: int
    quantity_damaged: int
    unit_cost: Money | None = Field(description="At the time of allocation.")
    total_cost: Money | None = Field(description="Of the pieces used.")
    failure_card_id: str | None = Field(description="The card that asks for the part, or for what it replaces.")
    was_recommended: bool
    is_substitute: bool
    substitute_for: str
    status: PartUsageStatus = Field(description="`allocated` while pieces are outstanding.")
    allocated_at: datetime | None
    used_at: datetime | None
    returned_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def _load(usage_id: Annotated[Id, Path()]) -> PartUsage:
    return await usage.load(usage_id)


CurrentUsage = Annotated[PartUsage, Depends(_load)]


@router.post("", status_code=201, responses=problems(404, 409))
async def allocate_part(body: Allocation, response: Response) -> PartUsageOut:
    """Take pieces from stock for a ticket.

    An expensive part is refused once (`check_missed`) while a cheap check that decides about it has not been made.
    With a reason it goes on, and the reason is kept.
    """
    taken = await overrides.allocate(
        body.ticket_id, body.part_id, body.quantity, body.override(), substitute_for=body.substitute_for
    )
    return _shown(taken, response)


@router.get("")
async def list_part_usage(
    page: PageQuery,
    ticket_id: Id | None = None,
    part_id: Id | None = None,
    site_id: Id | None = None,
    status: PartUsageStatus | None = None,
    card_id: Id | None = None,
) -> PageOut[PartUsageOut]:
    """Newest first; a technician sees what happened at their sites."""
    found = await usage.list_usage(
        ticket_id=ticket_id,
        part_id=part_id,
        site_id=site_id,
        status=status,
        card_id=card_id,
        **page.as_arguments(),
    )
    return PageOut[PartUsageOut].of(found)


@router.get("/{usage_id}", responses=problems(404))
async def get_part_usage(taken: CurrentUsage, response: Response) -> PartUsageOut:
    return _shown(taken, response)


@router.post("/{usage_id}/use", responses=problems(404, 409))
async def use_part(taken: CurrentUsage, body: SettledPieces, response: Response) -> PartUsageOut:
    """The pieces were fitted; the ticket is charged with them."""
    return _shown(await usage.settle(taken.id, Settling.used, body.quantity), response)


@router.post("/{usage_id}/return", responses=problems(404, 409))
async def return_part(taken: CurrentUsage, body: SettledPieces, response: Response) -> PartUsageOut:
    """The pieces went back to stock."""
    return _shown(await usage.settle(taken.id, Settling.returned, body.quantity), response)


@router.post("/{usage_id}/damage", responses=problems(404, 409))
async def damage_part(taken: CurrentUsage, body: SettledPieces, response: Response) -> PartUsageOut:
    """The pieces were broken before use; the ticket is not charged with them."""
    return _shown(await usage.settle(taken.id, Settling.damaged, body.quantity), response)


def _shown(taken: PartUsage, response: Response) -> PartUsageOut:
    etag(response, taken.revision)
    return PartUsageOut.model_validate(taken)
