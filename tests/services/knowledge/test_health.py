import itertools
from datetime import timedelta

import pytest

from app import clock
from app.errors import Forbidden, IllegalMove, Invalid
from app.security import acting_as, agent
from models.enums import FailureCardStatus
from models.event import EventType
from models.failure_card import FailureCard
from models.governance import CardHealth, DueReason, FlagKind, HealthProgress
from models.learning import CardEvidence, CardOutcome
from services.knowledge import firmware, flags, health, health_summary, use_review, versions
from services.knowledge.firmware import ESTABLISHED
from services.writing import update
from tests.services.knowledge.samples import EXPERT, TECHNICIAN, events_of, stored_card

YEAR = timedelta(days=365)
_NUMBERS = itertools.count()


async def used(card: FailureCard, days_ago: float, *, worked: bool = True, **fields: object) -> CardOutcome:
    """One line of the ledger, with what it does to the card."""
    at = clock.now() - timedelta(days=days_ago)
    number = next(_NUMBERS)
    outcome = CardOutcome(
        **{
            "card_id": card.id,
            "ticket_id": f"tkt_{number}",
            "resolution_round": 1,
            "action_ids": [],
            "variant": "ather|450x|2023",
            "technician_id": "usr_asha",
            "site_id": "site_1",
            "success": worked,
            "reason": "",
            "occurred_at": at,
            "event_id": f"evt_{number}",
        }
        | fields
    )
    await outcome.insert()
    present = await flags.present_card(card.id)
    await update(present, {}, inc={"usage_count": 1})
    return outcome


async def old_card(**fields: object) -> FailureCard:
    return await stored_card(created_at=clock.now() - 2 * YEAR, approved_at=clock.now() - 2 * YEAR, **fields)


async def due(reason: DueReason | None = None) -> list[str]:
    await health.look()
    return [row.id for row in (await health.list_due(reason=reason)).items]


async def test_the_timer_follows_what_changes(as_system):
    old, young = await old_card(), await stored_card()
    draft = await old_card(status=FailureCardStatus.draft)
    assert await due() == [old.id]
    assert await due(DueReason.age) == [old.id]
    assert await health.health_of(draft.id) is None
    again = await health.look()
    assert again.changed == 0
    await used(old, 1)
    assert await due() == []
    with acting_as(TECHNICIAN):
        present = await flags.present_card(young.id)
        flag = await flags.raise_flag(present, FlagKind.wrong, flags.report("no", 1))
    assert await due(DueReason.flagged) == [young.id]
    assert await due(DueReason.age) == []
    with acting_as(EXPERT):
        await flags.dismiss(flag, "right")
    assert await due() == []


async def test_only_what_changed_is_read(as_system):
    """Each round reads the cards changed since the last one, however many there are."""
    earlier = clock.now() - timedelta(days=1)
    for _ in range(5):
        await stored_card(updated_at=earlier)
    first = await health.look()
    changed = await stored_card()
    second = await health.look()
    third = await health.look()
    assert (first.judged, second.judged) == (5, 1)
    assert third.judged == 1, "a write may appear late: what is young is looked at again"
    assert (await health.health_of(changed.id)).check_at is not None


async def test_a_round_goes_on_where_the_last_was_cut_short(as_system, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "BATCH", 2)
    for n in range(5):
        await stored_card(updated_at=clock.now() - timedelta(days=10 - n))
    judge, calls = health._judge, []

    async def failing(cards):
        calls.append(len(cards))
        if len(calls) == 3:
            raise RuntimeError("killed")
        return await judge(cards)

    monkeypatch.setattr(health, "_judge", failing)
    with pytest.raises(RuntimeError):
        await health.look()
    assert await CardHealth.find().count() == 4
    assert (await health.look()).judged == 2
    assert await CardHealth.find().count() == 5


async def test_a_card_is_due_when_its_time_has_come_without_a_change(as_system):
    card = await stored_card(created_at=clock.now() - YEAR + timedelta(minutes=1), updated_at=clock.now() - YEAR)
    other = await stored_card()
    assert await due() == []
    for row in (await health.health_of(card.id), await health.health_of(other.id)):
        await update_row(row, check_at=clock.now())
    await FailureCard.get_pymongo_collection().update_one(
        {"_id": card.id}, {"$set": {"created_at": clock.now() - YEAR}}
    )
    assert await due() == [card.id]


async def update_row(row: CardHealth, **values: object) -> None:
    await CardHealth.get_pymongo_collection().update_one({"_id": row.id}, {"$set": values})


async def test_another_period_judges_all_cards_anew(as_system):
    card = await stored_card(created_at=clock.now() - timedelta(days=40), updated_at=clock.now() - timedelta(days=40))
    assert await due() == []
    health.configure(review_after_days=30)
    try:
        assert await due() == [card.id]
        assert (await HealthProgress.find_one({"_id": "cards"})).review_after_days == 30
    finally:
        health.configure(review_after_days=365)


async def test_what_an_expert_wrote_lately_is_not_old(as_system):
    written = versions.entry(2, "rewritten", ["title"])
    await old_card(version_history=[written.model_copy(update={"timestamp": clock.now() - 2 * YEAR}), written])
    assert await due() == []


