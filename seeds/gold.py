"""`efi evaluate`: a gold set runs through the service's own pipeline, in a store that is thrown away afterwards."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.errors import Invalid
from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from app.terminal import print_table
from matching import Embedder
from models.failure_card import CardContent, FailureCard
from seeds.importers.nhtsa import clean, day, model_year
from seeds.importers.nhtsa_recalls import Recall, card_of
from seeds.progress import Stages, loaded_index, progress_on
from seeds.starter import load_starter
from services.diagnosis import matches
from services.diagnosis.evaluation.figures import Figures
from services.diagnosis.evaluation.gold import GoldSet, Row
from services.diagnosis.evaluation.report import as_json, label, notes, svg
from services.diagnosis.evaluation.run import Evaluation, evaluate
from services.diagnosis.matches import DEFAULT_SCORER
from services.knowledge.loading import upsert_by_natural_key, upsert_symptoms

__all__ = ["Asked", "Evaluation", "as_json", "content_of", "evaluate_folder", "print_report", "svg"]

BATCH = 200
SHOWN = 12
"""Groups of one division that the table for people has; the figures in JSON have all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`extra` adds failures that explain none of the complaints. All scorers, or those named."""

    folder: Path
    extra: bool = False
    scorers: Sequence[str] = ()


async def evaluate_folder(asked: Asked, embedder: Embedder | None, *, off: str = "", console: Console) -> Evaluation:
    """Figures on a gold set. Raises Invalid for a folder that cannot be read, and for unknown scorers.

    The corpus is imported as the recall importer does it, beside the symptom library. No other store is touched.
    Without an embedder the semantic channel is `off` for that reason.
    """
    gold = GoldSet.read(asked.folder)
    rows = {**gold.corpus, **(gold.distractors if asked.extra else {})}
    contents = [(id_, content_of(row)) for id_, row in rows.items()]
    with tempfile.TemporaryDirectory(prefix="efi-evaluate-") as data_dir:
        settings = Settings(_env_file=None, data_dir=Path(data_dir), mongo_url="")
        async with open_store(settings):
            with acting_as(system("evaluation")), progress_on(console) as progress:
                await _load(contents, progress)
                stages = Stages(progress)
                live = await loaded_index(embedder, off, stages)
                matches.serve(live)
                try:
                    return await evaluate(
                        gold,
                        live,
                        await _names(),
                        scorers=asked.scorers,
                        with_distractors=asked.extra,
                        progress=stages,
                    )
                finally:
                    matches.serve(None)


def content_of(row: Row) -> CardContent:
    """The card that a row of the corpus makes."""
    component, text = clean(row.get("component")), clean(row.get("text"))
    vehicles = [one for one in row.get("vehicles") or [] if isinstance(one, dict)]
    recall = Recall(
        campaign=row["_id"],
        manufacturer=clean(row.get("manufacturer")),
        reported=day(row.get("report_date")),
        # The corpus puts the component before its text; on a card it has a place of its own.
        summary=text.removeprefix(f"{component}.").strip() or clean(row.get("title")) or row["_id"],
        consequence="",
        remedy=clean(row.get("remedy")),
        components=[component],
        vehicles={(clean(one.get("make")), clean(one.get("model")), model_year(one.get("year"))) for one in vehicles},
    )
    return card_of(recall)


async def _load(contents: list[tuple[str, CardContent]], progress: Progress) -> None:
    await upsert_symptoms(load_starter().symptoms)
    task = progress.add_task("import", total=len(contents))
    for start in range(0, len(contents), BATCH):
        batch = contents[start : start + BATCH]
        loaded = await upsert_by_natural_key(batch)
        if loaded.refused:
            key, error = next(iter(loaded.refused.items()))
            raise Invalid(f"{len(loaded.refused)} failures of the corpus cannot be imported, {key}: {error}")
        progress.advance(task, len(batch))


async def _names() -> dict[str, str]:
    """Card id -> id in the corpus."""
    cards = FailureCard.get_pymongo_collection().find({}, {"natural_key": 1})
    return {card["_id"]: card["natural_key"] async for card in cards}


def print_report(evaluation: Evaluation, console: Console) -> None:
    """For people: all methods in one table, then where the default scorer is strong and where it is weak."""
    print_table(console, _table(evaluation))
    for note in notes(evaluation):
        console.print(f"· {note}", highlight=False, soft_wrap=True)
    print_table(console, _groups(evaluation))


def _table(evaluation: Evaluation) -> Table:
    gold = evaluation.gold
    title = f"{len(gold.answerable)} complaints with a known failure, {len(gold.unanswerable)} without"
    shown = Table(title=title, title_justify="left")
    shown.add_column("")
    for heading, _ in _COLUMNS:
        shown.add_column(heading, justify="right")
    kind = None
    for method in evaluation.methods.values():
        if kind not in (None, method.kind):
            shown.add_section()
        kind = method.kind
        name = label(evaluation, method)
        name = f"{name} (default)" if method.name == DEFAULT_SCORER else name
        shown.add_row(name, *_cells(value_of(method.figures) for _, value_of in _COLUMNS))
    return shown


def _groups(evaluation: Evaluation) -> Table:
    method = evaluation.believable
    shown = Table(title=f"{label(evaluation, method)}, by group (* few complaints)", title_justify="left")
    shown.add_column("")
    for heading in ("n", "hit@1", "90 % interval", "hit@3", "hit@10", "nDCG@10", "without", "abstained\nrightly"):
        shown.add_column(heading, justify="right")
    for division, found in evaluation.groups(method).items():
        shown.add_section()
        for group in found[:SHOWN]:
            ranks = group.ranks
            interval = "–" if group.hit_1_interval is None else "{:.2f} to {:.2f}".format(*group.hit_1_interval)
            hit_1, *others = _cells((ranks.hit_1, ranks.hit_3, ranks.hit_10, ranks.ndcg_10))
            name = f"{division}: {group.name}{' *' if group.small else ''}"
            tail = (str(group.unanswerable), *_cells([group.abstained_rightly]))
            shown.add_row(name, str(group.answerable), hit_1, interval, *others, *tail)
        if len(found) > SHOWN:
            shown.add_row(f"… and {len(found) - SHOWN} smaller", *[""] * 8)
    return shown


def _cells(values: Iterable[float | None]) -> list[str]:
    return ["–" if value is None else f"{value:.3f}" for value in values]


_COLUMNS: list[tuple[str, Callable[[Figures], float | None]]] = [
    ("hit@1", lambda figures: figures.ranks.hit_1),
    ("hit@3", lambda figures: figures.ranks.hit_3),
    ("hit@10", lambda figures: figures.ranks.hit_10),
    ("MRR", lambda figures: figures.ranks.mrr),
    ("nDCG@10", lambda figures: figures.ranks.ndcg_10),
    ("strict\nhit@1", lambda figures: figures.strict.hit_1),
    ("strict\nnDCG@10", lambda figures: figures.strict.ndcg_10),
    ("AUROC,\nno match", lambda figures: figures.auroc_nomatch),
    ("ECE", lambda figures: figures.ece),
    ("Brier", lambda figures: figures.brier),
    ("abstention\nprecision", lambda figures: figures.abstention_precision),
    ("abstention\nrecall", lambda figures: figures.abstention_recall),
    ("fooled,\ntypical", lambda figures: figures.fools_typical),
    ("fooled,\nmost", lambda figures: figures.fools_most),
]
