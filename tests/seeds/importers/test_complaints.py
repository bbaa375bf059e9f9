"""Owner complaints become tickets, once each, and nothing else."""

from datetime import UTC, datetime

import pytest

from models.enums import Priority, TicketCategory, TicketStatus
from models.event import EfiEvent
from models.failure_card import FailureCard
from models.ticket import Ticket
from seeds.importers.nhtsa_complaints import ComplaintImporter
from seeds.importers.runs import run_import
from tests.seeds.importers.excerpts import COMPLAINT, complaint_line, json_lines, written


async def imported(path, **options):
    return await run_import(ComplaintImporter(**options), path)


async def only_ticket() -> Ticket:
    [ticket] = await Ticket.find({}).to_list()
    return ticket


async def test_a_complaint_of_json_lines(store, tmp_path):
    run = await imported(written(tmp_path / "c.jsonl", json_lines(COMPLAINT)))

    assert (run.created, run.bad_count) == (1, 0)
    ticket = await only_ticket()
    assert ticket.natural_key == "nhtsa:complaint:11000001"
    assert ticket.title == "While driving, the steering assist failed without warning."
    assert ticket.description.startswith(COMPLAINT["text"])
    assert "occurred 2022-02-28; components: STEERING, ELECTRICAL SYSTEM" in ticket.description
    assert (ticket.vehicle_make, ticket.vehicle_model, ticket.vehicle_year) == ("VOLTA", "CITY", 2021)
    assert (ticket.category, ticket.priority) == (TicketCategory.mechanical, Priority.medium)
    assert ticket.created_at == datetime(2022, 3, 4, tzinfo=UTC)


async def test_rows_of_the_flat_file_make_one_complaint(store, tmp_path):
    lines = [
        complaint_line(),
        complaint_line(CMPLID="900002", COMPDESC="ELECTRICAL SYSTEM"),
        complaint_line(CMPLID="900003", ODINO="11000002", YEARTXT="9999", MILES="", CRASH="Y"),
    ]
    run = await imported(written(tmp_path / "FLAT_CMPL.txt", "\r\n".join(lines)))

    assert (run.created, run.bad_count) == (2, 0)
    first, second = await Ticket.find({}).sort([("natural_key", 1)]).to_list()
    assert "components: STEERING, ELECTRICAL SYSTEM" in first.description
    assert (first.vehicle_mileage_km, second.vehicle_mileage_km) == (16_093, None)
    assert (second.vehicle_year, second.priority) == (None, Priority.high)


async def test_history_is_closed_and_silent(store, tmp_path):
    await imported(written(tmp_path / "c.jsonl", json_lines(COMPLAINT)))
    ticket = await only_ticket()
    assert (ticket.status, ticket.closed_at, ticket.resolution_count) == (TicketStatus.closed, ticket.created_at, 0)
    assert [(e.status, e.updated_by.id) for e in ticket.status_history] == [("closed", "system:import")]
    assert await EfiEvent.find({}).to_list() == []


async def test_with_events_complaints_come_in_as_new_tickets(store, tmp_path):
    rows = [COMPLAINT | {"odi": str(11_000_001 + n)} for n in range(3)]
    await imported(written(tmp_path / "c.jsonl", json_lines(*rows)), with_events=True)
    tickets = await Ticket.find({}).to_list()
    assert {ticket.status for ticket in tickets} == {TicketStatus.open}
    events = await EfiEvent.find({}).to_list()
    assert {event.event_type for event in events} == {"ticket.created"}
    assert {event.subject_id for event in events} == {ticket.id for ticket in tickets}


async def test_complaints_are_never_knowledge(store, tmp_path):
    await imported(written(tmp_path / "c.jsonl", json_lines(COMPLAINT)), with_events=True)
    assert await FailureCard.find({}).to_list() == []


@pytest.mark.parametrize(
    ("changes", "priority"),
    [
        ({"crash": True}, Priority.high),
        ({"fire": True}, Priority.critical),
        ({"injuries": 2}, Priority.critical),
        ({"deaths": 1, "crash": True}, Priority.critical),
    ],
)
async def test_harm_sets_the_priority(store, tmp_path, changes, priority):
    await imported(written(tmp_path / "c.jsonl", json_lines(COMPLAINT | changes)))
    assert (await only_ticket()).priority is priority


