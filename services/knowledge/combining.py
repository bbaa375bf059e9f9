"""One card's content out of two: what the retired card says is added to, or put in place of, what the survivor says."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from pydantic import ValidationError

from app.errors import Invalid
from models.failure_card import CardContent
from services.knowledge.content import DRAFT_MARK

Key = Callable[[Any], Hashable]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _itself(value: str) -> Hashable:
    return _folded(value)


def _part(part: Mapping[str, Any]) -> Hashable:
    return _folded(part["part_number"] or part["part_name"])


def _vehicle(vehicle: Mapping[str, Any]) -> Hashable:
    # Years, variants and firmware tell entries of one model apart.
    own = {**vehicle, "make": _folded(vehicle["make"]), "model": _folded(vehicle["model"])}
    return tuple((name, str(value)) for name, value in sorted(own.items()) if name != "vehicle_type")


LISTS: Mapping[str, Key] = {
    "symptoms": lambda symptom: symptom["symptom_code"] or _folded(symptom["description"]),
    "symptom_codes": _itself,
    "error_codes": _itself,
    "secondary_causes": _itself,
    "verification_steps": lambda step: _folded(step["action"]),
    "diagnostic_tools": _itself,
    "resolution_steps": lambda step: _folded(step["action"]),
    "required_parts": _part,
    "vehicle_models": _vehicle,
    "failure_conditions": lambda one: (_folded(one["condition"]), _folded(one["value"]), _folded(one["unit"])),
    "keywords": _itself,
    "tags": _itself,
}
"""Fields that hold several entries, and by what an entry is known again on the other card."""
NUMBERED = frozenset({"verification_steps", "resolution_steps"})
TEXTS = ("description", "symptom_text", "root_cause", "root_cause_details", "resolution_summary")
"""Fields whose texts can stand below each other."""
SINGLE = (
    "title", "subsystem_category", "failure_mode", "severity", "diagnostic_tree", "diagnostic_duration_minutes",
    "estimated_repair_time_minutes", "skill_level_required", "estimated_parts_cost", "estimated_labor_cost",
    "estimated_total_cost", "universal_failure", "source_type", "source_reference", "first_detected_at",
)  # fmt: skip
"""Fields of which a card has one value: taking it replaces the survivor's."""
FIELDS = (*SINGLE, *TEXTS, *LISTS)
"""Everything that can be taken. The failure signature follows from the rest."""


def combined(kept: CardContent, retired: CardContent, take: Collection[str]) -> CardContent:
    """`kept` with the retired card's values of the fields named in `take`.

    Entries of a list that `kept` lacks are added at the end, texts stand below its own unless it says them already, and
    single values take the place of its own. Raises Invalid for a field that cannot be taken, or holds too much then.
    """
    unknown = sorted(set(take) - set(FIELDS))
    if unknown:
        raise Invalid.field("take", f"can hold {', '.join(FIELDS)}", unknown[0])
    own, other = kept.model_dump(), retired.model_dump()
    changes: dict[str, Any] = {}
    for field in take:
        if field in LISTS:
            changes[field] = union(field, own[field], other[field])
        elif field in TEXTS:
            changes[field] = joined([own[field], other[field]])
        else:
            changes[field] = other[field]
    if "title" in changes:
        changes["title"] = retired.title.removeprefix(DRAFT_MARK)
    return validated(own | changes)


def validated(values: Mapping[str, Any]) -> CardContent:
    """The values as content. Raises Invalid naming every field that breaks a rule."""
    try:
        return CardContent.model_validate(values)
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, fault["loc"])), "rule": fault["msg"].removeprefix("Value error, ")}
            for fault in error.errors()
        ]
        summary = "; ".join(f"{fault['field']}: {fault['rule']}" for fault in faults[:5])
        raise Invalid(summary, errors=faults) from None


def union(field: str, own: list[Any], other: list[Any]) -> list[Any]:
    """The entries of both lists, each once; steps are numbered anew."""
    key = LISTS[field]
    found: dict[Hashable, Any] = {}
    for entry in (*own, *other):
        found.setdefault(key(entry), entry)
    entries = list(found.values())
    return numbered(entries) if field in NUMBERED else entries


def numbered(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**step, "step_number": number} for number, step in enumerate(steps, 1)]


def joined(texts: list[str]) -> str:
    """The texts below each other, without those that another one contains."""
    kept: list[str] = []
    for text in texts:
        if text and not any(_folded(text) in _folded(earlier) for earlier in kept):
            kept = [earlier for earlier in kept if _folded(earlier) not in _folded(text)] + [text]
    return "\n\n".join(kept)
