"""The starter knowledge: symptoms, failure cards and catalogue vehicles, kept as YAML beside this module.

Every file is a list of mappings with the fields of SymptomContent, CardContent or VehicleContent. Cards and vehicles
carry their natural key as `key`; a symptom's is its `symptom_code`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from app.errors import Invalid
from models.failure_card import CardContent
from models.symptom import SymptomContent
from models.vehicle import VehicleContent
from services.knowledge.content import completed

FOLDER = Path(__file__).parent
_KEY = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
# The C parser reads the cards in a tenth of the time, but not every build of PyYAML has it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class StarterKnowledge:
    """Cards and vehicles come with their natural key; every list is in order of file and entry."""

    symptoms: list[SymptomContent]
    cards: list[tuple[str, CardContent]]
    vehicles: list[tuple[str, VehicleContent]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One mapping of a file. `place` reads `failure_cards/motor.yaml[2:motor-hall-sensor-open]`."""

    place: str
    key: str
    fields: dict[str, Any]


class _Faults(list[dict[str, str]]):
    def note(self, place: str, rule: str) -> None:
        self.append({"field": place, "rule": rule})


def load_starter(folder: Path = FOLDER) -> StarterKnowledge:
    """Read and check all of it. Raises Invalid with every fault found, each named by file, entry and field."""
    faults = _Faults()
    symptoms = _read(folder, "symptoms/*.yaml", SymptomContent, faults, key="symptom_code")
    cards = _read(folder, "failure_cards/*.yaml", CardContent, faults)
    vehicles = _read(folder, "vehicles.yaml", VehicleContent, faults)
    _require_own_names(symptoms, faults)
    library = {content.symptom_code for _, content in symptoms}
    checked = [(entry.key, _checked(entry, card, library, faults)) for entry, card in cards]
    if faults:
        raise Invalid("\n".join(f"{fault['field']}: {fault['rule']}" for fault in faults), errors=list(faults))
    return StarterKnowledge(
        symptoms=[content for _, content in symptoms],
        cards=checked,
        vehicles=[(entry.key, content) for entry, content in vehicles],
    )


def _read(
    folder: Path, pattern: str, content: type[Content], faults: _Faults, key: str = "key"
) -> list[tuple[_Entry, Content]]:
    found = []
    places: dict[str, str] = {}
    for path in sorted(folder.glob(pattern)):
        for entry in _entries(path, path.relative_to(folder).as_posix(), key, faults):
            if (first := places.setdefault(entry.key, entry.place)) != entry.place:
                faults.note(f"{entry.place}.{key}", f"{first} has this key already")
            own = entry.fields if key in content.model_fields else {k: v for k, v in entry.fields.items() if k != key}
            try:
                found.append((entry, content.model_validate(own)))
            except ValidationError as invalid:
                for error in invalid.errors():
                    faults.note(".".join([entry.place, *map(str, error["loc"])]), error["msg"])
    return found


def _entries(path: Path, name: str, key: str, faults: _Faults) -> Iterator[_Entry]:
    try:
        listed = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - both loaders are safe ones
    except yaml.YAMLError as broken:
        faults.note(name, f"is not YAML: {broken}")
        return
    if not isinstance(listed, list):
        faults.note(name, "must be a list of entries")
        return
    for number, fields in enumerate(listed, start=1):
        value = fields.get(key) if isinstance(fields, Mapping) else None
        if isinstance(value, str) and (_KEY.match(value) or key != "key"):
            yield _Entry(f"{name}[{number}:{value}]", value, dict(fields))
        else:
            faults.note(f"{name}[{number}].{key}", "must be there; a key is lower-case words joined by hyphens")


def _require_own_names(symptoms: list[tuple[_Entry, SymptomContent]], faults: _Faults) -> None:
    places: dict[str, str] = {}
    for entry, content in symptoms:
        if (first := places.setdefault(" ".join(content.name.casefold().split()), entry.place)) != entry.place:
            faults.note(f"{entry.place}.name", f"{first} has this name already")


def _checked(entry: _Entry, card: CardContent, library: set[str], faults: _Faults) -> CardContent:
    """The card completed as the service would; what pydantic cannot know is checked here."""
    of_symptoms = {symptom.symptom_code for symptom in card.symptoms if symptom.symptom_code}
    for code in sorted(of_symptoms - library):
        faults.note(f"{entry.place}.symptoms", f"{code} is not in the symptom library")
    if of_symptoms != set(card.symptom_codes):
        faults.note(f"{entry.place}.symptom_codes", "must name the same symptoms as the field symptoms")
    if card.diagnostic_tree is None:
        faults.note(f"{entry.place}.diagnostic_tree", "must be there")
        return card
    # Named after the card, so that loading the same file again changes nothing.
    named = card.diagnostic_tree.model_copy(update={"tree_id": f"tree_{entry.key.replace('-', '_')}"})
    try:
        return completed(card.model_copy(update={"diagnostic_tree": named}))
    except Invalid as broken:
        for fault in broken.extra["errors"]:
            faults.note(f"{entry.place}.{fault['field']}", fault["rule"])
        return card
