"""Stock and part usage: nothing oversold, nothing lost, sums exact."""

import asyncio
import random
from decimal import Decimal

import pytest

from app.errors import Conflict, Duplicate, IllegalMove, Invalid, NotFound, Stale
from app.security import acting_as, system
from models.enums import PartUsageStatus, TicketStatus
from models.part import MAX_QUANTITY, Part, PartContent, PartUsage
from models.technician_action import ActionContent
from models.ticket import Resolution, Ticket
from services.repairs import actions, stock, ticket_moves, usage
from services.repairs.stock import InsufficientStock
from services.repairs.usage import NotOutstanding, Settling
from services.repairs.visibility import load_visible


@pytest.fixture
def new_part(house):
    async def make(quantity: int = 10, *, site: str | None = None, **fields) -> Part:
        content = {"part_name": "HV fuse 125 A", "part_number": "FUS-125", "unit_cost": Decimal("33.33")}
        with acting_as(house.admin):
            return await stock.add_part(PartContent(**content | fields), site_id=site or house.site, quantity=quantity)

    return make


@pytest.fixture
def in_house(house):
    """The test acts as the technician of the first site."""
    with acting_as(house.technician):
        yield house


async def counts(part: Part) -> tuple[int, int]:
    fresh = await stock.load(part.id)
    return fresh.quantity_on_hand, fresh.quantity_allocated


async def test_allocated_pieces_leave_the_shelf_and_come_to_an_end(in_house, new_ticket, new_part):
    part, ticket = await new_part(10), await new_ticket()
    taken = await usage.allocate(ticket.id, part.id, 5)
    assert await counts(part) == (5, 5)
    assert (taken.status, usage.outstanding(taken)) == (PartUsageStatus.allocated, 5)

    taken = await usage.settle(taken.id, Settling.used, 2)
    taken = await usage.settle(taken.id, Settling.damaged, 1)
    assert taken.status is PartUsageStatus.allocated
    taken = await usage.settle(taken.id, Settling.returned)

    assert (taken.quantity_used, taken.quantity_damaged, taken.quantity_returned) == (2, 1, 2)
    assert (taken.status, usage.outstanding(taken)) == (PartUsageStatus.used, 0)
    assert taken.total_cost == Decimal("66.66")
    assert await counts(part) == (7, 0)


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([Settling.returned], PartUsageStatus.returned),
        ([Settling.damaged], PartUsageStatus.damaged),
        ([Settling.used], PartUsageStatus.used),
        ([Settling.returned, Settling.damaged], PartUsageStatus.damaged),
        ([Settling.damaged, Settling.used], PartUsageStatus.used),
    ],
)
async def test_the_final_status_names_what_weighs_most(in_house, new_ticket, new_part, steps, status):
    taken = await usage.allocate((await new_ticket()).id, (await new_part()).id, len(steps))
    for step in steps:
        taken = await usage.settle(taken.id, step, 1)
    assert taken.status is status
    for again in Settling:
        with pytest.raises(IllegalMove) as caught:
            await usage.settle(taken.id, again)
        assert caught.value.extra["legal"] == []


async def test_more_than_outstanding_is_refused(in_house, new_ticket, new_part):
    part = await new_part(10)
    taken = await usage.allocate((await new_ticket()).id, part.id, 3)
    await usage.settle(taken.id, Settling.used, 2)
    with pytest.raises(NotOutstanding) as caught:
        await usage.settle(taken.id, Settling.returned, 2)
    assert caught.value.extra["outstanding"] == 1
    assert await counts(part) == (7, 1)


async def test_stock_never_goes_below_zero(in_house, new_ticket, new_part):
    part, ticket = await new_part(2), await new_ticket()
    with pytest.raises(InsufficientStock) as caught:
        await usage.allocate(ticket.id, part.id, 3)
    assert caught.value.extra["quantity_on_hand"] == 2
    with pytest.raises(InsufficientStock):
        await stock.adjust(part, -3, "Count")
    with pytest.raises(InsufficientStock):
        await stock.adjust(part, MAX_QUANTITY, "Typing error")
    with pytest.raises(Invalid):
        await stock.adjust(part, 0, "Nothing")
    assert await counts(part) == (2, 0)
    assert (await usage.list_usage(ticket_id=ticket.id)).items == []


async def test_adjustments_keep_their_reason_and_author(in_house, new_part):
    part = await stock.adjust(await new_part(2), 8, "Delivery 4711")
    part = await stock.adjust(part, -1, "Broken on the shelf")
    assert part.quantity_on_hand == 9
    assert [(c.quantity, c.reason, c.updated_by.id) for c in part.stock_changes[1:]] == [
        (8, "Delivery 4711", in_house.technician.id),
        (-1, "Broken on the shelf", in_house.technician.id),
    ]


