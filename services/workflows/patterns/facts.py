"""What the tickets of an incident share, and the draft card that follows from it by rules.

Only words that the owners of several vehicles say get in, after personal data of each ticket have been taken out, and
no sentence of any ticket does. A word that neither owners commonly write nor cards use may be a name: it gets in only
if it is written small, as names are not.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matching import find_codes
from matching.conditions import ASPECTS, circumstances_of_case
from matching.language import telling
from matching.spelling import common_word, is_common
from matching.text import is_keyword, spelled_terms, terms
from models.enums import Priority, Severity, SourceType, SubsystemCategory
from models.failure_card import CardContent, CardSymptom, FailureCondition, ResolutionStep, VehicleCompatibility
from models.incident import AffectedVehicle, Incident, Shared, SharedFacts, SharedSymptom
from models.symptom import Symptom
from models.ticket import Ticket
from services.diagnosis.translate import SUBSYSTEM_OF, ticket_case
from services.knowledge.content import DRAFT_MARK
from services.knowledge.redaction import redactor_for
from services.workflows.drafting.content import UNKNOWN_CAUSE, UNKNOWN_FIX, mode_of
from services.workflows.patterns.reading import subject_of

LEAST_SHARING = 3
"""Tickets that must say a word before it is repeated: what two say may be what one customer wrote twice."""
_TOKEN = re.compile(r"\w+")
MOST_TERMS, IN_TITLE, MOST_SITES = 8, 3, 100


@dataclass(frozen=True, slots=True)
class Told:
    """What is read out of one ticket's text after redaction."""

    ticket: Ticket
    pairs: list[tuple[str, str]]
    small: frozenset[str]
    codes: frozenset[str]

    @property
    def vehicle(self) -> str:
        return subject_of(self.ticket.vehicle_id, self.ticket.vehicle_number, self.ticket.id)

    @property
    def terms(self) -> frozenset[str]:
        return frozenset(term for term, _ in self.pairs)


def shared_facts(
    tickets: Sequence[Ticket], symptoms: Sequence[Symptom], is_known: Callable[[str], bool]
) -> SharedFacts:
    """What at least half of the tickets, and LEAST_SHARING of them, have in common; of codes and vehicles more.

    `symptoms` are those of the library that the tickets name. `is_known` tells words that cards use.
    """
    told = [_told(ticket) for ticket in tickets]
    least = max(LEAST_SHARING, math.ceil(len(tickets) / 2))
    named = {symptom.symptom_code: symptom.name for symptom in symptoms}
    codes = Counter(code for one in told for code in one.codes)
    noticed = Counter(code for ticket in tickets for code in set(ticket.symptom_codes) if code in named)
    mileages = [ticket.vehicle_mileage_km for ticket in tickets if ticket.vehicle_mileage_km is not None]
    enough = len(mileages) >= LEAST_SHARING
    created = [ticket.created_at for ticket in tickets]
    return SharedFacts(
        terms=_shared_words(told, least, is_known),
        codes=[Shared(value=code, tickets=n) for code, n in codes.most_common() if n >= max(2, len(tickets) / 3)],
        symptoms=[
            SharedSymptom(symptom_code=code, name=named[code], tickets=n)
            for code, n in noticed.most_common()
            if n >= max(2, len(tickets) / 3)
        ],
        vehicles=list(_vehicles(tickets)),
        conditions=[Shared(value=value, tickets=n) for value, n in _conditions(tickets).most_common() if n >= least],
        mileage_km_from=min(mileages) if enough else None,
        mileage_km_to=max(mileages) if enough else None,
        site_ids=sorted({ticket.site_id for ticket in tickets if ticket.site_id})[:MOST_SITES],
        first_ticket_at=min(created),
        last_ticket_at=max(created),
    )


