"""Loads the starter knowledge into the store. Loading it again updates what the files have changed and nothing else."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.errors import Invalid, Unavailable
from seeds.starter import StarterKnowledge, load_starter
from services import leases
from services.accounts.catalogue import CatalogueLoad, upsert_models
from services.knowledge.loading import LoadResult, upsert_by_natural_key, upsert_symptoms

BATCH = 50
"""Entries of one transaction: few enough for the bar to move, enough to share the cost of a commit."""
PATIENCE_SECONDS = 120.0

Entry = TypeVar("Entry")


@dataclass(slots=True)
class Count:
    """What became of the entries of one kind."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __str__(self) -> str:
        return f"{self.created} created, {self.updated} updated, {self.unchanged} unchanged"


async def seed(knowledge: StarterKnowledge | None = None, *, console: Console | None = None) -> dict[str, Count]:
    """Load symptoms, vehicles and cards; returns the counts by kind. A progress bar shows on `console` if given.

    Runs under a lease, so that of several replicas one loads and the others find it done. Raises Invalid for files that
    break a rule (before anything is written), Unavailable if another replica does not finish.
    """
    known = knowledge or load_starter()
    async with leases.hold("starter knowledge", patience=PATIENCE_SECONDS) as held:
        if not held:
            raise Unavailable("Another replica is loading the starter knowledge and does not finish.")
        with _progress(console) as progress:
            # Cards come last: they name symptoms.
            return {
                "symptoms": await _load(progress, "symptoms", known.symptoms, upsert_symptoms),
                "vehicles": await _load(progress, "vehicles", known.vehicles, upsert_models),
                "failure cards": await _load(progress, "failure cards", known.cards, upsert_by_natural_key),
            }


def _progress(console: Console | None) -> Progress:
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console or Console(quiet=True), disable=console is None)


async def _load(
    progress: Progress,
    kind: str,
    entries: Sequence[Entry],
    upsert: Callable[[Sequence[Entry]], Awaitable[LoadResult | CatalogueLoad]],
) -> Count:
    count = Count()
    task = progress.add_task(kind, total=len(entries))
    for batch in _batches(entries):
        result = await upsert(batch)
        if isinstance(result, LoadResult) and result.refused:
            key, reason = next(iter(result.refused.items()))
            raise Invalid(f"{kind}, {key}: {reason.detail}", **reason.extra)
        count.created += result.created
        count.updated += result.updated
        count.unchanged += result.unchanged
        progress.advance(task, len(batch))
    return count


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))
