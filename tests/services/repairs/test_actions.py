"""Recording what technicians did: consistency, links, and the events that learning lives on."""

from datetime import timedelta

import pytest

from app import clock
from app.errors import Forbidden, IllegalMove, Invalid, NotFound
from app.security import acting_as
from models.enums import TicketStatus
from models.technician_action import ActionContent, TechnicianAction
from models.ticket import Resolution
from services.repairs import actions, ticket_moves
from services.repairs.visibility import load_visible


@pytest.fixture
def act(house, new_ticket):
    """Records an action as the technician, on a new ticket unless one is named."""

    async def record(**fields):
        fields.setdefault("ticket_id", (await new_ticket()).id if "ticket_id" not in fields else None)
        with acting_as(house.technician):
            return await actions.record(ActionContent(**{"resolution_outcome": "success"} | fields))

    return record


async def test_the_first_action_starts_the_ticket(house, act, events_of):
    started = clock.now() - timedelta(hours=1)
    action = await act(started_at=started)

    with acting_as(house.technician):
        ticket = await load_visible(action.ticket_id)
    assert ticket.status is TicketStatus.in_progress
    assert ticket.status_history[-1].status is TicketStatus.in_progress
    events = await events_of(ticket.id)
    assert [event.event_type for event in events] == [
        "ticket.created", "ticket.in_progress", "action.started", "action.completed",
    ]  # fmt: skip
    assert events[2].payload.started_at == started
    assert (action.technician_id, action.technician_name, action.site_id) == (house.technician.id, "asha", house.site)
    assert action.completed_at is not None


async def test_a_card_used_and_rated_and_a_discovery_are_told(house, act, new_card, events_of):
    card = await new_card()
    action = await act(
        failure_card_used=card.id,
        failure_card_helpful=False,
        failure_card_accuracy_rating=2,
        resolution_outcome="partial",
        new_failure_discovered=True,
        new_failure_description="Water in the connector below the seat",
    )
    events = {event.event_type: event.data for event in (await events_of(action.ticket_id))[3:]}
    assert list(events) == ["action.completed", "card.used", "card.rated", "failure.discovered"]
    assert events["action.completed"]["outcome"] == "partial"
    assert events["card.used"] == {"card_id": card.id, "ticket_id": action.ticket_id, "action_id": action.id}
    assert (events["card.rated"]["helpful"], events["card.rated"]["accuracy_rating"]) == (False, 2)
    with acting_as(house.technician):
        ticket = await load_visible(action.ticket_id)
    assert (ticket.selected_failure_card, ticket.new_failure_discovered) == (card.id, True)


async def test_a_card_without_opinion_is_not_rated(act, new_card, events_of):
    action = await act(failure_card_used=(await new_card()).id)
    types = [event.event_type for event in await events_of(action.ticket_id)]
    assert "card.used" in types
    assert "card.rated" not in types


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"resolution_outcome": "failed", "issue_resolved": True}, {"issue_resolved"}),
        ({"resolution_outcome": "escalated"}, {"escalation_reason"}),
        ({"new_failure_discovered": True}, {"new_failure_description"}),
        ({"new_failure_root_cause": "Water"}, {"new_failure_root_cause"}),
        ({"failure_card_helpful": True}, {"failure_card_helpful"}),
        ({"failure_card_modifications": ["Other torque"]}, {"failure_card_modifications"}),
        ({"failure_card_used": "fc_none"}, {"failure_card_used"}),
        ({"failure_cards_viewed": ["fc_a", "fc_b"]}, {"failure_cards_viewed.0", "failure_cards_viewed.1"}),
        (
            {"rejected_hypotheses": [{"hypothesis": "Fuse", "reason_rejected": "Intact", "card_id": "fc_none"}]},
            {"rejected_hypotheses.0.card_id"},
        ),
        (
            {"resolution_outcome": "failed", "issue_resolved": True, "new_failure_discovered": True},
            {"issue_resolved", "new_failure_description"},
        ),
        ({"parts_used": [{"part_name": "Fuse", "usage_id": "use_none"}]}, {"parts_used.0.usage_id"}),
    ],
)
async def test_contradictions_are_refused_by_field_and_leave_nothing(house, act, new_ticket, events_of, fields, faulty):
    ticket = await new_ticket()
    with pytest.raises(Invalid) as caught:
        await act(ticket_id=ticket.id, **fields)

    assert {error["field"] for error in caught.value.extra["errors"]} == faulty
    with acting_as(house.admin):
        assert await TechnicianAction.find({}).to_list() == []
        assert await load_visible(ticket.id) == ticket
    assert len(await events_of(ticket.id)) == 1


