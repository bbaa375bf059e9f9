"""What NHTSA's recall and complaint files have in common: field values, components, vehicles."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from models.enums import SubsystemCategory, TicketCategory
from seeds.importers.reading import Refused, Row

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"[ \t]{2,}")

S, T = SubsystemCategory, TicketCategory

COMPONENTS: list[tuple[re.Pattern[str], SubsystemCategory, TicketCategory]] = [
    (re.compile(pattern), subsystem, category)
    for pattern, subsystem, category in [
        # The electric drive first: its parts also stand below more general headings.
        (r"TRACTION BATTERY.*THERMAL", S.thermal, T.thermal),
        (r"BATTERY MANAGEMENT|TRACTION BATTERY.*(CONTROL|SOFTWARE)", S.bms, T.battery),
        (r"TRACTION BATTERY|HIGH VOLTAGE BATTERY", S.battery, T.battery),
        (r"CHARG(E|ING) (PORT|INLET|CONNECTOR|CABLE)", S.charging_port, T.charging),
        (r"\bCHARG(ER|ING)\b(?!.*TURBO)", S.charger, T.charging),
        (r"INVERTER", S.inverter, T.motor),
        (r"DC[/-]DC|DC TO DC", S.dc_dc, T.electrical),
        (r"CONTACTOR", S.contactor, T.electrical),
        (r"HIGH VOLTAGE|ISOLATION FAULT", S.hv_isolation, T.electrical),
        (r"TRACTION MOTOR|DRIVE MOTOR|PROPULSION SYSTEM.*MOTOR", S.motor, T.motor),
        (r"REGENERATIVE", S.regen, T.brakes),
        (r"HYBRID PROPULSION|ELECTRICAL SYSTEM:PROPULSION", S.drivetrain, T.motor),
        (r"FUEL/PROPULSION", S.fuel_system, T.motor),
        # Then the vehicle around it.
        (r"BRAKE|STABILITY CONTROL|TRACTION CONTROL", S.brakes, T.brakes),
        (r"^STEERING", S.steering, T.mechanical),
        (r"^SUSPENSION", S.suspension, T.mechanical),
        (r"^(WHEELS|TIRES)", S.wheels, T.mechanical),
        (r"^POWER TRAIN", S.drivetrain, T.mechanical),
        (r"COOLING SYSTEM", S.thermal, T.thermal),
        (r"^ENGINE", S.engine, T.mechanical),
        (r"^FUEL SYSTEM|^GASOLINE|^DIESEL", S.fuel_system, T.mechanical),
        (r"SPEED CONTROL", S.controller, T.electrical),
        (r"^(AIR BAGS|SEAT BELTS|CHILD SEAT)", S.restraints, T.body),
        (r"LIGHTING", S.lighting, T.electrical),
        (r"INSTRUMENT (CLUSTER|PANEL)|BACK OVER PREVENTION", S.display, T.electrical),
        (r"WIRING", S.wiring, T.electrical),
        (r"COMMUNICATION", S.telematics, T.software),
        (r"COLLISION AVOIDANCE|LANE DEPARTURE|AUTONOMOUS", S.other, T.software),
        (r"^ELECTRICAL SYSTEM", S.low_voltage, T.electrical),
        (r"^(STRUCTURE|LATCHES|SEATS|VISIBILITY|TRAILER|EQUIPMENT)", S.body, T.body),
    ]
]
"""NHTSA component (upper case, levels joined by colons), our subsystem, our ticket category; the first match counts."""


def classify(components: Iterable[str]) -> tuple[SubsystemCategory, TicketCategory]:
    """Where the first component that is known belongs; `other` if none is."""
    for component in components:
        name = re.sub(r"\s*:\s*", ":", component.upper().strip())
        for pattern, subsystem, category in COMPONENTS:
            if pattern.search(name):
                return subsystem, category
    return SubsystemCategory.other, TicketCategory.other


def clean(value: Any) -> str:
    """A text without control characters and runs of blanks; "" for what is missing."""
    if value is None:
        return ""
    return _SPACES.sub(" ", _CONTROL.sub("", str(value))).strip()


def day(value: Any) -> datetime | None:
    """Midnight UTC of a date written `YYYYMMDD` or `YYYY-MM-DD`; None for what is missing or impossible."""
    digits = clean(value).replace("-", "")[:8]
    if not re.fullmatch(r"[0-9]{8}", digits):
        return None
    try:
        return datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]), tzinfo=UTC)
    except ValueError:
        return None


def count(value: Any) -> int:
    """A count; 0 for what is missing or no number. Raises nothing."""
    try:
        return max(0, int(float(clean(value) or 0)))
    except (ValueError, OverflowError):
        return 0


def model_year(value: Any) -> int | None:
    """A model year; None where NHTSA does not know it, which it writes as 9999."""
    year = count(value)
    return year if 1950 <= year <= 2100 else None


def yes(value: Any) -> bool:
    """Whether a flag is set: true in JSON, Y in the flat files."""
    return value is True or clean(value).upper() in ("Y", "YES", "TRUE")


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:-") + "…"


def excerpt(row: Row | Refused) -> str:
    """Enough of a row to find it again."""
    return row.excerpt if isinstance(row, Refused) else shortened(" ".join(map(clean, row.fields.values())), 120)


_ABBREVIATIONS = "".join(rf"(?<!\b{short}\.)" for short in ("Inc", "INC", "Corp", "CORP", "Co", "CO", "No", "NO"))
_SENTENCE = re.compile(rf"(?<=[.!?]){_ABBREVIATIONS}\s+(?=[A-Z\"“])")


def sentences(text: str) -> list[str]:
    """The sentences of English running text, or of text all in capitals."""
    return [found.strip() for found in _SENTENCE.split(text) if found.strip()]
