"""What experts make of incidents, and what becomes of their tickets."""

import pytest

from app.errors import NotFound
from app.security import acting_as, system
from benchmarks.ticket_stream import Simulated
from models.enums import FailureCardStatus, TicketStatus
from models.failure_card import CardContent
from models.incident import ClosedBecause, Incident, IncidentStatus
from models.notification import Notification
from models.ticket import Ticket
from services.knowledge import cards, lifecycle, merging
from services.knowledge.content import content_of
from services.workflows.patterns import incidents
from services.workflows.patterns.incidents import IncidentClosed
from tests.services.workflows.patterns.conftest import DAYS, Emergence


async def one_incident(emergence: Emergence, count: int = 8, **fields: object) -> Incident:
    await emergence.emerging(count, **fields)
    await emergence.detect()
    (incident,) = await emergence.incidents()
    return incident


async def approve(emergence: Emergence, card_id: str) -> None:
    with acting_as(emergence.workshop.expert):
        card = await cards.FailureCard.find_one({"_id": card_id})
        assert card is not None
        await lifecycle.approve(card)
    await emergence.workshop.settle()


async def test_approval_closes_it_links_its_tickets_and_tells_who_works_them(emergence: Emergence):
    technician = emergence.workshop.technician.id
    incident = await one_incident(emergence, assigned_technician_id=technician)
    (done,) = await emergence.emerging(1, start=DAYS - 2, within=1, status=TicketStatus.closed, resolution_count=1)
    await emergence.detect()
    await approve(emergence, str(incident.card_id))
    (closed,) = await emergence.incidents()
    assert (closed.status, closed.closed_because) == (IncidentStatus.closed, ClosedBecause.approved)
    with acting_as(system("test")):
        tickets = await Ticket.find({"_id": {"$in": sorted(await emergence.tickets_of(closed))}}).to_list()
        told = await Notification.find({"user_id": technician}).to_list()
    assert {ticket.id: ticket.suggested_failure_cards[:1] for ticket in tickets} == {
        ticket.id: [] if ticket.id == done else [incident.card_id] for ticket in tickets
    }
    assert [one.link for one in told if one.subject.startswith("Known by now")] == [
        f"/api/efi/failure-cards/{incident.card_id}"
    ]
    assert any(closed.title in one.subject for one in told)


async def test_tickets_that_follow_an_approved_incident_open_no_other(emergence: Emergence):
    incident = await one_incident(emergence)
    await approve(emergence, str(incident.card_id))
    await emergence.emerging(4, start=DAYS - 3, within=2)
    await emergence.detect()
    (only,) = await emergence.incidents()
    assert (only.id, only.status, only.ticket_count) == (incident.id, IncidentStatus.closed, 12)


async def test_a_dismissed_incident_comes_back_only_when_it_has_grown_clearly(emergence: Emergence):
    incident = await one_incident(emergence)
    with acting_as(emergence.workshop.expert):
        dismissed = await incidents.dismiss(incident, "one rental fleet")
        assert await incidents.dismiss(dismissed, "again") == dismissed
    await emergence.workshop.settle()
    assert (dismissed.status, dismissed.dismissed_at_count) == (IncidentStatus.watching, 8)
    assert dismissed.dismissed_by is not None
    assert dismissed.dismissed_by.id == emergence.workshop.expert.id
    assert (await emergence.card_of(dismissed)).status is FailureCardStatus.deprecated

    await emergence.emerging(4, start=DAYS - 4, within=1)
    await emergence.detect()
    (watched,) = await emergence.incidents()
    assert (watched.status, watched.ticket_count) == (IncidentStatus.watching, 12)

    await emergence.emerging(4, start=DAYS - 2, within=1)
    await emergence.detect()
    (back,) = await emergence.incidents()
    assert (back.status, back.ticket_count) == (IncidentStatus.open, 16)
    assert back.card_id != dismissed.card_id
    assert (await emergence.card_of(back)).status is FailureCardStatus.draft


async def test_discarding_the_draft_dismisses_the_incident(emergence: Emergence):
    incident = await one_incident(emergence)
    with acting_as(emergence.workshop.expert):
        await lifecycle.discard(await emergence.card_of(incident), "known elsewhere")
    await emergence.workshop.settle()
    (watched,) = await emergence.incidents()
    assert (watched.status, watched.dismissal_reason) == (IncidentStatus.watching, "known elsewhere")


