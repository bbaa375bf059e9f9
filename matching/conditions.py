"""When and how a failure shows: weather, load, time, mileage, age; read from words and from a card's stated ranges."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from matching.records import CardRecord, Case
from matching.signature import SignatureFields

Range = tuple[float, float]
"""From and to, inclusive."""

READ_CHARACTERS = 20_000
"""Of a complaint, as long as any is: what comes behind is not looked at."""

ASPECTS: dict[str, dict[str, str]] = {
    "humidity": {
        "high": r"rain\w*|monsoon|wash(?:ed|ing)|wet|flood\w*|puddles?|wading|waded|humid\w*|damp|water ?logged",
        "normal": r"(?!)",
        "low": r"dry (?:day|weather|season)s?",
    },
    "load": {
        "under_load": r"uphill|climb\w*|slopes?|incline|gradient|ghats?|flyovers?|overtak\w+|full throttle"
        r"|hard accelerat\w+|under load|full load|fully loaded|heavy load|payload|pillion|motorway|highway|towing",
        "idle": r"idl(?:e|ing)|at (?:a |the )?(?:standstill|traffic lights?|signals?)",
        "charging": r"(?:while|when|during|after|stops?|starts?) (?:\w+ )?charging|plugged in|charging session",
        "parked": r"parked|overnight|left standing|stood (?:for|in|outside)|in storage|stored for",
        "cold_start": r"cold start|first start|start(?:ing|s|ed)? (?:up )?(?:in the|when) (?:morning|cold)",
        "braking": r"(?:while|when|during|on) braking|when i brake|press\w* the brakes?|apply\w* the brakes?",
    },
    "occurrence": {
        "sporadic": r"intermittent\w*|sometimes|occasional\w*|now and then|random\w*|sporadic\w*|once in a while",
        "daily": r"daily|every (?:day|morning|evening|night)",
        "weekly": r"weekly|(?:every|once a|twice a|times a) week",
        "weather_dependent": r"(?:only|whenever|every time|always) (?:\w+ ){0,3}(?:rain\w*|cold|hot|wet|damp|humid)",
        "constant": r"constant\w*|all the time|permanent\w*|continuous\w*|every time|non-?stop",
    },
    "time of day": {
        "morning": r"mornings?",
        "afternoon": r"afternoons?|midday|noon",
        "night": r"nights?|overnight|evenings?|after dark",
        "random": r"(?!)",
    },
}
"""Aspect -> value, as a FailureSignature names it -> the words that tell it."""

_KIN = """
battery bms
motor controller inverter
charger charging_port
low_voltage dc_dc wiring contactor
mechanical suspension steering drivetrain
brakes regen
firmware telematics display
"""
AREAS = {subsystem: number for number, kin in enumerate(_KIN.strip().splitlines(), 1) for subsystem in kin.split()}
"""Subsystem -> number of its area: who takes a complaint in does not tell a charger from its port."""

WEATHER = {
    "cold": ((-60, 10), r"cold|freez\w+|frost\w*|winter\w*|snow\w*|below zero|sub-?zero|chilly"),
    "hot": ((30, 80), r"hot (?:day|weather|afternoon|summer|climate|season)s?|summers?|heat ?wave|scorching"),
}
"""Word for the weather -> the degrees Celsius it stands for, and the words that tell it."""

NOT_WEATHER = re.compile(r"cold (?:solder|joint|boot)")

_BITS = {
    (aspect, value): 1 << bit
    for bit, (aspect, value) in enumerate((aspect, value) for aspect, values in ASPECTS.items() for value in values)
}
MASKS = {aspect: sum(_BITS[aspect, value] for value in values) for aspect, values in ASPECTS.items()}
"""Aspect -> the bits of its values in `Circumstances.bits`."""

_WORDS = [
    (_BITS[aspect, value], re.compile(rf"\b(?:{words})\b"))
    for aspect, values in ASPECTS.items()
    for value, words in values.items()
]
_WEATHER = [(degrees, re.compile(rf"\b(?:{words})\b")) for degrees, words in WEATHER.values()]
_ANY = re.compile("|".join(words.pattern for _, words in (*_WORDS, *_WEATHER)))
"""Most texts tell nothing of all this: one look instead of many."""
# A minus right behind a number is the dash of a range.
_NUMBER = re.compile(r"(?<![\d.k])(-?)(\d+(?:[.,]\d+)*)\s*(k\b)?")
_LEAST = re.compile(r"\+|above|over|more than|from|>|≥|at least")
_MOST = re.compile(r"below|under|less than|up to|until|<|≤|at most")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known; None and bit 0 stand for unknown. `bits` are the values of all ASPECTS, `age` is in months."""

    bits: int = 0
    mileage: Range | None = None
    temperature: Range | None = None
    age: float | None = None
    subsystem: str | None = None

    def __bool__(self) -> bool:
        others = (self.mileage, self.temperature, self.age, self.subsystem)
        return bool(self.bits) or any(known is not None for known in others)

    def values(self, aspect: str) -> list[str]:
        return [value.replace("_", " ") for value in ASPECTS[aspect] if self.bits & _BITS[aspect, value]]


