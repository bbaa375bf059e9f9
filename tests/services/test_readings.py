"""What a measurement may be, and what no instrument shows."""

import pytest

from models.types import Measurement
from services import readings
from services.readings import BOUNDS, ImpossibleReading, fault_of
from services.units import in_base


def reading(value: float, unit: str, quantity: str = "reading") -> Measurement:
    return Measurement(quantity=quantity, value=value, unit=unit)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1e12, "V"), (-1e6, "V"), (2e8, "mV"), (1e12, "volts"), (-0.1, "Ω"), (-3, "kohm"), (-273.2, "°C"), (-300, "C"),
        (-460, "°F"), (-1, "K"), (1e6, "°C"), (2e4, "%"), (-2, "bar"), (-5, "s"), (-1, "Hz"), (-3, "kg"), (1e7, "A"),
    ],
)  # fmt: skip
def test_what_physics_forbids_is_refused(value: float, unit: str):
    assert "cannot be" in str(fault_of(reading(value, unit)))


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (-48, "V"), (1500, "V"), (12, "kV"), (-250, "A"), (0, "Ω"), (5e11, "Ω"), (-40, "°C"), (1300, "°C"),
        (-273.15, "°C"), (-459.67, "°F"), (0, "K"), (103, "%"), (-12, "%"), (-0.9, "bar"), (700, "bar"), (-30, "dB"),
        (-4000, "rpm"), (1e30, "furlongs"), (-7, "V/cell"),
    ],
)  # fmt: skip
def test_what_an_instrument_may_show_is_taken(value: float, unit: str):
    assert fault_of(reading(value, unit)) is None


def test_a_size_has_no_sign():
    assert fault_of(reading(-40, "V", "Resting spread")) is not None
    assert fault_of(reading(-40, "mV"), "Is the resting spread between the cell groups below 50 mV?") is not None
    assert fault_of(reading(-0.4, "V", "AC voltage")) is not None
    assert fault_of(reading(-0.4, "V"), "Is the link voltage below 60 V with the AC plug out?") is None


def test_a_share_of_the_whole_is_about_between_nothing_and_all():
    assert fault_of(reading(-3, "%", "state of charge")) is None
    assert fault_of(reading(180, "%", "State of charge")) is not None
    assert fault_of(reading(180, "%", "deviation")) is None


def test_the_rule_speaks_in_the_unit_of_the_reading():
    assert fault_of(reading(-300, "°C")) == "cannot be: a temperature lies between -273.15 and 20,000 °C"
    assert fault_of(reading(1e9, "mV")) == "cannot be: a voltage lies between -100,000,000 and 100,000,000 mV"


def test_every_fault_is_named_by_its_field():
    with pytest.raises(ImpossibleReading) as refused:
        readings.check([("a", reading(-1, "Ω")), ("b", reading(1, "Ω")), ("c.0", reading(-1, "K"))])
    assert [one["field"] for one in refused.value.extra["errors"]] == ["a.value", "c.0.value"]
    assert (refused.value.status, refused.value.code) == (422, "impossible_reading")


def test_every_bound_is_in_a_base_and_leaves_something():
    for bounds in BOUNDS:
        assert in_base(1.0, bounds.base) == (1.0, bounds.base)
        assert bounds.low < bounds.high


@pytest.mark.parametrize(
    ("unit", "base", "factor"),
    [
        ("V", "V", 1), ("volts", "V", 1), ("mv", "V", 1e-3), ("MV", "V", 1e6), ("Ohms", "Ω", 1), ("kohm", "Ω", 1e3),
        ("MOhm", "Ω", 1e6), ("C", "°C", 1), ("deg", None, 0), ("μA", "A", 1e-6), ("Percent", "%", 1), ("min", "s", 60),
    ],
)  # fmt: skip
def test_units_are_taken_as_people_write_them(unit: str, base: str | None, factor: float):
    assert in_base(2.0, unit) == (None if base is None else (pytest.approx(2 * factor), base))
