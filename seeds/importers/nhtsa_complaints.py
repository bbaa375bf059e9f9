"""Owner complaints of NHTSA's Office of Defects Investigation, imported as tickets.

Complaints are unverified reports of owners. They become tickets and nothing else: no failure card is made of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from app import clock
from app.ids import id_at
from models.enums import Priority, TicketStatus
from models.event import TicketCreated
from models.record import ActorRef
from models.ticket import StatusChange, Ticket
from seeds.importers.nhtsa import classify, clean, count, day, excerpt, model_year, sentences, shortened, yes
from seeds.importers.reading import Refused, Row, Source
from seeds.importers.runs import Item, Step, Stored
from services.events.record import record_all

# Order of the fields in FLAT_CMPL.txt, as NHTSA's layout document CMPL.txt ("CONSUMER COMPLAINTS") states it, as far as
# they are needed.
COLUMNS = (
    "CMPLID", "ODINO", "MFR_NAME", "MAKETXT", "MODELTXT", "YEARTXT", "CRASH", "FAILDATE", "FIRE", "INJURED", "DEATHS",
    "COMPDESC", "CITY", "STATE", "VIN", "DATEA", "LDATE", "MILES", "OCCURENCES", "CDESCR", "CMPL_TYPE",
    "POLICE_RPT_YN", "PURCH_DT", "ORIG_OWNER_YN", "ANTI_BRAKES_YN", "CRUISE_CONT_YN", "NUM_CYLS", "DRIVE_TRAIN",
    "FUEL_SYS", "FUEL_TYPE", "TRANS_TYPE", "VEH_SPEED", "DOT", "TIRE_SIZE", "LOC_OF_TIRE", "TIRE_FAIL_TYPE",
    "ORIG_EQUIP_YN", "MANUF_DT", "SEAT_TYPE", "RESTRAINT_TYPE", "DEALER_NAME", "DEALER_TEL", "DEALER_CITY",
    "DEALER_STATE", "DEALER_ZIP", "PROD_TYPE",
)  # fmt: skip

KM_PER_MILE = 1.609344
TITLE_LENGTH = 120
MIN_TELLING = 15
"""Shorter sentences are outcries ("Help!") more often than descriptions."""
_TELLER = r"(TL\W*)?(the )?(contact|consumer|owner)s? "
_OWNERSHIP = re.compile(_TELLER + r"(own|lease|rent|purchase|bought|is the)", re.IGNORECASE)
_PREAMBLE = re.compile(_TELLER + r"(stated|states|reported|indicated) (that )?", re.IGNORECASE)
_ODI_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(slots=True)
class Complaint:
    """One complaint, out of one JSON object or of the flat file's rows for it (one for each component)."""

    odi: str
    filed: datetime
    text: str
    make: str
    model: str
    year: int | None
    incident: datetime | None = None
    components: list[str] = field(default_factory=list)
    other_vehicles: list[str] = field(default_factory=list)
    miles: int = 0
    crash: bool = False
    fire: bool = False
    injuries: int = 0
    deaths: int = 0


class ComplaintImporter:
    """Complaints as tickets: closed ones, being history; with events, open ones that have just come in.

    A ticket takes its place in time on the day when the complaint was filed. One that was imported before is left as it
    is, whatever has become of it since.
    """

    columns = COLUMNS

    def __init__(self, *, with_events: bool = False) -> None:
        self.with_events = with_events
        self.name = "nhtsa-complaints-with-events" if with_events else "nhtsa-complaints"

    def steps(self, source: Source, start: int) -> Iterator[Step[Complaint]]:
        """One step for each complaint. The flat file keeps the rows of a complaint together."""
        gathered: Item[Complaint] | None = None
        for row in source.rows(start):
            try:
                complaint = read(row)
            except ValueError as error:
                if gathered:
                    yield Step(gathered, row.number)
                    gathered = None
                yield Step(Refused(row.number, str(error), excerpt(row)), row.number + 1)
                continue
            if gathered and gathered.value.odi == complaint.odi:
                gathered.value.components += complaint.components
                continue
            if gathered:
                yield Step(gathered, row.number)
            gathered = Item(row.number, complaint)
        if gathered:
            yield Step(gathered, gathered.number + 1)

    async def store(self, items: list[Item[Complaint]]) -> Stored:
        """Insert the tickets that are not there yet. Within a transaction."""
        stored = Stored()
        by_key: dict[str, Item[Complaint]] = {}
        for item in items:
            by_key.setdefault(natural_key(item.value), item)
        collection = Ticket.get_pymongo_collection()
        async for known in collection.find({"natural_key": {"$in": list(by_key)}}, {"natural_key": 1}):
            del by_key[known["natural_key"]]
        fresh: list[Ticket] = []
        for item in by_key.values():
            try:
                fresh.append(ticket_of(item.value, open_ticket=self.with_events))
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                reason = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                stored.refused.append(Refused(item.number, reason, item.value.odi))
        stored.created = len(fresh)
        stored.unchanged = len(items) - len(fresh) - len(stored.refused)
        if fresh:
            await collection.insert_many([ticket.model_dump(by_alias=True) for ticket in fresh])
            if self.with_events:
                await record_all([TicketCreated(ticket_id=ticket.id) for ticket in fresh])
        return stored