async def test_concurrent_allocations_never_oversell(in_house, new_ticket, new_part):
    part = await new_part(7)
    tickets = [await new_ticket() for _ in range(12)]

    async def take(ticket: Ticket) -> int:
        try:
            return (await usage.allocate(ticket.id, part.id, 1)).quantity_allocated
        except InsufficientStock:
            return 0

    taken = await asyncio.gather(*(take(ticket) for ticket in tickets))
    assert sum(taken) == 7
    assert await counts(part) == (0, 7)


async def test_concurrent_settling_counts_every_piece_once(in_house, new_ticket, new_part):
    part = await new_part(10)
    taken = await usage.allocate((await new_ticket()).id, part.id, 6)

    async def settle(how: Settling) -> int:
        try:
            await usage.settle(taken.id, how, 1)
        except Conflict:
            return 0
        return 1

    kinds = [*Settling] * 3
    random.Random(7).shuffle(kinds)
    assert sum(await asyncio.gather(*(settle(how) for how in kinds))) == 6
    fresh = await usage.load(taken.id)
    assert usage.outstanding(fresh) == 0
    assert fresh.quantity_used + fresh.quantity_returned + fresh.quantity_damaged == 6
    assert await counts(part) == (4 + fresh.quantity_returned, 0)


async def test_costs_of_the_ticket_are_exact(in_house, new_ticket, new_part):
    fuse = await new_part(100)
    unpriced = await new_part(5, part_number="BOLT-8", part_name="Bolt", unit_cost=None)
    ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
    for part, quantity in ((fuse, 3), (fuse, 7), (unpriced, 5)):
        await usage.settle((await usage.allocate(ticket.id, part.id, quantity)).id, Settling.used)
    broken = await usage.allocate(ticket.id, fuse.id, 1)
    await usage.settle(broken.id, Settling.damaged)

    ticket = await load_visible(ticket.id)
    assert (ticket.parts_cost, ticket.actual_cost) == (Decimal("333.30"), Decimal("333.30"))
    assert [(used.part_name, used.quantity) for used in ticket.parts_used] == [
        ("HV fuse 125 A", 3), ("HV fuse 125 A", 7), ("Bolt", 5),
    ]  # fmt: skip
    ticket = await ticket_moves.resolve(ticket, Resolution(resolution="Fuses", labor_cost=Decimal("0.07")))
    assert (ticket.parts_cost, ticket.labor_cost, ticket.actual_cost) == (
        Decimal("333.30"), Decimal("0.07"), Decimal("333.37"),
    )  # fmt: skip


async def test_a_sum_too_large_to_store_is_refused(in_house, new_ticket, new_part):
    part = await new_part(10, unit_cost=Decimal("999999999999.99"))
    taken = await usage.allocate((await new_ticket()).id, part.id, 2)
    with pytest.raises(Invalid):
        await usage.settle(taken.id, Settling.used)
    assert await counts(part) == (8, 2)


async def test_recommendation_follows_from_the_tickets_cards(in_house, new_ticket, new_part, new_card):
    card = await new_card(
        required_parts=[{"part_name": "hv FUSE 125 a", "part_number": "OEM-1", "substitutes": ["S-9"]}]
    )
    fuse = await new_part()
    substitute = await new_part(part_number="s-9", part_name="Fuse, other make")
    stranger = await new_part(part_number="LAMP", part_name="Lamp")
    ticket = await new_ticket()
    plain = await usage.allocate(ticket.id, fuse.id, 1)
    assert (plain.was_recommended, plain.failure_card_id) == (False, None)

    suggested = {"$set": {"suggested_failure_cards": [card.id]}}
    await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, suggested)
    direct = await usage.allocate(ticket.id, fuse.id, 1)
    replaced = await usage.allocate(ticket.id, substitute.id, 1)
    other = await usage.allocate(ticket.id, stranger.id, 1, substitute_for="Old lamp")

    assert (direct.was_recommended, direct.is_substitute, direct.failure_card_id) == (True, False, card.id)
    assert (replaced.was_recommended, replaced.is_substitute, replaced.substitute_for) == (False, True, "OEM-1")
    assert (other.was_recommended, other.substitute_for, other.failure_card_id) == (False, "Old lamp", None)


