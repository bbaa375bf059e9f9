"""Personal data taken out of text before it becomes knowledge: a card is read in every workshop, a ticket in one.

What the ticket itself says of its people is found wherever it is repeated: names, contact, registration. Beyond that,
e-mail addresses, phone numbers, chassis numbers and registrations are found by their form, and names by what stands
before them ("Mr", "spoke to", "customer", "her husband"). A bare name of somebody whom the ticket does not know is not
found: an expert reads every draft before it is published.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeVar

from phonenumbers import Leniency, PhoneNumberMatcher
from pydantic import BaseModel

from app.security import ActorKind
from matching.language import telling
from matching.spelling import is_common
from matching.text import fold, stem
from models.enums import CustomerType
from models.ticket import Ticket

T = TypeVar("T", bound=BaseModel)

MARK = "[…]"
"""Stands for what was taken out. It holds no letter, so that it never becomes a word of the card."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_VIN = re.compile(r"\b(?=[A-HJ-NPR-Z0-9]*\d)(?=\d*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}\b", re.IGNORECASE)
_REGISTRATION = re.compile(
    r"\b[A-Z]{2}[ -]?\d{1,2}[A-Z]?[ -]?[A-Z]{1,3}[ -]?\d{4}\b"  # India: MH 12 AB 1234, DL 3C AB 1234
    r"|\b\d{2}[ -]?BH[ -]?\d{4}[ -]?[A-Z]{1,2}\b"  # India, all states: 22 BH 1234 AA
    r"|\b[A-Z]{2}\d{2} [A-Z]{3}\b"  # United Kingdom: AB12 CDE
)
_WORD = r"[A-Z][\w'’-]*\w"
_TITLED = re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Shri|Smt|Sri|Km|Er)\b\.?\s+({_WORD}(?:\s+{_WORD}){{0,2}})")
_INTRODUCED = re.compile(
    rf"\b(?i:name is|named|spoke (?:to|with)|talked (?:to|with)|ask for)\s+({_WORD}(?:\s+{_WORD}){{0,2}})"
)
_NAME = r"[A-Z][a-z'’-]+"
_ROLE = re.compile(
    r"\b(?i:customer|owner|driver|rider|caller|colleague|mechanic|technician|manager|husband|wife|son|daughter|father|mother"
    rf"|brother|sister|uncle|aunt|cousin|friend|neighbou?r)\s+((?:{_NAME}\s+){{0,2}}{_NAME})"
)
"""Here a capital alone makes no name ("Driver Seat"), only words that owners do not commonly write."""
_LEAST_NAME = 3
"""Letters from which on a part of a name is looked for by itself."""

_UNTOUCHED = frozenset(
    {
        "symptom_code", "symptom_codes", "error_codes", "part_number", "part_id", "substitutes", "make", "model",
        "variants", "firmware_versions", "node_id", "root_node_id", "if_yes", "if_no", "tree_id", "unit",
        "source_reference", "signature_id", "signature_hash", "quantity",
    }
)  # fmt: skip
"""Fields that hold codes, numbers of parts and names of vehicles, which look like what is sought."""


class _Policy:
    region = "IN"


def configure(*, phone_region: str) -> None:
    """Set where phone numbers without a country code belong (Settings.phone_region)."""
    _Policy.region = phone_region


@dataclass
class Redactor:
    """Takes personal data out of texts and counts what it took, by kind.

    Of `people`, each part of a name is looked for too; `others` (companies, registrations, contacts) as a whole,
    however they are spaced. `spared` are folded words that are no names, those of the vehicle for instance.
    `region` (ISO 3166) is where phone numbers without a country code belong, by default the configured one.
    """

    people: Iterable[str] = ()
    others: Iterable[str] = ()
    spared: frozenset[str] = frozenset()
    region: str | None = None
    taken: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        people = [name for name in self.people if len(name.strip()) >= _LEAST_NAME]
        parts = {part for name in people for part in name.split() if len(part) >= _LEAST_NAME}
        self._known = (
            _any_of((r"\s+".join(map(re.escape, name.split())) for name in people), re.IGNORECASE),
            _any_of((_spelled(other) for other in self.others if other.strip()), re.IGNORECASE),
            # Parts of a name only as names are written, or the rose in the garden would go with Rose.
            _any_of(map(re.escape, parts)),
        )

    def text(self, text: str) -> str:
        """The text with MARK in place of personal data."""
        if not text:
            return text
        text = self._replace("e-mail", _EMAIL, text)
        text = self._phones(text)
        text = self._replace("chassis number", _VIN, text)
        for pattern in filter(None, self._known):
            text = self._replace("name or number on the ticket", pattern, text)
        text = self._replace("registration", _REGISTRATION, text)
        for pattern in (_TITLED, _INTRODUCED):
            text = self._replace("name", pattern, text, group=1)
        return _ROLE.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        """What stands beside a role, without its first words as far as they look like a name."""
        words = match[1].split()
        name = list(takewhile(lambda word: fold(word) not in self.spared and not _is_common(word), words))
        if not name:
            return match[0]
        self.taken["name"] += 1
        return " ".join([match[0][: match.start(1) - match.start()].rstrip(), MARK, *words[len(name) :]])

    def content(self, content: T) -> T:
        """A copy of a document's content with every running text cleaned. Codes and vehicles stay as they are."""
        return type(content).model_validate(self._value(content.model_dump(exclude_unset=True)))

    def _value(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: one if name in _UNTOUCHED else self._value(one) for name, one in value.items()}
            case list():
                return [self._value(one) for one in value]
            case str() if type(value) is str:  # members of an enumeration are no text
                return self.text(value)
            case _:
                return value

    def _phones(self, text: str) -> str:
        pieces, end = [], 0
        for match in PhoneNumberMatcher(text, self.region or _Policy.region, leniency=Leniency.VALID):
            pieces += [text[end : match.start], MARK]
            end = match.end
            self.taken["phone"] += 1
        return "".join([*pieces, text[end:]])

    def _replace(self, kind: str, pattern: re.Pattern[str], text: str, *, group: int = 0) -> str:
        def mark(match: re.Match[str]) -> str:
            self.taken[kind] += 1
            before = match[0][: match.start(group) - match.start()]
            return before + MARK + match[0][match.end(group) - match.start() :]

        return pattern.sub(mark, text)


def redactor_for(ticket: Ticket, staff: Iterable[str] = ()) -> Redactor:
    """What to take out of a text about this ticket; `staff` are names of those who worked it."""
    by_hand = (change.updated_by for change in ticket.status_history)
    people = [*staff, ticket.assigned_technician_name, *(who.name for who in by_hand if who.kind is ActorKind.user)]
    others = [ticket.vehicle_number, ticket.customer_contact]
    # The words of a company's name are often those of a make, so they are not looked for one by one.
    (people if ticket.customer_type is CustomerType.individual else others).append(ticket.customer_name)
    vehicle = {word.casefold() for word in f"{ticket.vehicle_make} {ticket.vehicle_model}".split()}
    return Redactor(people, [other for other in others if other.casefold() not in vehicle], spared=frozenset(vehicle))


def _is_common(word: str) -> bool:
    """Whether owners commonly write the word: then it is no name."""
    term = stem(fold(word))
    return is_common(term) or telling(term) < 1


def _any_of(patterns: Iterable[str], flags: int = 0) -> re.Pattern[str] | None:
    wanted = sorted(set(patterns), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(wanted)})(?!\w)", flags) if wanted else None


def _spelled(number: str) -> str:
    """A registration however it is spaced."""
    return r"[\s.-]*".join(re.escape(character) for character in re.sub(r"[\s.-]", "", number))
