"""`efi import …`. What the commands need is imported when they run, so that asking for help stays quick."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models.bookkeeping import ImportRun
    from seeds.importers.runs import Importer

SHOWN_BAD_ROWS = 20

WithStore = Callable[[str, Callable[[], Awaitable[Any]]], Any]
"""Runs work on the opened store, as the actor named first."""

File = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, readable=True, help="A flat file as published, or JSON lines; plain, .gz or .zip."
    ),
]


def import_commands(with_store: WithStore) -> typer.Typer:
    """The commands, to be added to the command line that opens the store."""
    commands = typer.Typer(no_args_is_help=True, help="Import public data. Importing a file again adds nothing twice.")

    @commands.command("nhtsa-recalls")
    def nhtsa_recalls(file: File) -> None:
        """Make approved failure cards of NHTSA's recall campaigns (FLAT_RCL*.txt)."""
        from seeds.importers.nhtsa_recalls import RecallImporter

        _import(with_store, RecallImporter(), file)

    @commands.command("nhtsa-complaints")
    def nhtsa_complaints(
        file: File,
        with_events: Annotated[
            bool,
            typer.Option(help="As open tickets that have just come in; they get suggestions."),
        ] = False,
    ) -> None:
        """Make tickets of owner complaints (FLAT_CMPL.txt): closed ones, as history, unless they come with events."""
        from seeds.importers.nhtsa_complaints import ComplaintImporter

        _import(with_store, ComplaintImporter(with_events=with_events), file)

    return commands


def _import(with_store: WithStore, importer: "Importer[Any]", file: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from seeds.importers.runs import run_import

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(file.name, total=None)

        def show(position: int, size: int, run: "ImportRun") -> None:
            bar.update(task, completed=position, total=size, description=f"{file.name}: {run.created:,} new")

        run = with_store(f"import-{importer.name}", lambda: run_import(importer, file, progress=show))
    _report(run)


def _report(run: "ImportRun") -> None:
    typer.echo(
        f"{run.created:,} created, {run.updated:,} updated, {run.unchanged:,} there already, {run.bad_count:,} refused."
    )
    for bad in run.bad_rows[:SHOWN_BAD_ROWS]:
        typer.echo(f"  row {bad.row}: {bad.reason}" + (f" ({bad.excerpt})" if bad.excerpt else ""))
    if run.bad_count > SHOWN_BAD_ROWS:
        typer.echo(f"  … and {run.bad_count - SHOWN_BAD_ROWS:,} more; the first thousand stand in import run {run.id}.")
