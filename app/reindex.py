"""`efi reindex`: the matching index, built anew from the store and saved for the next start."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.errors import Unavailable
from app.indexing import index_for
from app.settings import Settings
from matching.embedding import EmbeddingFailed
from services.diagnosis import snapshots, vectors
from services.engagement.language_model import language_model


async def reindex(settings: Settings, console: Console, *, embeddings: bool = False) -> int:
    """Read every card anew, with `embeddings` also embed it anew; returns the number of cards.

    Raises Unavailable if the embedder fails; what was embedded until then is kept.
    """
    snapshots.drop(settings.data_dir / snapshots.FILE)
    if embeddings:
        dropped = await vectors.drop_all()
        console.print(f"{dropped:,} kept vectors dropped")
    model = language_model(settings)
    try:
        live = await index_for(settings, model)
        with _progress(console) as progress:
            await live.read(_bar(progress, "cards"))
            await live.embedding.finish(_bar(progress, "vectors"))
        await live.write_snapshot()
    except EmbeddingFailed as failed:
        raise Unavailable(f"The cards cannot be embedded: {failed}.") from failed
    finally:
        await model.close()
    return len(live.index)


def _bar(progress: Progress, name: str) -> Callable[[int, int], None]:
    """A bar that appears with the first piece of work."""
    tasks: list[TaskID] = []

    def show(done: int, total: int) -> None:
        if not tasks:
            tasks.append(progress.add_task(name, total=total))
        progress.update(tasks[0], completed=done, total=total)

    return show


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)
