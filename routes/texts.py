"""Words and numbers as people read them: the one catalogue of texts, for pages and for paper."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CATALOGUE = Path(__file__).parent / "portal" / "texts.yaml"


@cache
def _texts() -> dict[str, str]:
    """The catalogue, flat: `ticket.title` names `title` under `ticket`."""
    with CATALOGUE.open(encoding="utf-8") as file:
        return dict(_flat("", yaml.safe_load(file)))


def _flat(prefix: str, entries: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in entries.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", str(value))]
    return found


def text(key: str, **values: Any) -> str:
    """A text of the catalogue. A key that it lacks is a mistake in the program."""
    found = _texts()[key]
    return found.format_map(values) if values else found


def word(value: Any) -> str:
    """A value of a closed vocabulary in plain words."""
    return _texts().get(f"word.{value}") or str(value).replace("_", " ")


def share(value: float | None) -> str:
    """A number from 0 to 1 in per cent."""
    if value is None:
        return "–"
    if 0.995 <= value < 1:
        return ">\u00a099\u00a0%"
    return "<\u00a01\u00a0%" if 0 < value < 0.005 else f"{value * 100:.0f}\u00a0%"