async def test_merging_the_draft_into_an_approved_card_closes_the_incident(emergence: Emergence):
    known = await emergence.workshop.approved_card("Grip heater relay sticks")
    incident = await one_incident(emergence)
    draft = await emergence.card_of(incident)
    with acting_as(emergence.workshop.expert):
        await merging.merge(draft, known.id, reason="the same failure")
    await emergence.workshop.settle()
    (closed,) = await emergence.incidents()
    assert (closed.closed_because, closed.card_id) == (ClosedBecause.approved, known.id)


async def test_a_draft_that_a_person_has_edited_is_left_alone(emergence: Emergence):
    incident = await one_incident(emergence)
    draft = await emergence.card_of(incident)
    content: CardContent = content_of(draft).model_copy(update={"root_cause": "Grip heater relay sticks"})
    with acting_as(emergence.workshop.expert):
        edited = await cards.edit(draft, content, edition=draft.edition)
    await emergence.emerging(4, start=DAYS - 4, within=3)
    await emergence.detect()
    assert (await emergence.card_of(incident)).version == edited.version
    with acting_as(emergence.workshop.expert):
        await incidents.dismiss(await incidents.get(incident.id), "not needed")
    assert (await emergence.card_of(incident)).status is FailureCardStatus.draft


async def test_a_ticket_taken_out_does_not_come_back(emergence: Emergence):
    incident = await one_incident(emergence)
    out = min(await emergence.tickets_of(incident))
    with acting_as(emergence.workshop.expert):
        less = await incidents.take_out(incident, out)
        with pytest.raises(NotFound):
            await incidents.take_out(less, out)
    assert less.ticket_count == 7
    await emergence.emerging(4, start=DAYS - 4, within=3)
    await emergence.detect()
    (grown,) = await emergence.incidents()
    assert out not in await emergence.tickets_of(grown)
    assert grown.ticket_count == len(await emergence.tickets_of(grown)) == 11


async def test_incidents_that_grow_together_become_the_older_one(emergence: Emergence):
    incident = await one_incident(emergence, 12)
    halves = sorted(await emergence.tickets_of(incident))
    with acting_as(system("test")):
        # As two runs over few tickets may leave it: two incidents of one failure.
        other = incident.model_copy(update={"id": f"{incident.id[:-1]}0", "ticket_count": 6, "card_id": None})
        other.id = max(other.id, incident.id + "z")
        await other.insert()
        await incidents.IncidentTicket.get_pymongo_collection().update_many(
            {"_id": {"$in": halves[6:]}}, {"$set": {"incident_id": other.id}}
        )
        await Incident.get_pymongo_collection().update_one({"_id": incident.id}, {"$set": {"ticket_count": 6}})
    found = await emergence.detect()
    first, second = await emergence.incidents()
    assert found.merged == [second.id]
    assert (second.status, second.closed_because, second.merged_into) == (
        IncidentStatus.closed,
        ClosedBecause.merged,
        first.id,
    )
    assert first.ticket_count == len(await emergence.tickets_of(first)) == 12


async def test_what_is_closed_is_not_changed(emergence: Emergence):
    incident = await one_incident(emergence)
    await approve(emergence, str(incident.card_id))
    closed = await incidents_get(incident.id)
    with acting_as(emergence.workshop.expert):
        with pytest.raises(IncidentClosed):
            await incidents.dismiss(closed, "late")
        with pytest.raises(IncidentClosed):
            await incidents.take_out(closed, min(await emergence.tickets_of(closed)))


async def incidents_get(incident_id: str) -> Incident:
    with acting_as(system("test")):
        return await incidents.get(incident_id)


async def test_nothing_personal_and_no_sentence_of_a_ticket_gets_into_the_incident_or_its_draft(emergence: Emergence):
    phrase = "grip heater stays on and the rubber melts"
    told = [
        Simulated(900 + n, DAYS - 10 + n, text, "Ather", "450X", "5.0", (), True, True)
        for n, text in enumerate(
            f"{phrase}. Spoke to Mr Deshpande of Koramangala Motors, call 98220 1234{n}, plate MH 12 AB 123{n}."
            for n in range(8)
        )
    ]
    await emergence.add(told, customer_name="Asha Kulkarni", vehicle_mileage_km=7000)
    await emergence.detect()
    (incident,) = await emergence.incidents()
    card = await emergence.card_of(incident)
    said = f"{incident.model_dump_json()} {card.model_dump_json()}".casefold()
    assert "grip heater" in said
    for secret in ("deshpande", "koramangala", "98220", "mh 12", "mh12", "asha", "kulkarni", phrase):
        assert secret not in said
