"""For those who run the service: is it alive, is it ready, how does it do."""

from typing import Annotated, Literal

from fastapi import Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from routes.api.http import ApiRoute
from routes.capability import CapabilityRouter

router = CapabilityRouter(tags=["operations"], route_class=ApiRoute)


class AliveOut(BaseModel):
    status: Literal["alive"] = "alive"


class ConditionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    status: Literal["ok", "off", "failing"] = Field(description="`off` is a setting, `failing` is not.")
    detail: str


class ReadyOut(BaseModel):
    status: Literal["ready", "not_ready"]
    parts: dict[str, ConditionOut] = Field(
        examples=[
            {
                "store": {"status": "ok", "detail": "embedded (secantusd-rs)"},
                "mail": {"status": "off", "detail": "EFI_SMTP_HOST is not set"},
            }
        ]
    )


async def _conditions(request: Request) -> dict[str, ConditionOut]:
    found = await request.app.state.service.conditions()
    return {name: ConditionOut.model_validate(condition) for name, condition in found.items()}


@router.get("/livez")
async def livez() -> AliveOut:
    """The process answers. Nothing else is looked at."""
    return AliveOut()


@router.get("/readyz", responses={503: {"model": ReadyOut, "description": "A part of the service is failing"}})
async def readyz(parts: Annotated[dict[str, ConditionOut], Depends(_conditions)], response: Response) -> ReadyOut:
    """Whether this replica can do its work, part by part, and what is off and why."""
    ready = all(part.status != "failing" for part in parts.values())
    if not ready:
        response.status_code = 503
    return ReadyOut(status="ready" if ready else "not_ready", parts=parts)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The figures"}},
)
async def metrics() -> Response:
    """Figures in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
