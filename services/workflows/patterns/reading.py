"""Tickets as reports of the matching engine: those of the window and of the time before it, and which are unexplained.

Unexplained is a ticket without suggestions, one whose match said that no known failure fits, one whose best suggestion
a technician ruled out, and one that was resolved without a card or as a new failure. A ticket of an incident stays one,
so that what follows it is recognised after its card has been approved, too.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.ids import earliest_id
from matching import find_codes
from matching.channels.vehicle import make_key, model_key
from matching.resemblance import Report
from matching.text import fold, is_keyword, terms
from models.enums import TicketStatus
from models.incident import IncidentTicket
from models.match_run import MatchRun
from models.record import Record
from models.technician_action import TechnicianAction
from models.ticket import Ticket

STRIDE = timedelta(days=5)
"""Tickets are read so far back at a time, newest first: the store's cost follows what matches, not the limit."""
BASELINE_FACTOR = 2
"""How many times as many tickets before the window are read at most as in it."""
BATCH = 500
FINISHED = frozenset({TicketStatus.resolved, TicketStatus.closed})
FIELDS = (
    "title", "description", "error_codes_reported", "symptom_codes", "category", "created_at",
    "vehicle_make", "vehicle_model", "vehicle_firmware", "vehicle_id", "vehicle_number", "status",
    "ai_match_performed", "match_run_id", "suggested_failure_cards", "selected_failure_card",
    "new_failure_discovered", "resolution_count",
)  # fmt: skip

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Period:
    """The last `window` days, and `baseline` days before them; `most` tickets of the window are looked at."""

    window: int
    baseline: int
    most: int


@dataclass(frozen=True, slots=True)
class Read:
    """`texts` by ticket id. `baseline_days` is how far back tickets before the window reach."""

    reports: list[Report]
    texts: dict[str, str]
    baseline_days: int


class Analyses:
    """Terms and codes of texts as they were read last: most tickets are met again in the next run."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str, str]] = {}
        self._met: dict[str, tuple[int, str, str]] = {}

    def of(self, ticket_id: str, text: str, codes: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Terms of the text; codes reported or written in it."""
        reported = "; ".join(codes)
        print_ = hash((text, reported))
        known = self._known.get(ticket_id)
        if known is None or known[0] != print_:
            found = find_codes(f"{reported}. {text}")
            told = " ".join(dict.fromkeys(filter(is_keyword, terms(text))))
            known = (print_, told, "\n".join(code.key for code in found))
        self._met[ticket_id] = known
        return frozenset(known[1].split()), frozenset(known[2].splitlines())

    def end_run(self) -> None:
        """Forget what was not met since the last call."""
        self._known, self._met = self._met, {}


async def read(period: Period, analyses: Analyses) -> Read:
    """Reports of the window and of the time before it."""
    now = clock.now()
    begin = now - timedelta(days=period.window)
    current = [ticket async for ticket in _newest_first(begin, now, period.most)]
    earlier_from = begin - timedelta(days=period.baseline)
    earlier = [ticket async for ticket in _newest_first(earlier_from, begin, BASELINE_FACTOR * period.most)]
    unexplained = await _unexplained(current)
    first = min((ticket["created_at"] for ticket in earlier), default=begin)
    texts = {ticket["_id"]: f"{ticket['title']}. {ticket['description']}".strip() for ticket in (*earlier, *current)}

    def analysed() -> list[Report]:
        """Of ten thousand texts this takes seconds: not on the event loop."""
        reports = []
        for tickets, is_current in ((earlier, False), (current, True)):
            for ticket in tickets:
                told = analyses.of(ticket["_id"], texts[ticket["_id"]], ticket["error_codes_reported"])
                reports.append(_report(ticket, *told, current=is_current, unexplained=ticket["_id"] in unexplained))
        analyses.end_run()
        return reports

    return Read(await asyncio.to_thread(analysed), texts, max(0, (begin - first).days))


def _report(
    ticket: Document, told: frozenset[str], codes: frozenset[str], *, current: bool, unexplained: bool
) -> Report:
    return Report(
        key=ticket["_id"],
        subject=subject_of(ticket["vehicle_id"], ticket["vehicle_number"], ticket["_id"]),
        current=current,
        unexplained=unexplained,
        make=make_key(ticket["vehicle_make"]),
        model=model_key(ticket["vehicle_model"]),
        firmware=fold(ticket["vehicle_firmware"]),
        kind=None if ticket["category"] == "other" else ticket["category"],
        terms=told,
        codes=codes,
        symptoms=frozenset(ticket["symptom_codes"]),
    )


def subject_of(vehicle_id: str | None, number: str, ticket_id: str) -> str:
    """The vehicle, as far as it is known; else every ticket stands for one of its own."""
    return vehicle_id or fold(number).replace(" ", "") or ticket_id


async def _newest_first(since: datetime, until: datetime, most: int) -> AsyncIterator[Document]:
    fields = dict.fromkeys(FIELDS, 1)
    left, end = most, until
    while end > since and left > 0:
        begin = max(since, end - STRIDE)
        made = {"_id": {"$gte": earliest_id("ticket", begin), "$lt": earliest_id("ticket", end)}}
        async for ticket in Ticket.get_pymongo_collection().find(made, fields).sort([("_id", -1)]).limit(left):
            left -= 1
            yield ticket
        end = begin


async def _unexplained(tickets: Collection[Document]) -> frozenset[str]:
    """Ids of the tickets that no known failure explains."""
    runs = [ticket["match_run_id"] for ticket in tickets if ticket["match_run_id"]]
    abstained: set[str] = set()
    async for run in _in_batches(MatchRun, "_id", runs, {"abstained": 1}):
        if run["abstained"]:
            abstained.add(run["_id"])
    ids = [ticket["_id"] for ticket in tickets]
    claims = _in_batches(IncidentTicket, "_id", ids, {"incident_id": 1})
    held = {claim["_id"] async for claim in claims if claim["incident_id"] is not None}
    ruled_out: dict[str, set[str]] = {}
    fields = {"ticket_id": 1, "rejected_hypotheses.card_id": 1}
    async for action in _in_batches(TechnicianAction, "ticket_id", ids, fields):
        cards = {no["card_id"] for no in action["rejected_hypotheses"] if no.get("card_id")}
        ruled_out.setdefault(action["ticket_id"], set()).update(cards)
    return frozenset(held) | frozenset(
        ticket["_id"]
        for ticket in tickets
        if is_unexplained(ticket, ticket["match_run_id"] in abstained, ruled_out.get(ticket["_id"], set()))
    )


def is_unexplained(ticket: Document, abstained: bool, ruled_out: Collection[str]) -> bool:
    """Whether a stored ticket (at least FIELDS) is unexplained; see above. One that was never matched is not."""
    if ticket["new_failure_discovered"]:
        return True
    if ticket["selected_failure_card"] is not None:
        return False
    if ticket["status"] in FINISHED:
        return ticket["resolution_count"] > 0  # imported history was closed without a resolution here
    if not ticket["ai_match_performed"]:
        return False
    suggested = ticket["suggested_failure_cards"]
    return not suggested or abstained or suggested[0] in ruled_out


async def _in_batches(
    model: type[Record], field: str, values: list[str], fields: Mapping[str, int]
) -> AsyncIterator[Document]:
    for start in range(0, len(values), BATCH):
        query = {field: {"$in": values[start : start + BATCH]}}
        async for document in model.get_pymongo_collection().find(query, fields):
            yield document
