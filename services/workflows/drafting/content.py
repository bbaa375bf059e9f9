"""A draft of a failure card out of what technicians wrote down: plain rearranging, nothing is made up."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from matching import find_codes
from models.enums import FailureMode, Severity, SourceType, SubsystemCategory
from models.failure_card import (
    CardContent,
    CardSymptom,
    FailureCondition,
    RequiredPart,
    ResolutionStep,
    VehicleCompatibility,
    VerificationStep,
)
from models.symptom import Symptom
from models.technician_action import ActionContent, TechnicianAction
from models.ticket import Ticket
from services.diagnosis.translate import SUBSYSTEM_OF
from services.knowledge.content import DRAFT_MARK
from services.knowledge.redaction import Redactor, redactor_for
from services.workflows.drafting.tree import skeleton

MAX_OBSERVED = 10
"""Observations that become symptoms; more would be a protocol."""
UNKNOWN_CAUSE = "Under investigation"
UNKNOWN_FIX = "Resolution pending"

_ADDED = frozenset({"diagnostic_time_minutes", "resolution_time_minutes"})

_SENTENCE = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Shri|Smt|Sri|Er|e\.g|i\.e|approx|ca)\. |[^.!?\n]|[.!?](?!\s))+[!?]?")
"""Up to the end of a sentence. The full stop of an abbreviation, and one within a number, is none."""

_MODES = (
    (FailureMode.intermittent, r"intermittent\w*|sometimes|now and then|occasional\w*|sporadic\w*|comes and goes"),
    (FailureMode.communication_loss, r"no communication|communication (?:lost|loss|error)|bus[ -]off|not responding"),
    (FailureMode.short_circuit, r"short[ -]?circuit\w*|shorted"),
    (FailureMode.open_circuit, r"open[ -]circuit|broken wire|disconnected|loose (?:pin|connector|terminal)"),
    (FailureMode.overheating, r"overheat\w*|over[ -]?temperature|too hot|burn(?:t|ed|ing)|melt\w*"),
    (FailureMode.leakage, r"leak\w*|ingress|seep\w*"),
    (FailureMode.noise_vibration, r"nois\w+|vibrat\w+|rattl\w+|grind\w+|whin\w+|judder\w*"),
    (FailureMode.false_reading, r"(?:wrong|false|incorrect|implausible) (?:reading|value|signal|indication)"),
    (FailureMode.degradation, r"degrad\w+|worn|ageing|aging|reduced range|capacity loss|weak\w*|corro\w+"),
    (FailureMode.physical_damage, r"crack\w*|bent|dented|torn|broken|damaged"),
    (FailureMode.erratic, r"erratic\w*|jerk\w*|fluctuat\w+|unstable"),
)
"""Words that point to a mode, the more specific first; a failure that says none of them is taken as complete."""


def complaint(action: TechnicianAction, ticket: Ticket) -> str:
    """Everything that was said about what is to be noticed."""
    return ". ".join(
        filter(None, (ticket.title, ticket.description, action.new_failure_description, *action.observations))
    )


def gathered(actions: Sequence[TechnicianAction]) -> TechnicianAction:
    """All work of one passage as if it were one action: lists joined, times added, of single words the last ones."""
    *_, last = actions
    whole: dict[str, Any] = {}
    for name in ActionContent.model_fields:
        values = [getattr(action, name) for action in actions]
        if isinstance(values[0], list):
            whole[name] = _unique_values(value for values_ in values for value in values_)
        elif name in _ADDED:
            whole[name] = sum(values)
        else:
            whole[name] = next((value for value in reversed(values) if value not in (None, "")), values[-1])
    return last.model_copy(update=whole)


def draft(
    action: TechnicianAction, ticket: Ticket, symptoms: list[Symptom], redactor: Redactor | None = None
) -> CardContent:
    """The draft's content, without the personal data that `redactor` (by default the ticket's own) finds.

    `symptoms` are those of the library that `complaint` names.
    """
    content = _content(action, ticket, symptoms)
    return (redactor or redactor_for(ticket, [action.technician_name])).content(content)


def _content(action: TechnicianAction, ticket: Ticket, symptoms: list[Symptom]) -> CardContent:
    text = complaint(action, ticket)
    found = action.new_failure_description
    return CardContent(
        title=_title(found),
        description=_description(action),
        subsystem_category=_subsystem(ticket, symptoms),
        failure_mode=mode_of(found, action.new_failure_root_cause, text),
        severity=Severity(ticket.priority),
        symptoms=list(_symptoms(action, ticket, symptoms))[:50],
        symptom_text=". ".join(filter(None, (ticket.title, ticket.description)))[:20_000],
        error_codes=_codes(ticket, text)[:50],
        root_cause=action.new_failure_root_cause or UNKNOWN_CAUSE,
        diagnostic_tree=skeleton(action),
        verification_steps=list(_verification(action)),
        diagnostic_tools=_unique(tool for tried in action.attempted_diagnostics for tool in tried.tools_used)[:50],
        diagnostic_duration_minutes=action.diagnostic_time_minutes,
        resolution_steps=list(_steps(action, ticket)),
        resolution_summary=action.new_failure_resolution,
        estimated_repair_time_minutes=action.resolution_time_minutes,
        required_parts=[
            RequiredPart(
                part_name=part.part_name, part_number=part.part_number, part_id=part.part_id, quantity=part.quantity
            )
            for part in action.parts_used
        ],
        vehicle_models=_vehicles(ticket),
        failure_conditions=list(_conditions(ticket)),
        source_type=SourceType.field_discovery,
        first_detected_at=action.started_at or action.created_at,
    )


def _title(found: str) -> str:
    """The first sentence of what was found."""
    sentence = _SENTENCE.match(found.strip())
    return (DRAFT_MARK + (sentence[0].rstrip(".") if sentence else ""))[:200].strip()


def _description(action: TechnicianAction) -> str:
    readings = [
        f"{reading.quantity}{f' at {reading.point}' if reading.point else ''}: {reading.value:g} {reading.unit}"
        for reading in (
            *action.measurements,
            *(m for tried in action.attempted_diagnostics for m in tried.measurements),
        )
    ]
    blocks = (
        action.new_failure_description,
        _list("Observed", action.observations),
        _list("Measured", readings),
        _list("Ruled out", [f"{no.hypothesis}: {no.reason_rejected}" for no in action.rejected_hypotheses]),
        action.technician_notes,
    )
    return "\n\n".join(filter(None, blocks))[:20_000]


def _list(heading: str, lines: list[str]) -> str:
    return "\n".join([f"{heading}:", *(f"- {line}" for line in lines)]) if lines else ""


def _symptoms(action: TechnicianAction, ticket: Ticket, known: list[Symptom]) -> Iterable[CardSymptom]:
    """Those of the library, then what was observed in the technician's words; at least what the ticket is called."""
    for symptom in known:
        yield CardSymptom(symptom_code=symptom.symptom_code, description=symptom.name, severity=symptom.severity)
    observed = [line for line in action.observations if len(line) <= 200][:MAX_OBSERVED]
    for line in observed or ([] if known else [ticket.title]):
        yield CardSymptom(description=line, severity=Severity(ticket.priority))


