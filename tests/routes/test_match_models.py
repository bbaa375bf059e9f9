"""Models of the calibrated scorer over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app import clock, lifespan
from app.security import Role, acting_as, current_actor, system
from matching.scorers.calibrated import CalibratedModel
from models.match_model import MatchModel, ModelFigures, TrainingRecord
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.training import models
from tests.support import Api

PATH = "/api/efi/match-models"
BASE = CalibratedModel.shipped().version


@pytest.fixture
async def expert(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.expert)


@pytest.fixture
async def learnt(api: Api) -> MatchModel:
    """A model in service, and a later one that was refused."""
    now, figures = clock.now(), ModelFigures(log_loss=1.0, ndcg_10=0.8, decisions=300)
    record = TrainingRecord(
        decisions=300,
        known=200,
        none=100,
        decisions_hash="0" * 64,
        decided_from=now - timedelta(days=90),
        decided_until=now,
        embedder=None,
        learnt=["keyword"],
        chance=figures,
        prior=figures,
        after=figures,
    )
    parameters = models.parameters_of("decisions-1", "", {"none": CalibratedModel.shipped().variant(None)[1]})
    with acting_as(system("test")):
        model = MatchModel(id="decisions-1", base=BASE, number=1, parameters=parameters, record=record)
        await model.insert()
        await MatchModel(id="decisions-2", base=BASE, number=2, record=record, refused="worse").insert()
        return await models.activate(model)


async def test_the_prior_serves_until_something_was_learnt(expert: httpx.AsyncClient):
    answer = (await expert.get(PATH)).json()
    assert answer["active"] == BASE
    (prior,) = answer["items"]
    assert (prior["version"], prior["active"], prior["record"]) == (BASE, True, None)


async def test_models_are_shown_with_their_training_and_why_they_were_refused(
    expert: httpx.AsyncClient, learnt: MatchModel
):
    answer = (await expert.get(PATH)).json()
    assert answer["active"] == learnt.id
    refused, active, prior = answer["items"]
    assert (refused["refused"], refused["active"]) == ("worse", False)
    assert (active["version"], active["active"], active["record"]["after"]["log_loss"]) == (learnt.id, True, 1.0)
    assert (prior["version"], prior["active"]) == (BASE, False)
    weights = (await expert.get(f"{PATH}/{learnt.id}")).json()["parameters"]["variants"]["none"]["card"]
    assert weights["keyword"] > 0
    assert (await expert.get(f"{PATH}/{BASE}")).json()["parameters"] is None
    assert (await expert.get(f"{PATH}/decisions-99")).status_code == 404


async def test_going_back_to_the_prior_and_forward_again(expert: httpx.AsyncClient, learnt: MatchModel):
    back = await expert.post(f"{PATH}/{BASE}/activate")
    assert back.status_code == 200, back.text
    assert (back.json()["version"], back.json()["active"]) == (BASE, True)
    assert back.json()["activated_by"]["kind"] == "user"
    assert (await expert.get(PATH)).json()["active"] == BASE
    assert (await expert.post(f"{PATH}/{learnt.id}/activate")).json()["active"]
    refused = await expert.post(f"{PATH}/decisions-2/activate")
    assert (refused.status_code, refused.json()["code"]) == (409, "match_model_refused")
    assert (await expert.get(PATH)).json()["active"] == learnt.id


async def test_the_running_service_takes_an_activated_model_up_by_itself(expert: httpx.AsyncClient, learnt: MatchModel):
    async with asyncio.timeout(15 * models.POLL_SECONDS):
        while True:
            answer = await expert.post("/api/efi/match", json={"symptom_text": "horn silent"})
            if answer.json()["scorer_version"] == learnt.id:
                break
            await asyncio.sleep(0.1)


async def test_the_timer_learns_once_a_day_at_most(api: Api, monkeypatch: pytest.MonkeyPatch):
    trained: list[dict[str, Any]] = []

    async def note(_: LiveIndex, **options: Any) -> None:
        assert current_actor().id == "agent:training"
        trained.append(options)

    monkeypatch.setattr(lifespan, "train", note)
    with acting_as(system("timer")):
        await lifespan._train(api.app.state.service, api.settings)
        await lifespan._train(api.app.state.service, api.settings)
    assert trained == [{"min_decisions": 200, "return_window": timedelta(days=30)}]