def circumstances_of_case(case: Case) -> Circumstances:
    """What a complaint tells: its fields, its signature if one was given, and the words of its text."""
    found = _stated(case.signature, case.conditions)
    told = _told(case.text[:READ_CHARACTERS])
    return Circumstances(
        found.bits | told.bits,
        found.mileage if case.mileage_km is None else (case.mileage_km, case.mileage_km),
        found.temperature or told.temperature,
        found.age if case.vehicle_age_months is None else case.vehicle_age_months,
        case.subsystem,
    )


def circumstances_of_card(card: CardRecord) -> Circumstances:
    """What a card states of its failure: not what its text tells, which speaks of much beside."""
    stated = _stated(card.signature, card.conditions)
    mileage = stated.mileage
    if card.mileage_km is not None:
        least, most = card.mileage_km
        mileage = (0 if least is None else least, float("inf") if most is None else most)
    return Circumstances(stated.bits, mileage, stated.temperature, stated.age, card.subsystem)


def _stated(signature: SignatureFields | None, conditions: Iterable[str]) -> Circumstances:
    fields = signature or SignatureFields()
    named = {
        "humidity": fields.humidity_range,
        "load": fields.load_condition,
        "occurrence": fields.occurrence_pattern,
        "time of day": fields.time_of_day_pattern,
    }
    bits = sum(_BITS.get((aspect, value), 0) for aspect, value in named.items() if value)
    mileage, temperature = parse_range(fields.mileage_range), parse_range(fields.temperature_range)
    for condition in map(_fold, conditions):
        if re.search(r"mileage|odometer|\bkm\b", condition):
            mileage = mileage or parse_range(condition)
        elif re.search(r"temperature|°c|celsius", condition):
            temperature = temperature or parse_range(condition)
        else:
            told = _told(condition)
            bits, temperature = bits | told.bits, temperature or told.temperature
    return Circumstances(bits, mileage, temperature, fields.vehicle_age_months)


def _told(text: str) -> Circumstances:
    folded = NOT_WEATHER.sub(" ", _fold(text))
    if not _ANY.search(folded):
        return Circumstances()
    bits = sum(bit for bit, words in _WORDS if words.search(folded))
    weather = [degrees for degrees, words in _WEATHER if words.search(folded)]
    # Who speaks of both heat and cold has not told when it happens.
    return Circumstances(bits, temperature=weather[0] if len(weather) == 1 else None)


def parse_range(text: str | None) -> Range | None:
    """Numbers of "10000-50000", "30,000+", "below 5k", "-10-5°C" as a range; None if there are none to be read."""
    folded = _fold(text or "")
    numbers = []
    for sign, digits, thousands in _NUMBER.findall(folded):
        value = float(re.sub(r"[.,](?=\d{3}\b)", "", digits).replace(",", ".")) * (1000 if thousands else 1)
        numbers.append(-value if sign else value)
    if len(numbers) == 2:
        return min(numbers), max(numbers)
    if len(numbers) != 1:
        return None
    if _LEAST.search(folded):
        return numbers[0], float("inf")
    return (float("-inf"), numbers[0]) if _MOST.search(folded) else None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
