"""Tables stay legible however narrow the terminal is."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from app.terminal import WIDEST, print_table


def printed(columns: int, width: int) -> str:
    table = Table(title="Figures")
    for number in range(columns):
        table.add_column(f"heading {number}")
    table.add_row(*(f"{number}.12345" for number in range(columns)))
    file = io.StringIO()
    console = Console(file=file, width=width)
    print_table(console, table)
    assert console.width == width
    return file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_nothing_is_cut(width: int) -> None:
    shown = printed(12, width)
    assert "…" not in shown
    assert all(f"{number}.12345" in shown and f"heading {number}" in shown for number in range(12))


def test_a_line_has_an_end() -> None:
    assert max(map(len, printed(60, 80).splitlines())) <= WIDEST
