"""A past match shown again: its proof, and why today's answer differs."""

from collections.abc import AsyncIterator
from dataclasses import fields
from dataclasses import replace as changed
from typing import Any

import pytest

from app.database import transaction
from app.errors import NotFound
from app.security import Actor, ActorKind, Role, acting_as
from matching import CalibratedScorer, Case, Vehicle
from matching.scorers.calibrated import CalibratedModel, Weights
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from models.match_model import MatchModel
from models.match_run import MatchRun
from services.diagnosis import matches, runs
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.matches import MatchOptions
from services.diagnosis.replay import Comparison, Fate, replay
from services.diagnosis.training import models
from services.knowledge import cards, lifecycle

pytestmark = pytest.mark.usefixtures("as_system")

COMPLAINT = Case(
    text="Horn silent after rain, relay buzzes",
    error_codes=("P0A80",),
    vehicle=Vehicle("Ather", "450X", 2023),
    mileage_km=9000,
)


async def approved(title: str, **content: Any) -> FailureCard:
    whole = {"subsystem_category": SubsystemCategory.bms, "failure_mode": FailureMode.degradation, **content}
    async with transaction():
        card = await cards.create(CardContent(title=title, **whole))
        return await lifecycle.approve(await lifecycle.submit(card))


@pytest.fixture
async def live(as_system: None) -> AsyncIterator[LiveIndex]:
    runs.configure(keep_days=90)
    index = LiveIndex(poll_seconds=30)
    await index.start()
    matches.serve(index)
    yield index
    matches.serve(None)
    await index.stop()


@pytest.fixture
async def known(live: LiveIndex) -> dict[str, FailureCard]:
    cards = {
        "horn": await approved("Horn silent after rain", symptom_text="horn relay buzzes", error_codes=["P0A80"]),
        "relay": await approved("Relay buzzes", symptom_text="relay buzzes at idle"),
        "lamp": await approved("Lamp dark after rain"),
    }
    # A vector that arrives between a match and its replay would be a difference.
    await live.caught_up()
    await live.embedding.fill()
    return cards


async def asked(**options: Any) -> str:
    matched = await matches.match_recorded(COMPLAINT, MatchOptions(**options))
    assert matched.run_id is not None
    return matched.run_id


@pytest.mark.parametrize("options", [{}, {"scorer": "efi_v2", "include_drafts": True}, {"min_probability": 0.99}])
async def test_a_run_is_stored_as_its_model_would_be(known: dict[str, FailureCard], options: dict[str, Any]):
    case = changed(COMPLAINT, subsystem=SubsystemCategory.bms, conditions=("in the rain",))
    matched = await matches.match_recorded(case, MatchOptions(**options))
    document = await MatchRun.get_pymongo_collection().find_one({"_id": matched.run_id})
    assert document is not None
    assert MatchRun.model_validate(document).model_dump(by_alias=True, exclude={"revision_id"}) == document


async def compared(run_id: str) -> dict[str, Comparison]:
    return {card.card_id: card for card in (await replay(run_id)).cards}


@pytest.mark.parametrize("scorer", ["calibrated", "efi_v2"])
async def test_nothing_changed_and_nothing_differs(known: dict[str, FailureCard], scorer: str):
    played = await replay(await asked(scorer=scorer))
    assert played.proof.exact is True, played.proof.sentence
    assert "eproduced exactly" in played.proof.sentence
    assert {card.fate for card in played.cards} == {Fate.same}
    assert [card.card_id for card in played.cards] == [shown.card_id for shown in played.run.candidates]
    assert {version.content.title for version in played.versions.values()} >= {"Horn silent after rain"}


@pytest.mark.parametrize("scorer", ["calibrated", "efi_v2"])
async def test_a_changed_knowledge_base_does_not_touch_the_proof(known: dict[str, FailureCard], scorer: str):
    """Neither new cards, which change every word's weight, nor the loss of the shown ones."""
    run_id = await asked(scorer=scorer)
    for number in range(20):
        await approved(f"Relay number {number} buzzes after rain", symptom_text="horn")
    await lifecycle.deprecate(known["horn"], "wrong")
    played = await replay(run_id)
    assert played.proof.exact is True, played.proof.sentence
    assert {card.fate for card in played.cards} != {Fate.same}


async def test_every_difference_has_its_reason(known: dict[str, FailureCard]):
    run_id = await asked(limit=3)
    shown = known["relay"]
    content = CardContent.model_validate(
        {name: getattr(shown, name) for name in CardContent.model_fields}, from_attributes=True
    )
    async with transaction():
        await cards.edit(shown, content.model_copy(update={"symptom_text": "quiet"}), edition=shown.edition)
    await lifecycle.deprecate(known["lamp"], "wrong")
    new = await approved("Horn silent after rain, relay buzzes", error_codes=["P0A80"])

    cards_now = await compared(run_id)
    lamp, relay, horn = (cards_now[known[name].id] for name in ("lamp", "relay", "horn"))
    assert (lamp.fate, lamp.reasons, lamp.today) == (Fate.gone, ["deprecated"], None)
    version = (await FailureCard.get(shown.id)).version
    assert relay.reasons[0] == f"version {shown.version} → {version}"
    assert relay.fate in (Fate.moved, Fate.rescored)
    assert (cards_now[new.id].fate, cards_now[new.id].reasons, cards_now[new.id].then) == (Fate.new, ["new card"], None)
    assert horn.fate in (Fate.moved, Fate.rescored)
    assert horn.reasons


