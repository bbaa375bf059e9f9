"""Tables on a terminal, in a file or through a pipe: always legible."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 400
"""Characters of a line, at most."""


def print_table(console: Console, table: Table) -> None:
    """Prints the table as wide as it is: figures cut to "0…" tell nothing, so a narrow terminal wraps the lines."""
    natural = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    width, console.width = console.width, max(console.width, natural)
    try:
        console.print(table, crop=False)
    finally:
        console.width = width
