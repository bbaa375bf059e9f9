"""`efi train`: one training on the store, with what came of it in words."""

from datetime import timedelta

from rich.console import Console
from rich.table import Table

from app.errors import Unavailable
from app.indexing import index_for
from app.settings import Settings
from app.terminal import print_table
from matching.embedding import EmbeddingFailed
from models.match_model import ModelFigures, TrainingRecord
from seeds.progress import Stages, progress_on
from services.diagnosis.training.run import Training, train
from services.engagement.language_model import language_model


async def trained(settings: Settings, console: Console, *, dry_run: bool) -> Training:
    """One training, as the service does it by itself. Raises Unavailable if the embedder fails."""
    model = language_model(settings)
    try:
        live = await index_for(settings, model)
        with progress_on(console) as progress:
            stages = Stages(progress)
            await live.read(lambda done, total: stages("read", done, total))
            await live.embedding.finish(lambda done, total: stages("embed", done, total))
            return await train(
                live,
                min_decisions=settings.training_min_decisions,
                return_window=timedelta(days=settings.return_window_days),
                dry_run=dry_run,
                progress=stages,
            )
    except EmbeddingFailed as failed:
        raise Unavailable(f"The cards cannot be embedded: {failed}.") from failed
    finally:
        await model.close()


def show(training: Training, console: Console) -> None:
    console.print(
        f"{training.known} decisions for a card, {training.none} for no known failure.", highlight=False, soft_wrap=True
    )
    if training.model is None or training.model.record is None:
        console.print(f"Nothing was learnt: {training.idle}", highlight=False, soft_wrap=True)
        return
    print_table(console, _table(training.model.record))
    if training.model.refused:
        console.print(f"Refused: {training.model.refused}.", highlight=False, soft_wrap=True)
    elif training.stored:
        console.print(f"{training.model.id} serves from now on.", highlight=False, soft_wrap=True)
    else:
        console.print("It would serve from now on; nothing was stored.", highlight=False, soft_wrap=True)


def _table(record: TrainingRecord) -> Table:
    shown = Table()
    for heading in ("", "decisions", "log-loss", "nDCG@10"):
        shown.add_column(heading, justify="right" if heading else "left")
    lines: list[tuple[str, ModelFigures | None]] = [
        ("blind guessing", record.chance),
        ("shipped prior", record.prior),
        ("learnt, cross-validated", record.after),
        ("in service, on later decisions", record.serving),
        ("learnt, on the same", record.after_on_same),
    ]
    for name, figures in lines:
        if figures is not None:
            shown.add_row(name, str(figures.decisions), f"{figures.log_loss:.3f}", f"{figures.ndcg_10:.3f}")
    return shown
