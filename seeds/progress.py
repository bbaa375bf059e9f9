"""Progress of long work on the command line, and the index that such work needs."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from matching import Embedder
from services.diagnosis.live_index import LiveIndex


def progress_on(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


class Stages:
    """A bar for each stage, from when it first tells something."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=None)
        self._progress.update(self._bars[stage], completed=done, total=total)


async def loaded_index(embedder: Embedder | None, off: str, stages: Stages) -> LiveIndex:
    """All cards of the store, embedded; it does not follow the store."""
    live = LiveIndex(embedder, off=off)
    await live.read(lambda done, total: stages("read", done, total))
    await live.embedding.finish(lambda done, total: stages("embed", done, total))
    return live
