"""`efi evaluate`: a gold set runs through the service's own pipeline, in a store that is thrown away afterwards."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.errors import Invalid
from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from models.failure_card import CardContent, FailureCard
from seeds.importers.nhtsa import clean, day, model_year
from seeds.importers.nhtsa_recalls import Recall, card_of
from seeds.starter import load_starter
from services.diagnosis import matches
from services.diagnosis.evaluation import Figures, GoldSet, Row, evaluate, read_rows
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.matches import DEFAULT_SCORER
from services.knowledge.loading import upsert_by_natural_key, upsert_symptoms

BATCH = 200


async def evaluate_folder(folder: Path, *, extra: bool, console: Console) -> dict[str, Figures]:
    """Figures of every scorer on the gold set in `folder`. Raises Invalid for a folder that cannot be read.

    The corpus is imported as the recall importer does it, beside the symptom library; with `extra`, further failures
    that explain none of the complaints too. No other store is touched.
    """
    gold = GoldSet.read(folder)
    files = [folder / "corpus.jsonl", *([folder / "corpus_extra.jsonl"] if extra else [])]
    contents = [(row["_id"], content_of(row)) for file in files for row in read_rows(file)]
    missing = set().union(*gold.relevant.values()) - dict(contents).keys()
    if missing:
        raise Invalid(f"qrels.tsv names {len(missing)} failures that the corpus lacks, for instance {min(missing)}.")
    with tempfile.TemporaryDirectory(prefix="efi-evaluate-") as data_dir:
        settings = Settings(_env_file=None, data_dir=Path(data_dir), mongo_url="")
        async with open_store(settings):
            with acting_as(system("evaluation")), _progress(console) as progress:
                await _load(contents, progress)
                return await _ask_all(gold, progress)


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


async def _ask_all(gold: GoldSet, progress: Progress) -> dict[str, Figures]:
    live = LiveIndex()
    await live.load()
    matches.serve(live)
    try:
        cards = FailureCard.get_pymongo_collection().find({}, {"natural_key": 1})
        names = {card["_id"]: card["natural_key"] async for card in cards}
        results: dict[str, Figures] = {}
        for scorer in matches.scorers():
            task = progress.add_task(scorer, total=None)

            def show(done: int, total: int, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            results[scorer] = await evaluate(gold, scorer, names, show)
        return results
    finally:
        matches.serve(None)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def as_json(results: dict[str, Figures]) -> dict[str, Any]:
    return {**{scorer: figures.as_json() for scorer, figures in results.items()}, "default": DEFAULT_SCORER}


def table(results: dict[str, Figures]) -> Table:
    """For people: one column for each scorer."""
    shown = Table(title="Complaints to known failures", title_justify="left")
    shown.add_column("")
    for scorer in results:
        shown.add_column(f"{scorer} (default)" if scorer == DEFAULT_SCORER else scorer, justify="right")
    for label, value_of in _LINES:
        values = [value_of(figures) for figures in results.values()]
        shown.add_row(label, *("–" if value is None else f"{value:.3f}" for value in values))
    return shown


_LINES: list[tuple[str, Callable[[Figures], float | None]]] = [
    ("hit@1", lambda figures: figures.hit_1),
    ("hit@3", lambda figures: figures.hit_3),
    ("hit@10", lambda figures: figures.hit_10),
    ("MRR", lambda figures: figures.mrr),
    ("nDCG@10", lambda figures: figures.ndcg_10),
    ("AUROC, known or not", lambda figures: figures.auroc_nomatch),
    ("calibration error (ECE)", lambda figures: figures.ece),
    ("no known failure, but the top score\nreaches the median right one", lambda figures: figures.fools_typical),
    ("… reaches 95 % of the right ones", lambda figures: figures.fools_most),
]
