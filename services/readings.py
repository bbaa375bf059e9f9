"""What a measurement can be: what no instrument can show of any vehicle is refused, whoever sends it.

The bounds are generous. A sensor may well be out of its range, and a technician notes what the instrument shows; but
a resistance is never negative, and nothing is colder than absolute zero. A unit that is not known has no bounds.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.errors import Invalid
from models.types import Measurement
from services.units import in_base


class ImpossibleReading(Invalid):
    code, title = "impossible_reading", "No measurement can have this value"


class Bounds(NamedTuple):
    """From `low` to `high` in `base`, where a word of `words` names the quantity; everywhere, if there are none."""

    base: str
    low: float
    high: float
    what: str
    words: str = ""


_SIZE = r"spread|ripple|imbalance|peak.to.peak|rms|ac (?:voltage|current)|amplitude|magnitude|absolute"
_SHARE = r"charge|soc|soh|health|humidity|duty|level|depth|remaining"
BOUNDS = (
    # More than any probe of a workshop is made for; a sign is that of the probes.
    Bounds("V", 0, 1e5, "this kind of voltage, which has no sign,", _SIZE),
    Bounds("V", -1e5, 1e5, "a voltage"),
    Bounds("A", 0, 1e5, "this kind of current, which has no sign,", _SIZE),
    Bounds("A", -1e5, 1e5, "a current"),
    Bounds("Ω", 0, 1e15, "a resistance"),
    Bounds("W", -1e9, 1e9, "a power"),
    Bounds("Hz", 0, 1e12, "a frequency"),
    Bounds("F", 0, 1e6, "a capacitance"),
    Bounds("Ah", -1e6, 1e6, "a charge"),
    Bounds("Wh", -1e9, 1e9, "an energy"),
    # Hotter than an arc is only what is mistyped.
    Bounds("°C", -273.15, 2e4, "a temperature"),
    Bounds("°F", -459.67, 3.6e4, "a temperature"),
    Bounds("K", 0, 2e4, "a temperature"),
    # Gauges that drift show a little more than full and a little less than empty.
    Bounds("%", -10, 150, "a share of the whole", _SHARE),
    Bounds("%", -1e4, 1e4, "a percentage"),
    # Gauges show vacuum as below zero, by an atmosphere at most.
    Bounds("Pa", -1.1e5, 1e9, "a pressure"),
    Bounds("s", 0, 1e10, "a time"),
    Bounds("m", -1e10, 1e10, "a length"),
    Bounds("°", -1e6, 1e6, "an angle"),
    Bounds("Nm", -1e6, 1e6, "a torque"),
    Bounds("rpm", -1e6, 1e6, "a speed of rotation"),
    Bounds("km/h", -2e3, 2e3, "a speed"),
    Bounds("g", 0, 1e9, "a mass"),
    Bounds("l", 0, 1e7, "a volume"),
    Bounds("dB", -500, 500, "a level"),
)


def fault_of(reading: Measurement, about: str = "") -> str | None:
    """The rule that the reading breaks, None for one that may be. `about` says what was asked for, in words."""
    found, one_unit = in_base(reading.value, reading.unit), in_base(1.0, reading.unit)
    if found is None or one_unit is None:
        return None
    said = f"{reading.quantity} {about}".casefold()
    bounds = next((one for one in BOUNDS if one.base == found[1] and _speaks_of(one, said)), None)
    if bounds is None or bounds.low <= found[0] <= bounds.high:
        return None
    low, high = (f"{limit / one_unit[0]:,.10g}" for limit in (bounds.low, bounds.high))
    return f"cannot be: {bounds.what} lies between {low} and {high} {reading.unit}"


def check(readings: Iterable[tuple[str, Measurement]], about: str = "") -> None:
    """Raise ImpossibleReading with every reading that cannot be; each comes with the path of its field."""
    faults = list(_faults(readings, about))
    if faults:
        raise ImpossibleReading("; ".join(f"{one['field']}: {one['rule']}" for one in faults[:5]), errors=faults)


def _faults(readings: Iterable[tuple[str, Measurement]], about: str) -> Iterator[dict[str, str]]:
    for field, reading in readings:
        if (rule := fault_of(reading, about)) is not None:
            yield {"field": f"{field}.value", "rule": rule, "value": f"{reading.value:g}"}


def _speaks_of(bounds: Bounds, said: str) -> bool:
    return not bounds.words or re.search(rf"\b(?:{bounds.words})\b", said) is not None
