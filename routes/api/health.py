"""For those who run the service: is it alive, is it ready, how does it do."""


from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from routes.api.http import ApiRoute

router = APIRouter(tags=["operations"], route_class=ApiRoute)


class AliveOut(BaseModel):
    status: str = "alive"


@router.get("/livez")
async def livez() -> AliveOut:
    """The process answers. Nothing else is looked at."""
    return AliveOut()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Figures in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