async def test_parts_stay_in_their_workshop(house, new_ticket, new_part):
    part, foreign = await new_part(), await new_part(site=house.other_site)
    ticket = await new_ticket()
    with acting_as(house.technician):
        taken = await usage.allocate(ticket.id, part.id, 1)
        with pytest.raises(NotFound):
            await usage.allocate(ticket.id, foreign.id, 1)
        assert [p.id for p in (await stock.list_parts()).items] == [part.id]
    with acting_as(house.both_sites), pytest.raises(Invalid, match="another site"):
        await usage.allocate(ticket.id, foreign.id, 1)
    for stranger in (house.elsewhere, house.customer):
        with acting_as(stranger):
            assert (await usage.list_usage(ticket_id=ticket.id)).items == []
            for attempt in (usage.load(taken.id), usage.settle(taken.id, Settling.used), stock.load(part.id)):
                with pytest.raises(NotFound):
                    await attempt
    with acting_as(house.technician), pytest.raises(Invalid, match="site that you act for"):
        await stock.add_part(PartContent(part_name="Lamp", part_number="L"), site_id=house.other_site)


async def test_finished_tickets_get_no_parts_but_give_them_back(in_house, new_ticket, new_part):
    part = await new_part(5)
    ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
    taken = await usage.allocate(ticket.id, part.id, 2)
    ticket = await ticket_moves.resolve(ticket, Resolution(resolution="Fixed"))
    with pytest.raises(IllegalMove):
        await usage.allocate(ticket.id, part.id, 1)
    await ticket_moves.close(ticket)
    with pytest.raises(IllegalMove) as caught:
        await usage.settle(taken.id, Settling.used)
    assert caught.value.extra["legal"] == ["returned"]
    await usage.settle(taken.id, Settling.returned)
    assert await counts(part) == (5, 0)


async def test_an_action_is_linked_to_the_parts_it_names(in_house, new_ticket, new_part):
    ticket, other = await new_ticket(), await new_ticket()
    part = await new_part()
    taken = await usage.allocate(ticket.id, part.id, 1)
    fields = {"resolution_outcome": "success", "parts_used": [{"part_name": "Fuse", "usage_id": taken.id}]}
    with pytest.raises(Invalid, match="of this ticket"):
        await actions.record(ActionContent(ticket_id=other.id, **fields))
    action = await actions.record(ActionContent(ticket_id=ticket.id, **fields))
    assert (await usage.load(taken.id)).action_id == action.id


async def test_part_numbers_are_unique_within_a_site(house, new_part):
    part = await new_part()
    await new_part(site=house.other_site)
    other = await new_part(part_number="FUS-250")
    with pytest.raises(Duplicate):
        await new_part()
    with acting_as(house.technician):
        with pytest.raises(Duplicate):
            await stock.edit(other, PartContent(part_name="x", part_number="FUS-125"), revision=1)
        with pytest.raises(Stale):
            await stock.edit(part, PartContent(part_name="x", part_number="y"), revision=9)
        dearer = PartContent(part_name=part.part_name, part_number="FUS-125", unit_cost=Decimal(40))
        edited = await stock.edit(part, dearer, revision=part.revision)
    assert (edited.unit_cost, edited.quantity_on_hand) == (Decimal(40), 10)


async def test_the_price_is_that_of_the_allocation(in_house, new_ticket, new_part):
    part = await new_part()
    taken = await usage.allocate((await new_ticket()).id, part.id, 1)
    part = await stock.load(part.id)
    await stock.edit(part, PartContent(part_name="x", part_number="y", unit_cost=Decimal(99)), revision=part.revision)
    assert (await usage.settle(taken.id, Settling.used)).total_cost == Decimal("33.33")


async def test_stock_and_usage_agree_after_a_random_history(in_house, new_ticket, new_part):
    part, ticket = await new_part(20), await new_ticket()
    chance = random.Random(42)
    taken: list[str] = []
    for _ in range(40):
        try:
            if not taken or chance.random() < 0.4:
                taken.append((await usage.allocate(ticket.id, part.id, chance.randint(1, 4))).id)
            else:
                await usage.settle(chance.choice(taken), chance.choice([*Settling]), chance.randint(1, 3))
        except Conflict:
            continue
    with acting_as(system("test")):
        all_usage = await PartUsage.find({}).to_list()
    on_hand, allocated = await counts(part)
    assert allocated == sum(usage.outstanding(one) for one in all_usage)
    gone = sum(one.quantity_used + one.quantity_damaged for one in all_usage)
    assert on_hand + allocated + gone == 20
    used = sum(one.quantity_used for one in all_usage)
    assert used > 0
    assert (await load_visible(ticket.id)).parts_cost == Decimal("33.33") * used
