"""Parts in stock, site by site."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response
from pydantic import ConfigDict, Field

from app.ids import Id
from models.part import MAX_QUANTITY, Part, PartContent, Quantity, StockChange
from models.types import Line, Money, Name, Strict
from routes.api.deps import IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.repairs import stock

router = api_router("/parts", tag="parts")


class NewPart(PartContent):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "part_name": "HV fuse 125 A",
                    "part_number": "FUS-125",
                    "category": "battery",
                    "unit_cost": "1450.00",
                    "site_id": "site_0v7k3m2x9qd4hz6t1b8n",
                    "quantity_on_hand": 12,
                }
            ]
        },
    )

    site_id: Id
    quantity_on_hand: Quantity = 0


class StockAdjustment(Strict):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"quantity": 20, "reason": "Delivery note 4711"}]}
    )

    quantity: int = Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY, description="Added; negative takes away. Never zero.")
    reason: Line


class PartOut(Out):
    part_id: str = Field(validation_alias="id")
    site_id: str
    part_name: str
    part_number: str
    category: str
    unit_cost: Money | None
    quantity_on_hand: int
    quantity_allocated: int = Field(description="Taken for tickets, and not yet used, returned or damaged.")
    stock_changes: list[StockChange] = Field(description="Made by hand; the last hundred.")
    created_at: datetime
    updated_at: datetime


async def _load(part_id: Annotated[Id, Path()]) -> Part:
    return await stock.load(part_id)


CurrentPart = Annotated[Part, Depends(_load)]


@router.post("", status_code=201, responses=problems(409))
async def add_part(body: NewPart, response: Response) -> PartOut:
    """Stock a new part at a site."""
    return _shown(await stock.add_part(body, site_id=body.site_id, quantity=body.quantity_on_hand), response)


@router.get("")
async def list_parts(page: PageQuery, site_id: Id | None = None, part_number: Name | None = None) -> PageOut[PartOut]:
    """Newest first; a technician sees the stock of their sites."""
    return PageOut[PartOut].of(await stock.list_parts(site_id=site_id, part_number=part_number, **page.as_arguments()))


@router.get("/{part_id}", responses=problems(404))
async def get_part(part: CurrentPart, response: Response) -> PartOut:
    return _shown(part, response)


@router.put("/{part_id}", responses=problems(404, 409, 412, 428))
async def replace_part(part: CurrentPart, body: PartContent, revision: IfMatch, response: Response) -> PartOut:
    """Change name, number, category or price. Quantities change by adjustment only."""
    return _shown(await stock.edit(part, body, revision=revision), response)


@router.post("/{part_id}/adjust", responses=problems(404, 409))
async def adjust_part(part: CurrentPart, body: StockAdjustment, response: Response) -> PartOut:
    """Count pieces in or out: a delivery, a stock-taking, a loss. Never below zero."""
    return _shown(await stock.adjust(part, body.quantity, body.reason), response)


def _shown(part: Part, response: Response) -> PartOut:
    etag(response, part.revision)
    return PartOut.model_validate(part)
