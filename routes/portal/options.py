"""What choices and charts offer: pairs of a value and the words for it."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from models.failure_card import ConfidenceChange
from models.part import Part, PartUsage
from models.vehicle import Vehicle
from services.repairs.usage import outstanding

Options = list[tuple[str, str]]
PHOTOS_AT_ONCE = 5


class Named(Protocol):
    id: str
    name: str


def named(entries: Iterable[Named]) -> Options:
    return [(entry.id, entry.name) for entry in entries]


def vehicles(fleet: Iterable[Vehicle]) -> Options:
    return [
        (one.id, " ".join(filter(None, [one.registration, one.make, one.model, str(one.year or "")]))) for one in fleet
    ]


def parts(stock: Iterable[tuple[Part, bool]]) -> Options:
    """Parts on hand; a star stands before those that the suspects ask for."""
    return [
        (part.id, f"{'★ ' if wanted else ''}{part.part_name} · {part.part_number} ({part.quantity_on_hand})")
        for part, wanted in stock
    ]


def pieces(usage: Iterable[PartUsage]) -> Options:
    return [(one.id, f"{one.part_name} × {outstanding(one)}") for one in usage]


def course(changes: Sequence[ConfidenceChange], zone: ZoneInfo) -> list[tuple[str, float]]:
    """The confidence score after each change, with its day in the visitor's time zone."""
    return [(f"{one.timestamp.astimezone(zone):%d %b %Y}", one.new_score) for one in changes]