def title_of(facts: SharedFacts) -> str:
    """Telling words and the vehicle, for instance "Hissing, charger fan: Ather 450X"."""
    said = facts.terms[:IN_TITLE] or [one.value for one in facts.codes[:IN_TITLE]]
    said = said or [symptom.name for symptom in facts.symptoms[:1]] or ["Unexplained tickets"]
    words = ", ".join(said)
    vehicle = f"{facts.vehicles[0].make} {facts.vehicles[0].model}".strip() if facts.vehicles else ""
    return f"{_capital(words)}{f': {vehicle}' if vehicle else ''}"[:190]


def draft(incident: Incident, tickets: Sequence[Ticket], symptoms: Sequence[Symptom]) -> CardContent:
    """Content of the draft card of an incident, out of its facts alone."""
    facts = incident.facts
    spoken = ", ".join(facts.terms)
    listed = [CardSymptom(symptom_code=symptom.symptom_code, description=symptom.name) for symptom in facts.symptoms]
    if spoken:
        listed.append(CardSymptom(description=f"Owners speak of: {spoken}"[:200]))
    return CardContent(
        title=(DRAFT_MARK + incident.title)[:200].strip(),
        description="\n\n".join(filter(None, (incident.statistic.explanation, _said(facts)))),
        subsystem_category=_subsystem(tickets, symptoms),
        failure_mode=mode_of(spoken),
        severity=_severity(tickets),
        symptoms=listed[:50],
        symptom_text=spoken,
        error_codes=[code.value for code in facts.codes][:50],
        root_cause=UNKNOWN_CAUSE,
        resolution_steps=[ResolutionStep(step_number=1, action=UNKNOWN_FIX)],
        vehicle_models=[
            VehicleCompatibility(
                make=vehicle.make,
                model=vehicle.model,
                year_from=vehicle.year_from,
                year_to=vehicle.year_to,
                firmware_versions=vehicle.firmware_versions,
            )
            for vehicle in facts.vehicles
        ],
        failure_conditions=list(_failure_conditions(facts)),
        tags=["emerging"],
        source_type=SourceType.pattern_detection,
        source_reference=f"Incident {incident.id}",
        first_detected_at=facts.first_ticket_at,
    )


def _told(ticket: Ticket) -> Told:
    redactor = redactor_for(ticket, [ticket.assigned_technician_name])
    text = redactor.text(f"{ticket.title}. {ticket.description}")
    codes = (*ticket.error_codes_reported, *map(str, find_codes(text)))
    pairs = spelled_terms(text)
    written = set(_TOKEN.findall(text))
    small = frozenset(term for term, words in pairs if written.issuperset(words.split()))
    return Told(ticket, pairs, small, frozenset(codes))


def _shared_words(told: Sequence[Told], least: int, is_known: Callable[[str], bool]) -> list[str]:
    """Pairs of neighbouring words first, then single ones that stand in no pair; the most telling first."""
    vehicles = {term for one in told for term in terms(f"{one.ticket.vehicle_make} {one.ticket.vehicle_model}")}
    counts = _by_vehicle(told, lambda one: one.terms)
    small = _by_vehicle(told, lambda one: one.small)
    kept = {
        term
        for term, count in counts.items()
        if count >= least and is_keyword(term) and term.isalpha() and term not in vehicles
        and (is_common(term) or is_known(term) or small[term] >= least)
    }  # fmt: skip
    spelled = _spellings(told)
    beside = Counter(pair for one in told for pair in {
        (first, second) for (first, _), (second, _) in pairwise(one.pairs) if first != second
    } if kept.issuperset(pair))  # fmt: skip
    weight = {term: counts[term] / len(told) * telling(term) for term in kept}
    found: list[str] = []
    used: set[str] = set()
    pairs = [pair for pair, count in beside.items() if count >= least]
    for first, second in sorted(pairs, key=lambda pair: (-weight[pair[0]] - weight[pair[1]], pair)):
        if used.isdisjoint((first, second)):
            found.append(f"{spelled(first)} {spelled(second)}")
            used.update((first, second))
    found += [spelled(term) for term in sorted(kept - used, key=lambda term: (-weight[term], term))]
    return found[:MOST_TERMS]