async def test_reviewing_settles_what_came_before_and_makes_no_version(as_system):
    card = await old_card(rejected_count=9)
    await CardEvidence(
        id=f"{card.id}|*", card_id=card.id, variant="*", rejections=9, ruled_out=9, as_of=clock.now()
    ).insert()
    for n in range(20):
        await used(card, 200 + n)
    for n in range(4):
        await used(card, n, worked=False)
    await health.look()
    assert (await health.health_of(card.id)).due_reasons == [DueReason.falling, DueReason.rejected]
    with acting_as(EXPERT):
        seen = await health.reviewed(await flags.present_card(card.id))
    assert (seen.version, seen.edition, seen.last_reviewed_by) == (card.version, card.edition, EXPERT.id)
    assert not (await health.health_of(card.id)).due, "at once, not at the next round"
    assert await due() == []
    [event] = await events_of(EventType.card_updated)
    assert event.data["change"] == "reviewed"
    present = await flags.present_card(card.id)
    await update(present, {}, inc={"rejected_count": 4})
    assert await due() == [], "nine were known, four are new"


async def test_who_reviews_and_what(as_system):
    card, draft = await stored_card(), await stored_card(status=FailureCardStatus.draft)
    with acting_as(TECHNICIAN), pytest.raises(Forbidden):
        await health.reviewed(card)
    with acting_as(EXPERT), pytest.raises(IllegalMove):
        await health.reviewed(draft)


async def test_a_new_firmware_in_the_field_makes_the_cards_of_its_model_due(as_system):
    vehicles = [{"make": "Ather", "model": "450X", "firmware_versions": ["4.1"]}]
    known, other = await stored_card(vehicle_models=vehicles), await stored_card()
    assert await due() == []
    for _ in range(ESTABLISHED):
        await firmware.see("Ather", "450X", "4.2")
    assert await due(DueReason.firmware) == [known.id]
    with acting_as(EXPERT):
        await health.reviewed(await flags.present_card(known.id))
    assert await due() == []
    assert not (await health.health_of(other.id)).due


async def test_what_is_no_longer_in_use_is_no_longer_due(as_system):
    card = await old_card()
    assert await due() == [card.id]
    await update(card, {"status": FailureCardStatus.deprecated})
    assert await due() == []


async def test_pages_hold_every_card_once(as_system):
    old = {(await old_card()).id for _ in range(23)}
    await health.look()
    seen, after = [], None
    while True:
        page = await health.list_due(limit=5, after=after)
        seen += [row.id for row in page.items]
        if (after := page.next) is None:
            break
    assert len(seen) == 23
    assert set(seen) == old
    for cursor in ("x", "1e9", "-1"):
        with pytest.raises(Invalid):
            await health.list_due(after=cursor)


async def test_a_card_that_is_gone_is_forgotten(as_system):
    """After the restore of a backup, for instance."""
    await CardHealth(id="fc_gone", due=True, check_at=clock.now()).insert()
    assert await due() == []
    assert await health.health_of("fc_gone") is None


async def test_the_agent_of_the_timer_has_the_rights_it_needs(as_system, monkeypatch: pytest.MonkeyPatch):
    from app import database
    from services.workflows.rights import BY_THE_CLOCK, RIGHTS

    card = await old_card(rejected_count=9, vehicle_models=[{"make": "A", "model": "B", "firmware_versions": ["1"]}])
    await used(card, 3)
    used_rights = set()
    monkeypatch.setattr(database.guard, "policy", RIGHTS)
    monkeypatch.setattr(database.guard, "observe", lambda _, name, access, __: used_rights.add((name, access)))
    with acting_as(agent("health")):
        await health.look()
    granted = {(model.Settings.name, one) for model, accesses in BY_THE_CLOCK["health"].items() for one in accesses}
    assert used_rights == granted


async def test_reviewed_by_use_counts_people_and_places_and_names_what_changed(as_system):
    card = await stored_card()
    await used(card, 9, technician_id="usr_a", site_id="site_1")
    await used(card, 8, technician_id="usr_a", site_id="site_1")
    await used(card, 7, technician_id="usr_b", site_id="site_2")
    await used(card, 6, technician_id="usr_c", site_id="site_3", worked=False)
    await used(card, 5, technician_id="usr_d", site_id="site_3", taken_back_at=clock.now())
    last = await used(card, 4, technician_id=None, site_id=None)
    seen = await use_review.by_use(await flags.present_card(card.id))
    assert (seen.confirmations, seen.technicians, seen.sites) == (4, 2, 2)
    assert seen.last_confirmed_at == last.occurred_at
    assert (seen.version_confirmed, seen.changed_since) == (1, [])


async def test_the_summary_counts_what_is_there(as_system):
    await stored_card()
    card = await old_card()
    await stored_card(status=FailureCardStatus.draft)
    await used(card, 100)
    await used(card, 10)
    await used(card, 5)
    with acting_as(TECHNICIAN):
        await flags.raise_flag(await flags.present_card(card.id), FlagKind.wrong, flags.report("no", 1))
    await health.look()
    found = await health_summary.summary(days=90)
    assert found.cards[FailureCardStatus.approved] == 2
    assert found.cards[FailureCardStatus.draft] == 1
    assert (found.due, found.due_by_reason[DueReason.flagged], found.due_by_reason[DueReason.age]) == (1, 1, 0)
    assert (found.flags_open, found.proposals_open) == (1, 0)
    assert (found.cards_used, found.uses, found.reuse_rate) == (1, 2, 0.5)
    assert (found.resolved_tickets, found.coverage, found.median_approval_hours) == (0, None, None)
    assert (found.waiting.drafts, found.waiting.oldest_age_hours) == (0, None)
