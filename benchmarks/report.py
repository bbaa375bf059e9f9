"""Figures as a table for people and as JSON for machines: the same ones."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from app.terminal import print_table

Figures = dict[str, float | int | None]


@dataclass
class Report:
    """`rows` maps what was measured (ours first, then the peers) to its figures; all rows have the same columns.

    `passed` is False where the benchmark states a requirement that was not met.
    """

    title: str
    rows: dict[str, Figures]
    notes: list[str] = field(default_factory=list)
    passed: bool = True

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "passed": self.passed, "rows": self.rows, "notes": self.notes}

    def show(self, console: Console | None = None) -> None:
        columns = list(dict.fromkeys(name for figures in self.rows.values() for name in figures))
        cells = [["", *columns]] + [
            [label, *(_shown(figures.get(column)) for column in columns)] for label, figures in self.rows.items()
        ]
        if len(self.rows) == 1:  # many figures of one thing read better below each other
            cells = [list(line) for line in zip(*cells, strict=True)]
        table = Table(title=self.title, title_justify="left")
        for place, heading in enumerate(cells[0]):
            table.add_column(heading, justify="right" if place else "left")
        for line in cells[1:]:
            table.add_row(*line)
        console = console or Console()
        print_table(console, table)
        for note in self.notes:
            console.print(note, style="dim")


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie, the nearest one (no interpolation)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def milliseconds(seconds: Sequence[float]) -> Figures:
    """Percentiles of durations given in seconds."""
    return {
        "n": len(seconds),
        "p50 ms": round(percentile(seconds, 0.5) * 1000, 3),
        "p99 ms": round(percentile(seconds, 0.99) * 1000, 3),
        "max ms": round(max(seconds) * 1000, 3),
    }


def quietest(work: Callable[[Any], object], questions: Iterable[Any], rounds: int) -> Figures:
    """Percentiles of one call per question, of several rounds the one with the lowest median."""
    found: list[Figures] = []
    for _ in range(rounds):
        seconds = []
        for question in questions:
            started = time.perf_counter()
            work(question)
            seconds.append(time.perf_counter() - started)
        found.append(milliseconds(seconds))
    return min(found, key=lambda figures: figures["p50 ms"] or 0)
