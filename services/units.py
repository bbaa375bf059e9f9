"""Units of measurement as people write them, each brought to its base."""

_SCALE = {"k": 1e3, "M": 1e6, "m": 1e-3, "µ": 1e-6, "u": 1e-6, "n": 1e-9}
_BASES = {"V": "V", "A": "A", "Ω": "Ω", "W": "W", "Hz": "Hz", "F": "F", "Ohm": "Ω", "ohm": "Ω", "Ah": "Ah", "Wh": "Wh"}
_PLAIN = {
    "min": ("s", 60.0), "s": ("s", 1.0), "h": ("s", 3600.0), "ms": ("s", 1e-3), "mm": ("m", 1e-3), "cm": ("m", 1e-2),
    "m": ("m", 1.0), "km": ("m", 1e3), "bar": ("Pa", 1e5), "mbar": ("Pa", 1e2), "kPa": ("Pa", 1e3), "Pa": ("Pa", 1.0),
    "psi": ("Pa", 6894.757), "%": ("%", 1.0), "°C": ("°C", 1.0), "°F": ("°F", 1.0), "K": ("K", 1.0), "°": ("°", 1.0),
    "Nm": ("Nm", 1.0), "rpm": ("rpm", 1.0), "km/h": ("km/h", 1.0), "": ("", 1.0), "g": ("g", 1.0), "kg": ("g", 1e3),
    "l": ("l", 1.0), "ml": ("l", 1e-3), "dB": ("dB", 1.0),
}  # fmt: skip
_SPELLINGS = {
    "v": "V", "kv": "kV", "volt": "V", "volts": "V", "vdc": "V", "vac": "V", "mv": "mV",
    "millivolt": "mV", "millivolts": "mV",
    "a": "A", "amp": "A", "amps": "A", "ampere": "A", "amperes": "A", "ma": "mA", "milliamp": "mA", "milliamps": "mA",
    "ω": "Ω", "ohm": "Ω", "ohms": "Ω", "kohm": "kΩ", "kohms": "kΩ", "megohm": "MΩ", "megohms": "MΩ",
    "w": "W", "watt": "W", "watts": "W", "kw": "kW", "hz": "Hz", "ah": "Ah", "wh": "Wh", "kwh": "kWh",
    "c": "°C", "degc": "°C", "celsius": "°C", "degf": "°F", "fahrenheit": "°F", "kelvin": "K",
    "percent": "%", "pct": "%", "sec": "s", "second": "s", "seconds": "s", "minute": "min", "minutes": "min",
    "hour": "h", "hours": "h", "l": "l", "pa": "Pa", "kpa": "kPa", "nm": "Nm", "db": "dB", "°c": "°C", "°f": "°F",
}  # fmt: skip


def in_base(value: float, unit: str) -> tuple[float, str] | None:
    """The value in the base of its unit, and that base; None for a unit that is not known.

    Temperatures stay on their own scale: whether a number is a temperature or a difference of two, it does not say.
    """
    unit = unit.strip().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}").replace("\N{OHM SIGN}", "Ω")
    return _of_symbol(value, unit) or _of_symbol(value, _SPELLINGS.get(unit.casefold(), unit))


def _of_symbol(value: float, unit: str) -> tuple[float, str] | None:
    if unit in _PLAIN:
        base, factor = _PLAIN[unit]
        return value * factor, base
    for symbol, base in _BASES.items():
        if unit == symbol:
            return value, base
        if unit.endswith(symbol) and unit[: -len(symbol)] in _SCALE:
            return value * _SCALE[unit[: -len(symbol)]], base
    return None
