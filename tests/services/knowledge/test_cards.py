import asyncio
from dataclasses import fields
from typing import Any

import pytest

from app.database import in_transaction
from app.errors import Forbidden, Invalid, NotFound, Stale
from app.security import ActorKind, Role, acting_as, system
from models.event import EfiEvent, EventType
from models.failure_card import CardVersion, FailureCard
from models.symptom import Symptom
from services.knowledge import access, cards, changes, lifecycle, versions
from services.knowledge.cards import CardFilter
from services.knowledge.diff import Change, Difference
from tests.services.knowledge.samples import (
    EXPERT,
    OEM,
    OTHER_TECHNICIAN,
    TECHNICIAN,
    a_card,
    events_of,
    person,
    stored_card,
)

pytestmark = pytest.mark.usefixtures("as_system")


async def drafted(**fields: Any) -> FailureCard:
    with acting_as(TECHNICIAN):
        return await cards.create(a_card(**fields))


async def test_a_new_card_is_a_complete_draft():
    card = await drafted(error_codes=["p0a80"])

    stored = await FailureCard.find_one({"_id": card.id})
    assert stored is not None
    assert (stored.status, stored.version, stored.edition, stored.created_by) == ("draft", 1, 1, TECHNICIAN.id)
    assert (stored.confidence_score, stored.confidence_level) == (0.5, "medium")
    assert stored.error_codes == ["P0A80"]
    assert stored.signature_hash == stored.failure_signature.signature_hash != ""
    assert "balancing" in stored.keywords
    assert [(line.version, line.summary) for line in stored.version_history] == [(1, "created")]
    [event] = await events_of(EventType.card_created)
    assert (event.subject_id, event.actor.id, event.actor.kind) == (card.id, TECHNICIAN.id, ActorKind.user)
    assert (await versions.get_version(card.id, 1)).content.title == card.title


async def test_a_discovered_card_starts_low():
    card = await cards.create(
        a_card(), created_by="usr_x", source_ticket_id="tkt_1", confidence_score=cards.DISCOVERED_CONFIDENCE
    )
    assert (card.confidence_level, card.created_by, card.source_ticket_id) == ("low", "usr_x", "tkt_1")


async def test_nothing_is_written_of_a_card_that_breaks_a_rule():
    for broken in (a_card(error_codes=["P4A80"]), a_card(symptom_codes=["SYM_BATT_404"])):
        with pytest.raises(Invalid):
            await cards.create(broken)
    assert await FailureCard.find_all().count() == 0
    assert await CardVersion.find_all().count() == 0
    assert await EfiEvent.find_all().count() == 0


async def test_known_symptoms_are_accepted():
    await Symptom(symptom_code="SYM_BATT_001", name="Range drops", category="battery").insert()
    card = await drafted(symptoms=[{"symptom_code": "SYM_BATT_001", "description": "Range drops"}])
    assert card.symptom_codes == ["SYM_BATT_001"]


async def test_an_edit_makes_a_version():
    card = await drafted()
    told: list[frozenset[str]] = []
    changes.on_changed(told.append)
    try:
        with acting_as(TECHNICIAN):
            edited = await cards.edit(card, a_card(root_cause="Open resistor"), edition=1, summary="measured")
    finally:
        changes.forget(told.append)

    assert (edited.version, edited.edition, edited.root_cause) == (2, 2, "Open resistor")
    assert told == [frozenset({card.id})]
    line = edited.version_history[-1]
    assert (line.version, line.summary, line.updated_by.id) == (2, "measured", TECHNICIAN.id)
    assert "root_cause" in line.changed_fields
    assert "title" not in line.changed_fields
    [event] = await events_of(EventType.card_updated)
    assert (event.data["version"], event.data["change"]) == (2, "edited")
    newest = await versions.list_versions(card.id, limit=1)
    oldest = await versions.list_versions(card.id, limit=1, after=newest.next)
    assert [version.version for version in newest.items + oldest.items] == [2, 1]
    assert oldest.next is None
    for nonsense in ("x", "9" * 40):
        with pytest.raises(Invalid):
            await versions.list_versions(card.id, after=nonsense)
    found = {difference.field: difference for difference in await versions.diff(card.id, 1, 2)}
    old = a_card().root_cause
    assert found["root_cause"] == Difference("root_cause", Change.changed, old, "Open resistor")
    assert (await versions.diff(card.id, 2, 1))[0].new == old


async def test_an_edit_that_changes_nothing_writes_nothing():
    card = await drafted()
    with acting_as(TECHNICIAN):
        same = await cards.edit(card, a_card(), edition=1)
    assert (same.version, same.revision) == (1, card.revision)
    assert await CardVersion.find_all().count() == 1


async def test_new_codes_change_the_signature():
    card = await drafted()
    with acting_as(TECHNICIAN):
        edited = await cards.edit(card, a_card(error_codes=["P1B2C"]), edition=1)
    assert edited.signature_hash != card.signature_hash
    assert edited.failure_signature.error_codes == ["P1B2C"]