def _subsystem(ticket: Ticket, symptoms: list[Symptom]) -> SubsystemCategory:
    """Where most of the symptoms belong; the ticket's category, which the customer chose, only if there are none."""
    if symptoms:
        return Counter(symptom.category for symptom in symptoms).most_common(1)[0][0]
    return SUBSYSTEM_OF.get(ticket.category, SubsystemCategory.other)


def mode_of(*texts: str) -> FailureMode:
    """The mode that the first of the texts to name one points to."""
    for text in texts:
        for mode, words in _MODES:
            if re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
                return mode
    return FailureMode.complete_failure


def _codes(ticket: Ticket, text: str) -> list[str]:
    return _unique([*ticket.error_codes_reported, *map(str, find_codes(text))])


def _verification(action: TechnicianAction) -> Iterable[VerificationStep]:
    confirming = [tried for tried in action.attempted_diagnostics if tried.confirmed]
    for number, tried in enumerate(confirming[:100], 1):
        yield VerificationStep(
            step_number=number,
            action=tried.check_performed,
            expected_result=tried.result,
            tools_required=tried.tools_used[:20],
        )


def _steps(action: TechnicianAction, ticket: Ticket) -> Iterable[ResolutionStep]:
    whole = action.new_failure_resolution or ticket.resolution
    lines = action.resolution_steps_followed or [whole or UNKNOWN_FIX]
    # The time is known for the repair as a whole; shared out it still adds up.
    share, rest = divmod(action.resolution_time_minutes, len(lines))
    for number, line in enumerate(lines[:100], 1):
        yield ResolutionStep(
            step_number=number,
            action=line[:500],
            details=line if len(line) > 500 else "",
            duration_minutes=share + (number <= rest),
            tools_required=action.tools_used[:20] if number == 1 else [],
        )


def _vehicles(ticket: Ticket) -> list[VehicleCompatibility]:
    if not ticket.vehicle_make:
        return []
    # One vehicle says nothing of the years that are affected: they stay open.
    return [
        VehicleCompatibility(make=ticket.vehicle_make, model=ticket.vehicle_model, vehicle_type=ticket.vehicle_type)
    ]


def _conditions(ticket: Ticket) -> Iterable[FailureCondition]:
    if ticket.vehicle_year is not None:
        yield FailureCondition(condition="model year", value=str(ticket.vehicle_year))
    if ticket.vehicle_mileage_km is not None:
        yield FailureCondition(condition="mileage", value=str(ticket.vehicle_mileage_km), unit="km")
    if ticket.vehicle_firmware:
        yield FailureCondition(condition="firmware version", value=ticket.vehicle_firmware)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _unique_values(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept
