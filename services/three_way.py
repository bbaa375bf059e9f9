"""Two who changed the same thing without sight of each other, beside what it was before both. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One place where either differs from the base. `conflict`: both changed it, and not alike."""

    field: str
    base: Any
    present: Any
    proposed: Any
    conflict: bool


def by_field(base: Mapping[str, Any], present: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[Line]:
    """Where the present values or the proposed ones differ from their common base, in the order of `proposed`."""
    lines = []
    for name, wanted in proposed.items():
        before, now = base[name], present[name]
        if before != now or before != wanted:
            lines.append(Line(name, before, now, wanted, before not in (now, wanted) and now != wanted))
    return lines