async def test_a_card_cannot_be_used_and_ruled_out(act, new_card):
    card = await new_card()
    ruled_out = {"hypothesis": "BMS", "reason_rejected": "Balanced", "card_id": card.id}
    with pytest.raises(Invalid, match="ruled out as well"):
        await act(failure_card_used=card.id, rejected_hypotheses=[ruled_out])


async def test_times_must_make_sense(act):
    now = clock.now()
    tomorrow = now + timedelta(days=1)
    with pytest.raises(Invalid) as caught:
        await act(
            started_at=tomorrow,
            completed_at=now,
            attempted_diagnostics=[{"check_performed": "Measured the pack", "timestamp": tomorrow}],
        )
    assert {error["field"] for error in caught.value.extra["errors"]} == {
        "started_at", "completed_at", "attempted_diagnostics.0.timestamp",
    }  # fmt: skip
    ahead = now + actions.CLOCK_TOLERANCE / 2
    assert (await act(completed_at=ahead)).completed_at == ahead


async def test_finished_tickets_take_no_action_until_reopened(house, act, new_ticket):
    with acting_as(house.technician):
        ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
        ticket = await ticket_moves.resolve(ticket, Resolution(resolution="New BMS"))
    with pytest.raises(IllegalMove) as caught:
        await act(ticket_id=ticket.id)
    assert {"move": "reopen", "to": "in_progress"} in caught.value.extra["legal_moves"]

    with acting_as(house.technician):
        await ticket_moves.reopen(ticket, "Same again", return_window=timedelta(days=30))
    assert (await act(ticket_id=ticket.id)).resolution_round == 2


async def test_an_action_and_a_resolution_never_pass_each_other(house, act, new_ticket):
    """The action writes the ticket, so a resolution decided on the state before it is stale."""
    with acting_as(house.technician):
        before = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
    await act(ticket_id=before.id)
    with acting_as(house.technician):
        assert (await load_visible(before.id)).revision == before.revision + 1


async def test_only_an_admin_records_on_behalf_and_only_of_technicians(house, new_ticket):
    content = ActionContent(ticket_id=(await new_ticket()).id, resolution_outcome="success")
    with acting_as(house.technician), pytest.raises(Forbidden):
        await actions.record(content, technician_id=house.both_sites.id)
    with acting_as(house.admin):
        with pytest.raises(Invalid, match="names no technician"):
            await actions.record(content, technician_id=house.expert.id)
        action = await actions.record(content, technician_id=house.both_sites.id)
    assert (action.technician_id, action.technician_name) == (house.both_sites.id, "chitra")


async def test_actions_are_seen_at_their_site_only(house, act, new_card):
    card = await new_card()
    action = await act(failure_card_used=card.id)
    other = await act()
    with acting_as(house.technician):
        assert (await actions.get(action.id)).id == action.id
        assert [a.id for a in (await actions.list_actions(card_id=card.id)).items] == [action.id]
        assert [a.id for a in (await actions.list_actions(ticket_id=other.ticket_id)).items] == [other.id]
        assert len((await actions.list_actions(technician_id=house.technician.id)).items) == 2
    for stranger in (house.elsewhere, house.customer, house.oem):
        with acting_as(stranger):
            assert (await actions.list_actions(ticket_id=action.ticket_id)).items == []
            with pytest.raises(NotFound):
                await actions.get(action.id)
    with acting_as(house.elsewhere), pytest.raises(NotFound):
        await actions.record(ActionContent(ticket_id=action.ticket_id, resolution_outcome="success"))
