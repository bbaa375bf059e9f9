import pytest

from app.errors import Forbidden, Invalid, Stale
from app.security import acting_as
from models.event import EventType
from models.failure_card import FailureCard
from models.governance import CardFlag, FlagKind, FlagStatus
from services.knowledge import cards, flags, lifecycle, merging
from services.knowledge.access import CardDeprecated
from services.knowledge.flags import FlagClosed
from tests.services.knowledge.samples import (
    EXPERT,
    OTHER_EXPERT,
    OTHER_TECHNICIAN,
    TECHNICIAN,
    a_card,
    events_of,
)


async def approved(**fields: object) -> FailureCard:
    with acting_as(EXPERT):
        card = await lifecycle.submit(await cards.create(a_card(**fields)))
    with acting_as(OTHER_EXPERT):
        return await lifecycle.approve(card)


async def flagged(card: FailureCard, kind: FlagKind = FlagKind.wrong, by=TECHNICIAN, text: str = "R14 is gone"):
    fresh = await flags.present_card(card.id)
    with acting_as(by):
        return await flags.raise_flag(fresh, kind, flags.report(text, fresh.version))


async def test_flags_of_one_kind_gather_and_others_stand_apart(as_system):
    card = await approved()
    first = await flagged(card)
    again = await flagged(card, by=OTHER_TECHNICIAN, text="no R14 on mine")
    await flagged(card, by=OTHER_TECHNICIAN)
    other = await flagged(card, FlagKind.unclear)
    assert (again.id, other.id != first.id) == (first.id, True)
    gathered = await flags.get(first.id)
    assert (gathered.report_count, gathered.reporter_ids) == (3, [TECHNICIAN.id, OTHER_TECHNICIAN.id])
    assert [one.text for one in gathered.reports] == ["R14 is gone", "no R14 on mine", "R14 is gone"]
    assert (await flags.present_card(card.id)).open_flags == 2
    assert (await flags.present_card(card.id)).edition == card.edition, "what was read may still be edited"
    told = [event.data["flag_id"] for event in await events_of(EventType.card_updated)]
    assert told == [first.id, first.id, first.id, other.id]


async def test_an_edit_settles_flags_by_its_version(as_system):
    card = await approved()
    flag = await flagged(card)
    with acting_as(EXPERT):
        fixed = await flags.fix(
            await flags.present_card(card.id),
            a_card(root_cause="A blown fuse"),
            edition=card.edition,
            summary="fuse",
            resolves=[flag.id],
        )
        assert (fixed.version, fixed.open_flags) == (2, 0)
        settled = await flags.get(flag.id)
        assert (settled.status, settled.resolution_version, settled.resolution) == (FlagStatus.resolved, 2, "fuse")
        assert settled.closed_by is not None
        assert settled.closed_by.id == EXPERT.id
        with pytest.raises(FlagClosed):
            await flags.dismiss(settled, "again")
    renewed = await flagged(card)
    assert renewed.id != flag.id, "what is settled gathers no more"


async def test_an_edit_that_changes_nothing_settles_nothing(as_system):
    card, other = await approved(), await approved()
    flag, elsewhere = await flagged(card), await flagged(other)
    card = await flags.present_card(card.id)
    with acting_as(EXPERT):
        for resolves, content in (([flag.id], a_card()), ([elsewhere.id], a_card(severity="low"))):
            with pytest.raises(Invalid):
                await flags.fix(card, content, edition=card.edition, summary="", resolves=resolves)
        with pytest.raises(Stale):
            await flags.fix(card, a_card(severity="low"), edition=99, summary="", resolves=[flag.id])
    assert (await flags.present_card(card.id)).version == 1
    assert (await flags.get(flag.id)).status is FlagStatus.open


async def test_a_flag_is_resolved_by_a_later_version_only(as_system):
    card = await approved()
    flag = await flagged(card)
    with acting_as(EXPERT):
        for version in (1, 2):
            with pytest.raises(Invalid):
                await flags.resolve(flag, version)
        present = await flags.present_card(card.id)
        await cards.edit(present, a_card(severity="low"), edition=present.edition)
        assert (await flags.resolve(flag, 2)).status is FlagStatus.resolved


async def test_who_may_settle_a_flag(as_system):
    card = await approved()
    flag = await flagged(card)
    with acting_as(TECHNICIAN), pytest.raises(Forbidden):
        await flags.dismiss(flag, "it is right")
    with acting_as(TECHNICIAN):
        own = await cards.create(a_card())
    on_own = await flagged(own, by=OTHER_TECHNICIAN)
    with acting_as(OTHER_TECHNICIAN), pytest.raises(Forbidden):
        await flags.dismiss(on_own, "it is right")
    with acting_as(TECHNICIAN):
        assert (await flags.dismiss(on_own, "it is right")).status is FlagStatus.dismissed
    with acting_as(EXPERT):
        assert (await flags.dismiss(flag, "it is right")).resolution == "it is right"
    assert (await flags.present_card(card.id)).open_flags == 0


async def test_what_is_out_of_use_is_not_flagged(as_system):
    card = await approved()
    with acting_as(EXPERT):
        await lifecycle.deprecate(card, "redesigned")
    with pytest.raises(CardDeprecated):
        await flagged(card)


async def test_flags_move_to_the_card_that_survives_a_merge(as_system):
    kept, retired = await approved(), await approved(title="The same, written twice")
    alone, twice = await flagged(retired, FlagKind.outdated), await flagged(retired, by=OTHER_TECHNICIAN)
    there = await flagged(kept)
    await flagged(kept)
    with acting_as(EXPERT):
        survivor = await merging.merge(await flags.present_card(retired.id), kept.id, reason="one failure")
    assert survivor.open_flags == (await flags.present_card(kept.id)).open_flags == 2
    assert (await flags.present_card(retired.id)).open_flags == 0
    moved, gathered, into = [await flags.get(one.id) for one in (alone, twice, there)]
    assert (moved.card_id, moved.raised_on, moved.status) == (kept.id, retired.id, FlagStatus.open)
    assert (gathered.status, gathered.gathered_into) == (FlagStatus.dismissed, into.id)
    assert (into.report_count, set(into.reporter_ids)) == (3, {TECHNICIAN.id, OTHER_TECHNICIAN.id})
    with acting_as(EXPERT):
        assert (await flags.resolve(moved, 2)).resolution_version == 2, "its versions are another card's"


async def test_lists_by_card_and_by_state(as_system):
    card, other = await approved(), await approved()
    made = [await flagged(card), await flagged(card, FlagKind.unclear), await flagged(other)]
    with acting_as(EXPERT):
        await flags.dismiss(made[0], "it is right")

    async def found(**wanted: object) -> list[str]:
        return [flag.id for flag in (await flags.list_flags(**wanted)).items]

    assert await found(card_id=card.id) == [made[1].id, made[0].id]
    assert await found(status=FlagStatus.open) == [made[2].id, made[1].id]
    assert await found(card_id=card.id, status=FlagStatus.dismissed) == [made[0].id]
    assert await found(status=FlagStatus.open, kind=FlagKind.unclear) == [made[1].id]
    assert await CardFlag.find().count() == 3
