"""Running an importer: in batches, each with its progress in one transaction, so that a stopped run resumes exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from app import clock
from app.database import in_transaction
from models.bookkeeping import BadRow, ImportRun
from seeds.importers.reading import Refused, Source
from services.writing import encode, update

V = TypeVar("V")
BATCH = 500
KEPT_BAD_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Item(Generic[V]):
    """One thing to import, out of one row or several; `number` is the first of them."""

    number: int
    value: V


@dataclass(frozen=True, slots=True)
class Step(Generic[V]):
    """What reading came to next. A run resumed at row `resume_at` meets everything after this, and perhaps a little of
    what came before."""

    found: Item[V] | Refused
    resume_at: int


@dataclass(slots=True)
class Stored:
    """What became of a batch."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[Refused] = field(default_factory=list)


class Importer(Protocol[V]):
    """`steps` reads, `store` writes; storing the same again changes nothing."""

    name: str
    columns: tuple[str, ...]

    def steps(self, source: Source, start: int) -> Iterator[Step[V]]: ...

    async def store(self, items: list[Item[V]]) -> Stored: ...


Progress = Callable[[int, int, ImportRun], None]
"""Called after every batch with bytes read, bytes in all, and the run."""


async def run_import(
    importer: Importer[Any], path: Path, *, batch: int = BATCH, progress: Progress | None = None
) -> ImportRun:
    """Import the file. A run of the same importer on the same file that did not finish is taken up where it stopped.

    Rows that cannot be imported are listed in the run and left out. Raises Invalid for a file that cannot be read.
    """
    with Source(path, importer.columns) as source:
        run = await _begin(importer.name, source)
        waiting: list[Step[Any]] = []
        for step in importer.steps(source, run.next_row):
            waiting.append(step)
            if len(waiting) == batch:
                run = await _commit(importer, run, waiting)
                waiting = []
                if progress:
                    progress(source.position, source.size, run)
        run = await _commit(importer, run, waiting)
        run = await update(run, {"finished_at": clock.now()})
        if progress:
            progress(source.size, source.size, run)
    return run


async def _begin(name: str, source: Source) -> ImportRun:
    fingerprint = source.fingerprint()
    query = {"importer": name, "source_fingerprint": fingerprint}
    latest = await ImportRun.find(query).sort([("_id", -1)]).limit(1).to_list()
    if latest and latest[0].finished_at is None:
        return latest[0]
    return await ImportRun(importer=name, source_path=str(source.path), source_fingerprint=fingerprint).insert()


async def _commit(importer: Importer[Any], run: ImportRun, steps: list[Step[Any]]) -> ImportRun:
    if not steps:
        return run
    items = [step.found for step in steps if isinstance(step.found, Item)]
    refused = [step.found for step in steps if isinstance(step.found, Refused)]

    async def work() -> ImportRun:
        stored = await importer.store(items) if items else Stored()
        bad = [*refused, *stored.refused]
        listed = [BadRow(row=row.number + 1, reason=row.reason[:500], excerpt=row.excerpt) for row in bad]
        return await update(
            run,
            {"next_row": steps[-1].resume_at},
            inc={
                "created": stored.created,
                "updated": stored.updated,
                "unchanged": stored.unchanged,
                "bad_count": len(bad),
            },
            push={"bad_rows": {"$each": encode(listed), "$slice": KEPT_BAD_ROWS}} if listed else None,
        )

    return await in_transaction(work)