def read(row: Row | Refused) -> Complaint:
    """The complaint of a row. Raises ValueError naming what is missing or wrong."""
    if isinstance(row, Refused):
        raise ValueError(row.reason)  # noqa: TRY004 - one kind of error for every row that cannot be used
    complaint = _from_json(row.fields) if "odi" in row.fields else _from_flat(row.fields)
    if complaint.filed > clock.now():
        raise ValueError(f"was filed in the future: {complaint.filed:%Y-%m-%d}")
    if not complaint.text:
        raise ValueError("has no description")
    return complaint


def _from_json(fields: dict[str, Any]) -> Complaint:
    vehicles = [entry for entry in _list(fields, "vehicles") if isinstance(entry, dict)]
    first = vehicles[0] if vehicles else {}
    return Complaint(
        odi=_odi(fields["odi"]),
        filed=_filed(fields.get("filed"), fields.get("incident")),
        text=clean(fields.get("text")),
        make=clean(first.get("make")),
        model=clean(first.get("model")),
        year=model_year(first.get("year")),
        incident=day(fields.get("incident")),
        components=[clean(component) for component in _list(fields, "components")],
        other_vehicles=[
            " ".join(filter(None, (clean(one.get(part)) for part in ("make", "model", "year")))) for one in vehicles[1:]
        ],
        crash=yes(fields.get("crash")),
        fire=yes(fields.get("fire")),
        injuries=count(fields.get("injuries")),
        deaths=count(fields.get("deaths")),
    )


def _from_flat(fields: dict[str, Any]) -> Complaint:
    if "CDESCR" not in fields:
        raise ValueError(f"has {len(fields)} fields, too few for a complaint")
    product = clean(fields.get("PROD_TYPE"))
    if product not in ("", "V"):
        raise ValueError(f"is not about a vehicle but a product of type {product}")
    return Complaint(
        odi=_odi(fields["ODINO"]),
        filed=_filed(fields["LDATE"], fields["DATEA"]),
        text=clean(fields["CDESCR"]),
        make=clean(fields["MAKETXT"]),
        model=clean(fields["MODELTXT"]),
        year=model_year(fields["YEARTXT"]),
        incident=day(fields["FAILDATE"]),
        components=[clean(fields["COMPDESC"])],
        miles=count(fields["MILES"]),
        crash=yes(fields["CRASH"]),
        fire=yes(fields["FIRE"]),
        injuries=count(fields["INJURED"]),
        deaths=count(fields["DEATHS"]),
    )


def _odi(value: Any) -> str:
    odi = clean(value)
    if not _ODI_NUMBER.fullmatch(odi):
        raise ValueError(f"has no ODI number but {odi[:40]!r}")
    return odi


def _filed(*candidates: Any) -> datetime:
    for value in candidates:
        if (found := day(value)) and found.year >= 1970:
            return found
    raise ValueError("has no date of filing")


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004 - as above
    return value


def natural_key(complaint: Complaint) -> str:
    return f"nhtsa:complaint:{complaint.odi}"


def ticket_of(complaint: Complaint, *, open_ticket: bool) -> Ticket:
    """The ticket that a complaint makes, not yet stored. Raises pydantic's ValidationError for impossible values."""
    _, category = classify(complaint.components)
    who = ActorRef.current()
    status = TicketStatus.open if open_ticket else TicketStatus.closed
    note = f"Imported from NHTSA ODI complaint {complaint.odi}"
    return Ticket(
        id=id_at("ticket", complaint.filed),
        natural_key=natural_key(complaint),
        status=status,
        title=_title(complaint),
        description=f"{complaint.text}\n\n{_facts(complaint)}",
        category=category,
        priority=_priority(complaint),
        vehicle_make=complaint.make,
        vehicle_model=complaint.model,
        vehicle_year=complaint.year,
        vehicle_mileage_km=round(complaint.miles * KM_PER_MILE) or None,
        created_by=who.id,
        status_history=[StatusChange(status=status, timestamp=complaint.filed, updated_by=who, note=note)],
        created_at=complaint.filed,
        closed_at=None if open_ticket else complaint.filed,
    )


def _title(complaint: Complaint) -> str:
    """The first sentence that says more than whose vehicle it is."""
    told = sentences(complaint.text)
    telling = next((one for one in told if len(one) >= MIN_TELLING and not _OWNERSHIP.match(one)), told[0])
    title = shortened(_PREAMBLE.sub("", telling), TITLE_LENGTH)
    return title[0].upper() + title[1:] if len(title) >= 3 else f"Complaint: {title}"


def _priority(complaint: Complaint) -> Priority:
    """Harm done comes first, then harm that was close."""
    if complaint.deaths or complaint.injuries or complaint.fire:
        return Priority.critical
    return Priority.high if complaint.crash else Priority.medium


def _facts(complaint: Complaint) -> str:
    """What the file says beside the text, in one line that people can read."""
    facts = [f"NHTSA ODI {complaint.odi}", f"filed {complaint.filed:%Y-%m-%d}"]
    if complaint.incident:
        facts.append(f"occurred {complaint.incident:%Y-%m-%d}")
    if components := list(dict.fromkeys(filter(None, complaint.components))):
        facts.append(f"components: {', '.join(components)}")
    facts += [name for name in ("crash", "fire") if getattr(complaint, name)]
    facts += [f"{name}: {number}" for name in ("injuries", "deaths") if (number := getattr(complaint, name))]
    if complaint.other_vehicles:
        facts.append(f"also named: {', '.join(complaint.other_vehicles)}")
    return f"[{'; '.join(facts)}]"