async def test_bad_rows_are_listed_and_the_rest_goes_in(store, tmp_path):
    rows = [
        COMPLAINT | {"odi": "x1"},
        COMPLAINT | {"text": "  "},
        COMPLAINT | {"filed": "", "incident": "19011301"},
        COMPLAINT | {"filed": "2999-01-01"},
        COMPLAINT | {"vehicles": "none"},
        COMPLAINT | {"odi": "11000002", "text": "x" * 20_001},
        {"something": "else"},
        COMPLAINT,
    ]
    content = json_lines(*rows) + "{broken\n"
    run = await imported(written(tmp_path / "c.jsonl", content))

    assert (run.created, run.bad_count) == (1, 8)
    reasons = {bad.row: bad.reason for bad in run.bad_rows}
    assert "ODI number" in reasons[1]
    assert "no description" in reasons[2]
    assert "date of filing" in reasons[3]
    assert "future" in reasons[4]
    assert "not a list" in reasons[5]
    assert reasons[6].startswith("description: ")
    assert "too few" in reasons[7]
    assert "not JSON" in reasons[9]


async def test_products_that_are_no_vehicles_are_left_out(store, tmp_path):
    run = await imported(written(tmp_path / "FLAT_CMPL.txt", complaint_line(PROD_TYPE="C")))
    assert (run.created, run.bad_rows[0].reason) == (0, "is not about a vehicle but a product of type C")


async def test_importing_again_adds_and_changes_nothing(store, tmp_path):
    path = written(tmp_path / "c.jsonl", json_lines(COMPLAINT, COMPLAINT | {"odi": "11000002"}))
    await imported(path)
    before = await Ticket.find({}).sort([("_id", 1)]).to_list()
    again = await imported(path)
    flat = await imported(written(tmp_path / "FLAT_CMPL.txt", complaint_line()))

    assert (again.created, again.unchanged) == (0, 2)
    assert (flat.created, flat.unchanged) == (0, 1)
    assert await Ticket.find({}).sort([("_id", 1)]).to_list() == before


async def test_what_became_of_a_ticket_survives_importing_again(store, tmp_path):
    path = written(tmp_path / "c.jsonl", json_lines(COMPLAINT))
    await imported(path)
    await Ticket.get_pymongo_collection().update_one({}, {"$set": {"status": "in_progress", "title": "Seen to"}})
    await imported(path)
    assert ((await only_ticket()).status, (await only_ticket()).title) == ("in_progress", "Seen to")


async def test_control_characters_do_not_get_in(store, tmp_path):
    dirty = COMPLAINT | {"text": "Steering\u0000 assist\u0085 failed.\tTwice."}
    await imported(written(tmp_path / "c.jsonl", json_lines(dirty)))
    assert (await only_ticket()).description.startswith("Steering assist failed.\tTwice.")


class Stopped(Exception):
    """What kills a run in the middle."""


async def test_a_stopped_run_resumes_where_it_was(store, tmp_path):
    rows = [COMPLAINT | {"odi": str(11_000_000 + n)} for n in range(95)]
    rows[40]["text"] = ""
    path = written(tmp_path / "c.jsonl", json_lines(*rows))

    def stop(_position, _size, run):
        if run.created >= 50:
            raise Stopped

    with pytest.raises(Stopped):
        await run_import(ComplaintImporter(), path, batch=20, progress=stop)
    halfway = await Ticket.find({}).count()
    assert 50 <= halfway < 94

    run = await run_import(ComplaintImporter(), path, batch=20)
    assert (run.created, run.unchanged, run.bad_count) == (94, 0, 1)
    assert run.finished_at is not None
    assert await Ticket.find({}).count() == 94


async def test_a_failing_batch_leaves_neither_tickets_nor_progress(store, tmp_path, monkeypatch):
    path = written(tmp_path / "c.jsonl", json_lines(COMPLAINT))

    class Failing(ComplaintImporter):
        async def store(self, items):
            await super().store(items)
            raise Stopped

    with pytest.raises(Stopped):
        await run_import(Failing(with_events=True), path)
    assert await Ticket.find({}).to_list() == []
    assert await EfiEvent.find({}).to_list() == []
    run = await imported(path, with_events=True)
    assert (run.created, run.next_row) == (1, 1)
