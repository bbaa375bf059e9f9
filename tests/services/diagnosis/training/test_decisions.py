"""What a resolved ticket says about the cards, and when it says nothing."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from app import clock
from app.database import connect, disconnect
from matching import CardIndex, CardRecord, Matcher
from matching.training import Decision, collect
from models import ALL_DOCUMENTS
from models.enums import FailureMode, NodeType, RelationType, ResolutionOutcome, SubsystemCategory, TicketStatus
from models.failure_card import CardContent, FailureCard
from models.knowledge_relation import RelationContent
from models.ticket import Ticket
from services.diagnosis.training import decisions, models
from services.diagnosis.training.decisions import CardFacts, Decided
from services.diagnosis.translate import ticket_case
from services.knowledge import cards, relations
from tests.query_plans import watched
from tests.services.diagnosis.training.simulated import LONG_AGO, WINDOW, action_on, outcome_of, resolved_ticket

pytestmark = pytest.mark.usefixtures("as_system")


async def card(title: str = "Horn silent", **fields: Any) -> FailureCard:
    content = CardContent(
        title=title, subsystem_category=SubsystemCategory.low_voltage, failure_mode=FailureMode.erratic
    )
    return await cards.create(content, **fields)


async def stored(ticket: Ticket, card_id: str | None, *, success: bool = True, **action: Any) -> Ticket:
    """The ticket with an action by the card, and its outcome."""
    await ticket.insert()
    await action_on(ticket, card_id, **action).insert()
    if card_id is not None:
        await outcome_of(ticket, card_id, success=success).insert()
    return ticket


async def read() -> Mapping[str, Decided]:
    return {one.ticket_id: one for one in await decisions.read(WINDOW)}


async def test_a_repair_that_held_decides_for_its_card():
    horn = await card()
    ticket = await stored(
        resolved_ticket("Horn is silent", vehicle_make="Ather", error_codes_reported=["P0A80"]), horn.id
    )
    told = (await read())[ticket.id]
    assert told.decision.relevant == {horn.id}
    assert told.decision.group == horn.id
    assert told.decision.case.text.startswith("Horn is silent")
    assert (told.decision.case.vehicle.make, told.decision.case.error_codes) == ("Ather", ("P0A80",))
    assert (told.asked_at, told.decided_at) == (ticket.created_at, ticket.resolved_at)


async def test_a_card_named_at_the_resolution_counts_without_an_action():
    horn = await card()
    ticket = await resolved_ticket("Horn is silent", selected_failure_card=horn.id).insert()
    assert (await read())[ticket.id].decision.relevant == {horn.id}


@pytest.mark.parametrize(
    ("ticket", "action"),
    [
        ({}, {"new_failure_discovered": True}),
        ({"new_failure_discovered": True}, {}),
        ({"vehicle_id": "veh_1"}, {}),
    ],
)
async def test_a_discovery_and_work_without_a_card_decide_for_no_known_failure(
    ticket: dict[str, Any], action: dict[str, Any]
):
    unknown = await stored(resolved_ticket("Something new", **ticket), None, **action)
    told = (await read())[unknown.id]
    assert told.decision.relevant == frozenset()
    assert told.decision.group == (unknown.vehicle_id or unknown.id)


RECENT = clock.now() - timedelta(days=3)
UNDECIDED = {
    "still open": ({"status": TicketStatus.in_progress}, {}),
    "a revisit may still come": ({"resolved_at": RECENT}, {}),
    "without success": ({"resolution_successful": False}, {}),
    "a revisit is needed": ({"revisit_required": True}, {}),
    "the customer was unhappy": ({"customer_satisfaction": 2}, {}),
    "closed without ever having been resolved": ({"resolution_count": 0}, {}),
    "another passage": ({"resolution_count": 2, "revisit_count": 1, "selected_failure_card": None}, {}),
    "a card and a discovery": ({}, {"new_failure_discovered": True}),
}


@pytest.mark.parametrize("name", UNDECIDED)
async def test_what_decides_nothing(name: str):
    fields, action = UNDECIDED[name]
    await stored(resolved_ticket("Horn is silent", **fields), (await card()).id, **action)
    assert await read() == {}


async def test_a_card_that_did_not_help_decides_nothing():
    failed = resolved_ticket("Horn is silent")
    await stored(failed, (await card()).id, success=False, resolution_outcome=ResolutionOutcome.failed)
    assert await read() == {}


async def test_a_success_that_was_taken_back_decides_nothing():
    ticket = await resolved_ticket("Horn is silent").insert()
    horn = await card()
    await action_on(ticket, horn.id).insert()
    await outcome_of(ticket, horn.id, taken_back_at=clock.now()).insert()
    assert await read() == {}


async def test_work_without_a_card_says_nothing_where_no_card_was_suggested():
    await stored(resolved_ticket("Something new", suggested_failure_cards=[]), None)
    await resolved_ticket("No work was recorded").insert()
    assert await read() == {}


async def test_a_ticket_whose_words_became_the_card_is_left_out():
    first = resolved_ticket("Horn is silent")
    horn = await card(source_ticket_id=first.id)
    await stored(first, horn.id)
    later = await stored(resolved_ticket("Hooter mute"), horn.id)
    assert set(await read()) == {later.id}


async def test_a_merged_card_stands_for_its_heir_and_similar_ones_are_ignored():
    horn, heir, twin = await card(), await card("Hooter mute"), await card("Hooter hoarse")
    await FailureCard.get_pymongo_collection().update_one({"_id": horn.id}, {"$set": {"merged_into": heir.id}})
    similar = RelationContent(
        source_type=NodeType.failure_card,
        source_id=twin.id,
        source_label=twin.title,
        relation_type=RelationType.similar_to,
        target_type=NodeType.failure_card,
        target_id=heir.id,
        target_label=heir.title,
    )
    await relations.create(similar)
    ticket = await stored(resolved_ticket("Horn is silent"), horn.id)
    told = (await read())[ticket.id].decision
    assert (told.relevant, told.ignored) == ({heir.id}, {twin.id})


async def test_the_fingerprint_follows_what_was_decided():
    horn = await card()
    ticket = await stored(resolved_ticket("Horn is silent"), horn.id)
    before = decisions.fingerprint((await read()).values())
    assert decisions.fingerprint((await read()).values()) == before
    await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, {"$set": {"description": "since the rain"}})
    assert decisions.fingerprint((await read()).values()) != before


async def test_reading_never_scans(database_url: str, database_name: str):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await stored(resolved_ticket("Horn is silent"), (await card()).id)
        await read()
        await decisions.facts([(await card()).id])
        await models.active()
    assert await queries.scans(database) == set()


def case(relevant: str | None = None, ticket_id: str = "tkt_1") -> Decided:
    ticket = resolved_ticket("horn silent since the rain")
    decision = Decision(ticket_case(ticket), frozenset({relevant} if relevant else ()), "g")
    return Decided(ticket_id, decision, ticket.created_at, ticket.created_at)


def index() -> Matcher:
    found = CardIndex()
    for card_id in ("fc_a", "fc_b", "fc_c"):
        found.upsert(CardRecord(card_id, title="Horn silent"))
    return Matcher(found)


LONG = clock.now() - 2 * LONG_AGO


def test_cards_that_came_after_the_ticket_are_ignored_but_the_right_one():
    asked = [case("fc_a"), case()]
    rows = collect(index(), [one.decision for one in asked])
    facts = {"fc_a": CardFacts(clock.now(), None), "fc_b": CardFacts(clock.now(), None), "fc_c": CardFacts(LONG, None)}
    for (_, row), expected in zip(decisions.fair(asked, rows, facts), [{"fc_b"}, {"fc_a", "fc_b"}], strict=True):
        assert {row.ids[i] for i in np.flatnonzero(row.ignored)} == expected


def test_a_ticket_that_meets_the_card_born_from_it_is_left_out():
    asked = [case(), case("fc_b", "tkt_2"), case("fc_gone", "tkt_3")]
    rows = collect(index(), [one.decision for one in asked])
    facts = {"fc_a": CardFacts(clock.now(), "tkt_1"), "fc_b": CardFacts(LONG, None), "fc_c": CardFacts(LONG, None)}
    kept = [one.ticket_id for one, _ in decisions.fair(asked, rows, facts)]
    assert kept == ["tkt_2"], "and so is one whose card cannot be matched any more"