async def test_the_versions_are_those_of_that_time(known: dict[str, FailureCard]):
    run_id = await asked()
    card = known["horn"]
    content = CardContent.model_validate(
        {name: getattr(card, name) for name in CardContent.model_fields}, from_attributes=True
    )
    async with transaction():
        await cards.edit(card, content.model_copy(update={"title": "Horn mute"}), edition=card.edition)
    played = await replay(run_id)
    assert played.versions[card.id].content.title == "Horn silent after rain"


async def test_the_complaint_is_recorded_whole(live: LiveIndex):
    """What is added to a case has to be recorded, or a replay would ask something else."""
    case = Case(
        text="horn",
        error_codes=("P0A80",),
        symptom_codes=("SYM_HORN_001",),
        vehicle=Vehicle("Ather", "450X", 2023, "Pro", "2.1", "two_wheeler"),
        mileage_km=9000,
        subsystem="bms",
        conditions=("in the rain",),
        vehicle_age_months=14,
    )
    unset = {field.name for field in fields(Case) if getattr(case, field.name) == getattr(Case(), field.name)}
    assert unset == {"signature", "parts"}  # no caller asks with these
    run_id = (await matches.match_recorded(case)).run_id
    assert run_id is not None
    assert runs.case_of(await runs.load_visible(run_id)) == case


async def test_overtaken_is_told_from_gone(known: dict[str, FailureCard]):
    run_id = await asked(limit=1)
    for _ in range(2):
        await approved("Horn silent after rain, relay buzzes", symptom_text="horn silent rain", error_codes=["P0A80"])
    horn = (await compared(run_id))[known["horn"].id]
    assert horn.fate is Fate.gone
    assert any(reason.startswith("now in place ") for reason in horn.reasons)


async def test_another_model_is_named_and_nothing_is_claimed(known: dict[str, FailureCard], live: LiveIndex):
    shipped = live.matcher.scorers["calibrated"]
    live.matcher.scorers["calibrated"] = CalibratedScorer(changed(CalibratedModel.shipped(), version="lost"))
    run_id = await asked()
    live.matcher.scorers["calibrated"] = shipped
    played = await replay(run_id)
    assert played.proof.exact is None
    assert "lost" in played.proof.sentence
    assert shipped.version in played.proof.sentence
    assert played.changes == [f"model lost → {shipped.version}"]


async def test_a_scorer_that_is_gone_is_named(known: dict[str, FailureCard], live: LiveIndex):
    run_id = await asked(scorer="efi_v2")
    del live.matcher.scorers["efi_v2"]
    played = await replay(run_id)
    assert (played.proof.exact, played.changes[0]) == (None, "scorer efi_v2 → calibrated")


async def test_another_embedder_is_named(known: dict[str, FailureCard]):
    run_id = await asked()
    await MatchRun.get_pymongo_collection().update_one({"_id": run_id}, {"$set": {"embedder": "earlier"}})
    assert "embedder earlier → hashing-384-v1" in (await replay(run_id)).changes


@pytest.mark.parametrize(
    "forged",
    [{"candidates.0.score": 0.5}, {"none_probability": 0.5}, {"shared.log_total": 3.0}, {"candidates.0.inputs": {}}],
)
async def test_a_record_that_was_tampered_with_does_not_reproduce(
    known: dict[str, FailureCard], forged: dict[str, Any]
):
    run_id = await asked()
    await MatchRun.get_pymongo_collection().update_one({"_id": run_id}, {"$set": forged})
    proof = (await replay(run_id)).proof
    assert proof.exact is False
    assert "not reproduce" in proof.sentence


async def test_a_match_that_showed_nothing_is_replayed_too(live: LiveIndex):
    played = await replay(await asked())
    assert (played.proof.exact, played.cards) == (True, [])


async def test_only_runs_that_may_be_seen(known: dict[str, FailureCard]):
    run_id = await asked()
    stranger = Actor(ActorKind.user, "usr_1", roles=frozenset({Role.technician}))
    with acting_as(stranger), pytest.raises(NotFound):
        await replay(run_id)
    with pytest.raises(NotFound, match="run_nowhere"):
        await replay("run_nowhere")


async def test_the_model_that_made_a_run_is_kept_for_its_proof(known: dict[str, FailureCard], live: LiveIndex):
    run_id = await asked(scorer="calibrated")
    base = CalibratedModel.shipped()
    learnt = models.parameters_of("decisions-1", "", {"none": Weights({"keyword": 1.0}, {"constant": 1.0}, {})})
    await models.activate(await MatchModel(id="decisions-1", base=base.version, number=1, parameters=learnt).insert())
    assert await models.ModelFollower(live).refresh() == "decisions-1"
    played = await replay(run_id)
    assert played.proof.exact is True, played.proof.sentence
    assert f"model {base.version} → decisions-1" in played.changes
    assert await models.scorer_at("decisions-9") is None
    later = await replay(await asked(scorer="calibrated"))
    assert later.proof.sentence.startswith("Reproduced exactly: calibrated decisions-1")
