"""Learning from decisions on the starter knowledge: few change nothing, many help, and bad ones are refused."""

import asyncio
import json
from datetime import timedelta

import pytest

from app import clock, database
from app.security import acting_as, agent
from matching import CardRecord, Case, HashingEmbedder
from matching.scorers import CalibratedScorer
from matching.scorers.calibrated import CalibratedModel
from models.match_model import MatchModel
from services.diagnosis import matches
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.training import models
from services.diagnosis.training.models import ModelFollower, ModelRefused, OtherPrior
from services.diagnosis.training.run import Training, train
from services.workflows.rights import BY_THE_CLOCK, RIGHTS
from tests.services.diagnosis.training.simulated import LONG_AGO, WINDOW, network, work_tickets

pytestmark = pytest.mark.usefixtures("as_system")
ENOUGH = 120


async def loaded() -> LiveIndex:
    live = LiveIndex(HashingEmbedder())
    await live.load()
    live.index.embed_pending()
    return live


async def learn(live: LiveIndex, **options: bool) -> Training:
    return await train(live, min_decisions=ENOUGH, return_window=WINDOW, **options)


def version(live: LiveIndex) -> str:
    return live.matcher.scorers[CalibratedScorer.name].version


async def test_few_decisions_change_nothing():
    made = await network()
    await work_tickets(made, ENOUGH - 1)
    live = await loaded()
    done = await learn(live)
    assert done.model is None
    assert done.idle.startswith(f"{ENOUGH - 1} decisions")
    assert await MatchModel.count() == 0
    assert await ModelFollower(live).refresh() == CalibratedModel.shipped().version == version(live)


async def test_many_consistent_decisions_move_the_weights_and_every_replica_follows():
    made = await network()
    await work_tickets(made, 250)
    here, elsewhere = await loaded(), await loaded()
    tried = await learn(here, dry_run=True)
    assert tried.model is not None
    assert (tried.stored, await MatchModel.count()) == (False, 0)

    done = await learn(here)
    assert done.model is not None
    record = done.model.record
    assert record is not None
    assert (done.model.id, done.model.refused) == ("decisions-1", "")
    assert (record.known, record.none, record.decisions) == (done.known, done.none, 250)
    assert record.after.log_loss < 0.95 * record.prior.log_loss
    assert record.after.ndcg_10 >= record.prior.ndcg_10 - 0.005
    assert record.prior.log_loss < record.chance.log_loss

    shipped = CalibratedModel.shipped().variant(None)[1]
    learnt = models.load(done.model).variants[HashingEmbedder().name]
    moved = {name for name in shipped.card if abs(learnt.card[name] - shipped.card[name]) > 0.01}
    assert moved
    assert not moved & {"graph", "evidence"}, "these carry the ticket's own trace"
    assert CalibratedModel.load(done.model.parameters).variants.keys() > {HashingEmbedder().name}

    followers = [ModelFollower(here), ModelFollower(elsewhere, poll_seconds=0.05)]
    assert await followers[0].refresh() == "decisions-1"
    await followers[1].start()
    await models.activate(await models.get(CalibratedModel.shipped().version))
    async with asyncio.timeout(30):
        while version(elsewhere) == "decisions-1":
            await asyncio.sleep(0.05)
    await followers[1].stop()
    assert version(elsewhere) == CalibratedModel.shipped().version

    matches.serve(here)
    try:
        matched = await matches.match(Case("brake lamp always lit, throttle dead"))
    finally:
        matches.serve(None)
    assert matched.result.scorer_version == "decisions-1"

    again = await learn(here)
    assert again.idle == "These decisions have been tried before."


@pytest.mark.parametrize("noise", [1.0, 0.6])
async def test_answers_given_at_random_are_refused(noise: float):
    made = await network()
    await work_tickets(made, 200, noise=noise)
    live = await loaded()
    done = await learn(live)
    assert done.model is not None
    assert done.model.refused
    assert done.model.parameters == ""
    assert await ModelFollower(live).refresh() == CalibratedModel.shipped().version
    with pytest.raises(ModelRefused):
        await models.activate(await models.get(done.model.id))


async def test_a_learnt_model_gives_way_only_to_one_that_is_no_worse_on_what_came_after_it():
    made = await network()
    await work_tickets(made, 200)
    live = await loaded()
    first = await learn(live)
    await work_tickets(made, 10, seed=1, at=clock.now() - LONG_AGO + timedelta(days=1))
    waiting = await learn(live)
    assert waiting.idle.startswith("10 decisions since the model in service")
    await work_tickets(made, 60, seed=2, noise=1.0, at=clock.now() - LONG_AGO + timedelta(days=2))
    second = await learn(live)
    assert first.model is not None
    assert second.model is not None
    record = second.model.record
    assert record is not None
    assert record.serving is not None
    assert record.after_on_same is not None
    assert record.serving.decisions == record.after_on_same.decisions >= 60
    worse = record.after_on_same.log_loss > record.serving.log_loss or (
        record.after_on_same.ndcg_10 < record.serving.ndcg_10 - 0.005
    )
    assert bool(second.model.refused) == worse
    assert (await models.active()).id == (first.model.id if worse else second.model.id)


async def test_nothing_is_learnt_while_cards_await_their_vector():
    made = await network()
    await work_tickets(made, 150)
    live = await loaded()
    live.index.upsert(CardRecord("fc_new", title="Horn silent"), embed=False)
    assert (await learn(live)).idle == "Vectors are missing yet, of 1 cards."
    live.embedding.wanted = HashingEmbedder(128)
    assert (await learn(live)).idle == "The cards are being embedded anew, by hashing-128-v1."
    assert await MatchModel.count() == 0


async def test_a_model_of_another_release_waits_for_its_release():
    base = CalibratedModel.shipped().version
    older = await MatchModel(id="decisions-1", base="prior-0", number=1, activated_at=clock.now()).insert()
    assert (await models.active()).id == base
    with pytest.raises(OtherPrior):
        await models.activate(older)
    assert [model.id for model in await models.all_models()] == ["decisions-1", base]


async def test_a_model_that_cannot_be_read_leaves_the_former_one_in_service():
    base = CalibratedModel.shipped().version
    await MatchModel(id="decisions-1", base=base, number=1, parameters="{}", activated_at=clock.now()).insert()
    live = LiveIndex(HashingEmbedder())
    follower = ModelFollower(live)
    assert await follower.refresh() == base
    assert await follower.refresh() == base


async def test_parameters_are_small_and_readable():
    text = models.parameters_of("decisions-7", "from decisions", {"x": CalibratedModel.shipped().variant(None)[1]})
    told = json.loads(text)
    assert (told["version"], told["record"]) == ("decisions-7", "from decisions")
    assert "cross_validated" not in told
    assert len(text) < 10_000
    read = CalibratedModel.load(text)
    assert read.variants["x"].card == pytest.approx(CalibratedModel.shipped().variant(None)[1].card, rel=1e-4)


async def test_the_training_agent_has_the_rights_it_needs_and_no_others(monkeypatch: pytest.MonkeyPatch):
    made = await network()
    await work_tickets(made, 150)
    live = await loaded()
    used: set[tuple[str, database.Access]] = set()
    monkeypatch.setattr(database.guard, "policy", RIGHTS)
    monkeypatch.setattr(database.guard, "observe", lambda _, collection, access, __: used.add((collection, access)))
    with acting_as(agent("training")):
        done = await learn(live)
    assert done.stored
    granted = BY_THE_CLOCK["training"].items()
    assert used == {(model.Settings.name, access) for model, accesses in granted for access in accesses}