async def test_an_edit_needs_the_present_edition():
    card = await drafted()
    with acting_as(TECHNICIAN):
        await cards.edit(card, a_card(root_cause="a"), edition=1)
        card = await access.load_visible(card.id)
        with pytest.raises(Stale):
            await cards.edit(card, a_card(root_cause="b"), edition=1)


async def test_of_two_edits_at_once_one_wins():
    card = await drafted()

    async def edit(cause: str) -> None:
        async def work() -> None:
            await cards.edit(await access.load_visible(card.id), a_card(root_cause=cause), edition=1)

        with acting_as(EXPERT):
            await in_transaction(work)

    ends = await asyncio.gather(*(edit(f"cause {n}") for n in range(4)), return_exceptions=True)

    assert [type(end) for end in ends if end is not None] == [Stale] * 3
    assert (await access.load_visible(card.id)).version == 2
    assert await CardVersion.find_all().count() == 2


async def test_technicians_edit_their_own_drafts_only():
    own, other = await drafted(), await stored_card(status="draft", created_by=OTHER_TECHNICIAN.id)
    with acting_as(TECHNICIAN):
        await cards.edit(own, a_card(root_cause="known"), edition=1)
        with pytest.raises(Forbidden):
            await cards.edit(other, a_card(root_cause="mine"), edition=1)
        submitted = await lifecycle.submit(await access.load_visible(own.id))
        with pytest.raises(Forbidden):
            await cards.edit(submitted, a_card(), edition=3)
    with acting_as(EXPERT):
        assert (await cards.edit(submitted, a_card(), edition=3)).version == 3


async def test_a_deprecated_card_stays_as_it_was():
    card = await stored_card(status="deprecated")
    with acting_as(EXPERT), pytest.raises(access.CardDeprecated):
        await cards.edit(card, a_card(), edition=1)


@pytest.mark.parametrize("status", ["draft", "pending_review", "deprecated"])
async def test_outsiders_see_approved_cards_only(status: str):
    hidden, shown = await stored_card(status=status), await stored_card(status="approved")
    with acting_as(OEM):
        assert (await access.load_visible(shown.id)).id == shown.id
        with pytest.raises(NotFound):
            await access.load_visible(hidden.id)
        assert [card.id for card in (await cards.list_cards(CardFilter())).items] == [shown.id]
        assert (await cards.list_cards(CardFilter(status=status))).items == []
    with acting_as(TECHNICIAN):
        assert (await access.load_visible(hidden.id)).status == status
        assert len((await cards.list_cards(CardFilter())).items) == 2


FILTERS = {
    "status": "approved",
    "subsystem_category": "charger",
    "failure_mode": "intermittent",
    "severity": "critical",
    "confidence_level": "high",
    "make": "Ola",
    "error_code": "e-401",
    "symptom_code": "SYM_CHRG_001",
    "created_by": "usr_mina",
    "tag": "monsoon",
}


async def test_every_filter_selects():
    assert {field.name for field in fields(CardFilter)} == {*FILTERS, "model"}
    await stored_card(status="draft")
    wanted = await stored_card(
        subsystem_category="charger",
        failure_mode="intermittent",
        severity="critical",
        confidence_level="high",
        vehicle_models=[{"make": "Ola", "model": "S1"}, {"make": "Ather", "model": "Rizta"}],
        error_codes=["E401"],
        symptom_codes=["SYM_CHRG_001"],
        created_by="usr_mina",
        tags=["monsoon"],
    )
    for name, value in FILTERS.items():
        found = await cards.list_cards(CardFilter(**{name: value}))
        assert [card.id for card in found.items] == [wanted.id], name
    assert (await cards.list_cards(CardFilter(**FILTERS))).items[0].id == wanted.id


async def test_make_and_model_are_of_one_vehicle():
    await stored_card(vehicle_models=[{"make": "Ola", "model": "S1"}, {"make": "Ather", "model": "450X"}])
    assert (await cards.list_cards(CardFilter(make="Ola", model="450X"))).items == []
    assert len((await cards.list_cards(CardFilter(make="Ola", model="S1"))).items) == 1
    with pytest.raises(Invalid):
        await cards.list_cards(CardFilter(model="S1"))


async def test_pages_follow_each_other():
    made = [(await stored_card()).id for _ in range(5)]
    first = await cards.list_cards(CardFilter(status="approved"), limit=2)
    second = await cards.list_cards(CardFilter(status="approved"), limit=3, after=first.next)
    assert [card.id for card in [*first.items, *second.items]] == made[::-1]
    assert second.next is None


async def test_missing_versions_are_named():
    card = await drafted()
    with pytest.raises(NotFound):
        await versions.diff(card.id, 1, 7)


async def test_the_system_edits_as_a_curator():
    card = await drafted()
    with acting_as(system("maintenance")):
        assert (await cards.edit(card, a_card(root_cause="known"), edition=1)).updated_by == "system:maintenance"


async def test_admins_are_curators():
    assert access.is_curator(person("root", Role.admin))