def _by_vehicle(told: Iterable[Told], of: Callable[[Told], Iterable[str]]) -> Counter[str]:
    """For how many vehicles a word is said."""
    return Counter(word for word, _ in {(word, one.vehicle) for one in told for word in of(one)})


def _spellings(told: Iterable[Told]) -> Callable[[str], str]:
    """A term as it is commonly written, else as most of the tickets write it."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in told:
        for term, words in dict(one.pairs).items():
            seen[term][words] += 1

    def spelled(term: str) -> str:
        return common_word(term) if is_common(term) else min(seen[term], key=lambda words: (-seen[term][words], words))

    return spelled


def _vehicles(tickets: Iterable[Ticket]) -> Iterable[AffectedVehicle]:
    """Those that two tickets at least are about, the commonest first; a firmware that half of them have."""
    groups: defaultdict[tuple[str, str], list[Ticket]] = defaultdict(list)
    for ticket in tickets:
        if ticket.vehicle_make:
            groups[ticket.vehicle_make, ticket.vehicle_model].append(ticket)
    for (make, model), own in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        if len(own) < 2:
            continue
        years = [ticket.vehicle_year for ticket in own if ticket.vehicle_year is not None]
        firmware = Counter(ticket.vehicle_firmware for ticket in own if ticket.vehicle_firmware)
        yield AffectedVehicle(
            make=make,
            model=model,
            year_from=min(years, default=None),
            year_to=max(years, default=None),
            firmware_versions=[name for name, n in firmware.most_common() if 2 * n >= firmware.total() and n >= 2],
            tickets=len(own),
        )


def _conditions(tickets: Iterable[Ticket]) -> Counter[str]:
    found: Counter[str] = Counter()
    for ticket in tickets:
        told = circumstances_of_case(ticket_case(ticket))
        found.update(f"{aspect}: {value}" for aspect in ASPECTS for value in told.values(aspect))
    return found


def _subsystem(tickets: Sequence[Ticket], symptoms: Sequence[Symptom]) -> SubsystemCategory:
    """Where most of the named symptoms belong, else the category of most tickets."""
    category = {symptom.symptom_code: symptom.category for symptom in symptoms}
    named = Counter(category[code] for ticket in tickets for code in ticket.symptom_codes if code in category)
    chosen = Counter(SUBSYSTEM_OF[ticket.category] for ticket in tickets if ticket.category in SUBSYSTEM_OF)
    found = (named or chosen).most_common(1)
    return found[0][0] if found else SubsystemCategory.other


def _severity(tickets: Sequence[Ticket]) -> Severity:
    """The middle of the tickets' priorities."""
    ordered = sorted((list(Priority).index(ticket.priority), ticket.priority) for ticket in tickets)
    return Severity(ordered[len(ordered) // 2][1]) if ordered else Severity.medium


def _said(facts: SharedFacts) -> str:
    """The facts in words."""
    period = f"Reported from {facts.first_ticket_at:%Y-%m-%d} to {facts.last_ticket_at:%Y-%m-%d}"
    at = f" at {len(facts.site_ids)} sites" if len(facts.site_ids) > 1 else ""
    lines = [
        f"{period}{at}.",
        *(f"Code {code.value}: {code.tickets} tickets." for code in facts.codes),
        *(f"{symptom.name}: {symptom.tickets} tickets." for symptom in facts.symptoms),
        *(f"{_capital(condition.value)}: {condition.tickets} tickets." for condition in facts.conditions),
    ]
    return "\n".join(lines)[:10_000]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _failure_conditions(facts: SharedFacts) -> Iterable[FailureCondition]:
    for shared in facts.conditions:
        aspect, _, value = shared.value.partition(": ")
        yield FailureCondition(condition=aspect, value=value)
    if facts.mileage_km_from is not None:
        yield FailureCondition(condition="mileage", value=f"{facts.mileage_km_from}-{facts.mileage_km_to}", unit="km")
    for name in dict.fromkeys(name for vehicle in facts.vehicles for name in vehicle.firmware_versions):
        yield FailureCondition(condition="firmware version", value=name)
