"""The way of a ticket: every legal move, every illegal one, and what each writes."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from app import clock
from app.database import in_transaction
from app.errors import Forbidden, IllegalMove, Invalid, Stale
from app.security import acting_as
from models.account import User
from models.enums import TicketStatus
from models.event import TicketResolved
from models.ticket import Resolution, Ticket
from services.repairs import ticket_moves
from services.repairs.ticket_states import MOVES, Move, check
from services.repairs.visibility import load_visible

WINDOW = timedelta(days=30)
WAY = {
    TicketStatus.open: [],
    TicketStatus.in_progress: [Move.progress],
    TicketStatus.pending_parts: [Move.progress, Move.progress],
    TicketStatus.resolved: [Move.progress, Move.resolve],
    TicketStatus.closed: [Move.progress, Move.resolve, Move.close],
}


async def go(ticket: Ticket, move: Move, wanted: TicketStatus | None = None) -> Ticket:
    if move is Move.progress:
        return await ticket_moves.progress(ticket, wanted or MOVES[move].get(ticket.status, TicketStatus.in_progress))
    if move is Move.resolve:
        return await ticket_moves.resolve(ticket, Resolution(resolution="Replaced the BMS"))
    if move is Move.close:
        return await ticket_moves.close(ticket)
    return await ticket_moves.reopen(ticket, "Same fault again", return_window=WINDOW)


@pytest.fixture
def ticket_in(new_ticket):
    async def reach(status: TicketStatus) -> Ticket:
        ticket = await new_ticket()
        for move in WAY[status]:
            ticket = await go(ticket, move)
        assert ticket.status is status
        return ticket

    return reach


@pytest.mark.parametrize(("status", "move"), list(product(TicketStatus, Move)))
async def test_every_move_from_every_state(house, ticket_in, events_of, status, move):
    with acting_as(house.technician):
        ticket = await ticket_in(status)
        before = len(await events_of(ticket.id))
        if status in MOVES[move]:
            moved = await go(ticket, move)
            assert moved.status is MOVES[move][status]
            assert moved.status_history[-1].status is moved.status
            assert moved.revision == ticket.revision + 1
            assert len(await events_of(ticket.id)) > before
            return
        with pytest.raises(IllegalMove) as caught:
            await go(ticket, move)
        legal = {(m, ways[status]) for m, ways in MOVES.items() if status in ways}
        assert {(entry["move"], entry["to"]) for entry in caught.value.extra["legal_moves"]} == legal
        assert set(caught.value.extra["legal"]) == {target for _, target in legal}
        assert caught.value.extra["current"] == status
        unchanged = await load_visible(ticket.id)
        assert unchanged == ticket
        assert len(await events_of(ticket.id)) == before


@pytest.mark.parametrize(("current", "wanted"), list(product(TicketStatus, TicketStatus)))
def test_progress_reaches_its_one_target_only(current, wanted):
    if MOVES[Move.progress].get(current) is wanted:
        check(Move.progress, current, wanted)
    else:
        with pytest.raises(IllegalMove):
            check(Move.progress, current, wanted)


async def test_a_whole_life_leaves_its_events_in_order(house, new_ticket, events_of, new_card):
    card = await new_card()
    resolution = Resolution(resolution="New BMS", selected_failure_card=card.id, customer_satisfaction=4)
    with acting_as(house.technician):
        ticket = await new_ticket()
        ticket = await ticket_moves.assign(ticket, house.technician.id)
        ticket = await ticket_moves.progress(ticket, TicketStatus.in_progress)
        ticket = await ticket_moves.progress(ticket, TicketStatus.pending_parts, "BMS ordered")
        ticket = await ticket_moves.progress(ticket, TicketStatus.in_progress)
        ticket = await ticket_moves.resolve(ticket, resolution)
        ticket = await ticket_moves.close(ticket)
        ticket = await ticket_moves.reopen(ticket, "Came back", return_window=WINDOW)

    events = await events_of(ticket.id)
    assert [event.event_type for event in events] == [
        "ticket.created",
        "ticket.assigned",
        "ticket.in_progress",
        "action.started",
        "ticket.in_progress",
        "ticket.in_progress",
        "ticket.resolved",
        "ticket.closed",
        "ticket.in_progress",
    ]
    assert {event.site_id for event in events} == {house.site}
    assert events[6].payload == TicketResolved(
        ticket_id=ticket.id, resolution_round=1, card_id=card.id, customer_satisfaction=4
    )
    assert (ticket.customer_satisfaction, ticket.resolution_successful) == (None, None)
    assert events[4].data["note"] == "BMS ordered"
    assert events[8].data["revisit"] is True
    assert [entry.status for entry in ticket.status_history] == [
        "open", "in_progress", "pending_parts", "in_progress", "resolved", "closed", "in_progress",
    ]  # fmt: skip


@pytest.mark.parametrize(("age_days", "within"), [(29, True), (31, False)])
async def test_a_revisit_knows_the_return_window_and_the_passage(
    house, new_ticket, new_card, events_of, age_days, within
):
    card = await new_card()
    with acting_as(house.technician):
        ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
        await ticket_moves.resolve(ticket, Resolution(resolution="New BMS", selected_failure_card=card.id))
        resolved_at = clock.now() - timedelta(days=age_days)
        await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, {"$set": {"resolved_at": resolved_at}})
        reopened = await ticket_moves.reopen(await load_visible(ticket.id), "Again", return_window=WINDOW)
        assert ticket_moves.round_of(reopened) == 2
        assert (reopened.revisit_count, reopened.selected_failure_card, reopened.resolved_at) == (1, None, None)
        again = await ticket_moves.resolve(reopened, Resolution(resolution="Harness", labor_hours=1))

    assert again.resolution_count == 2
    reopening, resolution = (await events_of(ticket.id))[-2:]
    assert (reopening.data["revisit_of_round"], reopening.data["within_return_window"]) == (1, within)
    assert resolution.data["resolution_round"] == 2
    assert resolution.data["card_id"] is None


async def test_reopening_what_was_never_resolved_is_no_revisit(house, new_ticket, events_of):
    ticket = await new_ticket()
    await_closed = {"$set": {"status": "closed"}}
    with acting_as(house.technician):
        await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, await_closed)
        reopened = await ticket_moves.reopen(await load_visible(ticket.id), "Look again", return_window=WINDOW)
    assert (reopened.revisit_count, ticket_moves.round_of(reopened)) == (0, 1)
    assert (await events_of(ticket.id))[-1].data["revisit"] is False


async def test_labour_adds_up_exactly_over_the_passages(house, new_ticket):
    with acting_as(house.technician):
        ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
        for cost in ("0.10", "0.20"):
            ticket = await ticket_moves.resolve(
                ticket, Resolution(resolution="Fixed", labor_hours=0.5, labor_cost=Decimal(cost))
            )
            ticket = await ticket_moves.reopen(ticket, "Again", return_window=WINDOW)
    assert (ticket.labor_cost, ticket.actual_cost, ticket.labor_hours) == (Decimal("0.30"), Decimal("0.30"), 1.0)


async def test_a_card_that_does_not_exist_resolves_nothing(house, new_ticket):
    with acting_as(house.technician):
        ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
        with pytest.raises(Invalid) as caught:
            await ticket_moves.resolve(ticket, Resolution(resolution="Fixed", selected_failure_card="fc_nothing"))
        assert caught.value.extra["errors"][0]["field"] == "selected_failure_card"
        assert (await load_visible(ticket.id)).status is TicketStatus.in_progress


async def test_assignment_needs_a_fit_technician(house, new_ticket):
    ticket = await new_ticket()
    with acting_as(house.technician):
        gone = await User.find_one({"_id": house.both_sites.id})
        await User.get_pymongo_collection().update_one({"_id": gone.id}, {"$set": {"active": False}})
        for technician_id, rule in [
            ("usr_nobody", "names no user"),
            (gone.id, "deactivated"),
            (house.expert.id, "without the role"),
            (house.elsewhere.id, "does not work at site"),
        ]:
            with pytest.raises(Invalid, match=rule) as caught:
                await ticket_moves.assign(ticket, technician_id)
            assert caught.value.extra["errors"][0]["field"] == "technician_id"
        assigned = await ticket_moves.assign(ticket, house.technician.id)
    assert assigned.assigned_technician_name == "asha"


async def test_assigning_again_changes_nothing_and_tells_nobody(house, new_ticket, events_of):
    with acting_as(house.technician):
        ticket = await ticket_moves.assign(await new_ticket(), house.technician.id)
        again = await ticket_moves.assign(ticket, house.technician.id)
    assert again.revision == ticket.revision
    assert [event.event_type for event in await events_of(ticket.id)] == ["ticket.created", "ticket.assigned"]


async def test_a_customers_ticket_gets_the_site_of_who_takes_it(house, new_ticket):
    ticket = await new_ticket(actor=house.customer)
    with acting_as(house.expert):
        with pytest.raises(Invalid) as caught:
            await ticket_moves.assign(ticket, house.both_sites.id)
        assert caught.value.extra["errors"][0]["field"] == "site_id"
        taken = await ticket_moves.assign(ticket, house.elsewhere.id)
        moved = await ticket_moves.assign(taken, house.both_sites.id, site_id=house.site)
    assert (taken.site_id, moved.site_id) == (house.other_site, house.site)


async def test_a_technician_sends_no_ticket_to_a_site_of_others(house, new_ticket):
    ticket = await new_ticket()
    with acting_as(house.technician), pytest.raises(Forbidden):
        await ticket_moves.assign(ticket, house.both_sites.id, site_id=house.other_site)


@pytest.mark.parametrize("status", [TicketStatus.resolved, TicketStatus.closed])
async def test_finished_tickets_are_not_assigned(house, ticket_in, status):
    with acting_as(house.technician):
        ticket = await ticket_in(status)
        with pytest.raises(IllegalMove) as caught:
            await ticket_moves.assign(ticket, house.technician.id)
    assert "in_progress" in caught.value.extra["legal"]


async def test_of_two_who_resolve_at_once_one_wins(house, ticket_in, events_of):
    """Each reads, decides and writes in a transaction of its own, as a route does."""
    with acting_as(house.technician):
        ticket = await ticket_in(TicketStatus.in_progress)

        async def resolve_it(text: str) -> str:
            async def work() -> Ticket:
                return await ticket_moves.resolve(await load_visible(ticket.id), Resolution(resolution=text))

            try:
                await in_transaction(work)
            except IllegalMove:
                return "refused"
            return text

        outcomes = await asyncio.gather(resolve_it("one"), resolve_it("two"), resolve_it("three"))
        resolved = await load_visible(ticket.id)
    assert outcomes.count("refused") == 2
    assert resolved.resolution in outcomes
    assert [e.event_type for e in await events_of(ticket.id)].count("ticket.resolved") == 1


async def test_a_write_over_a_newer_state_is_stale(house, ticket_in):
    with acting_as(house.technician):
        ticket = await ticket_in(TicketStatus.in_progress)
        await ticket_moves.progress(ticket, TicketStatus.pending_parts)
        with pytest.raises(Stale):
            await ticket_moves.resolve(ticket, Resolution(resolution="Fixed"))
