"""`efi replay`: a match run with the index as it is now, shown to a person or written as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from app.indexing import index_for
from app.settings import Settings
from services.diagnosis import matches, runs
from services.diagnosis.replay import Fate, Place, Replay, replay
from services.diagnosis.training.models import ModelFollower
from services.engagement.language_model import language_model


async def replayed(settings: Settings, run_id: str) -> Replay:
    """Replay a run against the knowledge of today. Raises NotFound."""
    await runs.load_visible(run_id)  # before the index is loaded, which takes a while
    model = language_model(settings)
    try:
        live = await index_for(settings, model)
        await live.load()
        await ModelFollower(live).refresh()
        matches.serve(live)
        return await replay(run_id)
    finally:
        matches.serve(None)
        await model.close()


def show(played: Replay, console: Console) -> None:
    run = played.run
    asked = f"ticket {run.ticket_id}" if run.ticket_id else "no ticket"
    shown_to = run.actor.name or run.actor.id
    console.print(f"{run.id}: {run.created_at:%Y-%m-%d %H:%M} UTC, shown to {shown_to}, {asked}", highlight=False)
    console.print(f"Asked: {_cut(run.case.text)} {' '.join(run.case.error_codes)}", highlight=False, markup=False)
    for place, card in enumerate(run.candidates, 1):
        version = played.versions.get(card.card_id)
        then = version.content if version is not None else None
        words = _cut(then.symptom_text or then.description) if then is not None else "this version is no longer stored"
        line = f"{place}. {card.score:.4f}  {card.title} ({card.card_id} v{card.card_version}): {words}"
        console.print(line, highlight=False, markup=False)
    if run.none_probability is not None:
        console.print(f"No known failure: {run.none_probability:.4f}", highlight=False)
    console.print(_table(played))
    for change in played.changes:
        console.print(f"Changed since then: {change}", highlight=False)
    console.print(played.proof.sentence, highlight=False)


def _table(played: Replay) -> Table:
    table = Table(title="Then and today", title_justify="left")
    for heading in ("card", "then", "today", "", "why"):
        table.add_column(heading)
    for card in played.cards:
        table.add_row(card.title, _placed(card.then), _placed(card.today), card.fate, "; ".join(card.reasons))
    if all(card.fate is Fate.same for card in played.cards):
        table.caption = "Today the same complaint finds the same."
    return table


def _placed(place: Place | None) -> str:
    return "–" if place is None else f"{place.place}. v{place.version} {place.score:.4f}"


def _cut(text: str, length: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def as_json(played: Replay) -> dict[str, Any]:
    """The whole replay: the run, the shown cards as they stood then, the proof, and the comparison with today."""
    return {
        "run": played.run.model_dump(mode="json"),
        "versions": {card_id: version.model_dump(mode="json") for card_id, version in played.versions.items()},
        "reproduced_exactly": played.proof.exact,
        "proof": played.proof.sentence,
        "changes": played.changes,
        "cards": [asdict(card) for card in played.cards],
    }
