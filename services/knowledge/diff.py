"""What differs between two versions of a card, field by field and, within lists, element by element."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.failure_card import CardContent


class Change(StrEnum):
    added = "added"
    removed = "removed"
    changed = "changed"
    moved = "moved"


@dataclass(frozen=True)
class Difference:
    """One difference. `field` is a path such as `resolution_steps[2].action`; an element of a list stands in brackets
    under its own key (step number, node id, part), or under its value where it has none.

    `moved`: the list holds the same elements in another order; old and new are their keys.
    """

    field: str
    change: Change
    old: Any = None
    new: Any = None


_KEYS = {
    "symptoms": ("symptom_code", "description"),
    "nodes": ("node_id",),
    "verification_steps": ("step_number",),
    "resolution_steps": ("step_number",),
    "required_parts": ("part_id", "part_number", "part_name"),
    "failure_conditions": ("condition",),
}
"""By which of its fields, the first that is not empty, an element of a list is known again."""


def differences(old: CardContent, new: CardContent) -> list[Difference]:
    """All differences, in the order of the card's fields; values as in JSON."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [found for name in before for found in _compare(name, name, before[name], after[name])]


def _compare(path: str, name: str, old: Any, new: Any) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _compare(f"{path}.{key}", key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(path, name, old, new)
    elif old is None:
        yield Difference(path, Change.added, new=new)
    elif new is None:
        yield Difference(path, Change.removed, old=old)
    else:
        yield Difference(path, Change.changed, old, new)


def _compare_lists(path: str, name: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    before, after = _keyed(name, old), _keyed(name, new)
    for key, value in before.items():
        if key in after:
            yield from _compare(f"{path}[{key}]", key, value, after[key])
        else:
            yield Difference(f"{path}[{key}]", Change.removed, old=value)
    for key, value in after.items():
        if key not in before:
            yield Difference(f"{path}[{key}]", Change.added, new=value)
    kept_before = [key for key in before if key in after]
    kept_after = [key for key in after if key in before]
    if kept_before != kept_after:
        yield Difference(path, Change.moved, kept_before, kept_after)


def _keyed(name: str, elements: list[Any]) -> dict[str, Any]:
    """The elements by key; equal keys are told apart by a running number."""
    keyed: dict[str, Any] = {}
    for element in elements:
        key = own = _key(name, element)
        number = 2
        while key in keyed:
            key = f"{own}#{number}"
            number += 1
        keyed[key] = element
    return keyed


def _key(name: str, element: Any) -> str:
    if isinstance(element, dict):
        for field in _KEYS.get(name, ()):
            if element.get(field) not in (None, ""):
                return str(element[field])
        return json.dumps(element, sort_keys=True, ensure_ascii=False)
    return str(element)
