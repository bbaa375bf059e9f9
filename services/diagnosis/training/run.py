"""Training: from the decisions in the store to a model that serves, or to the reason why it does not."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from app import clock
from matching.scorers.calibrated import WITHOUT_MODEL, CalibratedModel, Weights
from matching.training import Row, collect
from models.match_model import MatchModel, ModelFigures, TrainingRecord
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.training import decisions, models
from services.diagnosis.training.decisions import Decided
from services.diagnosis.training.trial import Score, Verdict, hold_trial

log = structlog.get_logger(__name__)

LEAST_OF_EACH = 30
"""Decisions for a card, and decisions for none, without which nothing is learnt: one kind alone teaches to say it."""
BATCH = 50

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Training:
    """What became of it. `model` is None if there was nothing to try; `idle` then says why. `stored` is False for a
    trial run."""

    known: int
    none: int
    idle: str = ""
    model: MatchModel | None = None
    stored: bool = False


async def train(
    live: LiveIndex,
    *,
    min_decisions: int,
    return_window: timedelta,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Training:
    """Learn from the decisions of this moment, and let the model serve if it passes the trial.

    Everything slow runs in threads, in pieces. With `dry_run` nothing is stored.
    """
    tell = progress or (lambda *_: None)
    decided = await decisions.read(return_window)
    if idle := _too_few(decided, min_decisions) or _unready(live):
        return Training(*_kinds(decided), idle)
    rows: list[Row] = []
    for start in range(0, len(decided), BATCH):
        asked = [one.decision for one in decided[start : start + BATCH]]
        rows += await asyncio.to_thread(collect, live.matcher, asked)
        tell("match", len(rows), len(decided))
    cards = await decisions.facts({card_id for row in rows for card_id in row.ids})
    fair = decisions.fair(decided, rows, cards)
    kept = [one for one, _ in fair]
    if idle := _too_few(kept, min_decisions):
        return Training(*_kinds(kept), idle)
    earlier = await models.all_models()
    hash_ = decisions.fingerprint(kept)
    if any(model.record is not None and model.record.decisions_hash == hash_ for model in earlier) and not dry_run:
        return Training(*_kinds(kept), "These decisions have been tried before.")
    serving, unseen = await _in_service(live, kept)
    if serving is not None and len(unseen) < LEAST_OF_EACH:
        return Training(
            *_kinds(kept), f"{len(unseen)} decisions since the model in service, {LEAST_OF_EACH} are needed."
        )
    tell("fit", 0, 1)
    verdict = await asyncio.to_thread(hold_trial, [row for _, row in fair], _prior(live), serving, unseen)
    model = _model(live, kept, verdict, hash_, 1 + max(one.number for one in earlier))
    tell("fit", 1, 1)
    if not dry_run:
        await model.insert()
        if not model.refused:
            model = await models.activate(model)
        log.info("a match model was tried", version=model.id, refused=model.refused or None, decisions=len(kept))
    return Training(*_kinds(kept), model=model, stored=not dry_run)


def _unready(live: LiveIndex) -> str:
    """Why nothing can be learnt from this index yet: weights are learnt for one embedder and all its vectors."""
    embedder, wanted = _embedder(live), live.embedding.wanted
    if wanted is not None and wanted.name != embedder:
        return f"The cards are being embedded anew, by {wanted.name}."
    waiting = live.index.awaiting(embedder) if embedder is not None else 0
    return f"Vectors are missing yet, of {waiting} cards." if waiting else ""


def _embedder(live: LiveIndex) -> str | None:
    return live.index.embedder.name if live.index.embedder is not None else None


def _prior(live: LiveIndex) -> Weights:
    return CalibratedModel.shipped().variant(_embedder(live))[1]


async def _in_service(live: LiveIndex, decided: list[Decided]) -> tuple[Weights | None, list[int]]:
    """The learnt weights in service for this embedder, None if the prior serves, and the places of the decisions that
    they were not fitted on."""
    serving = await models.active()
    if serving.record is None or serving.record.embedder != _embedder(live):
        return None, []
    until = serving.record.decided_until
    unseen = [place for place, one in enumerate(decided) if one.decided_at > until]
    return models.load(serving).variant(_embedder(live))[1], unseen


def _model(live: LiveIndex, decided: list[Decided], verdict: Verdict, hash_: str, number: int) -> MatchModel:
    version, shipped = f"decisions-{number}", CalibratedModel.shipped()
    known, none = _kinds(decided)
    record = TrainingRecord(
        decisions=len(decided),
        known=known,
        none=none,
        decisions_hash=hash_,
        decided_from=decided[0].decided_at,
        decided_until=decided[-1].decided_at,
        embedder=_embedder(live),
        learnt=list(verdict.learnt),
        **_figures(verdict),
    )
    return MatchModel(
        id=version,
        base=shipped.version,
        number=number,
        parameters="" if verdict.refused else _parameters(version, record, verdict.weights),
        record=record,
        refused=verdict.refused,
    )


def _parameters(version: str, record: TrainingRecord, weights: Weights) -> str:
    said = (
        f"Learnt at {clock.now():%Y-%m-%d} from {record.decisions} decisions of technicians, {record.known} for a card "
        f"and {record.none} for none, from the shipped weights as prior."
    )
    return models.parameters_of(version, said, {record.embedder or WITHOUT_MODEL: weights})


def _figures(verdict: Verdict) -> dict[str, ModelFigures | None]:
    def shown(score: Score | None) -> ModelFigures | None:
        return None if score is None else ModelFigures(**asdict(score))

    names = ("chance", "prior", "after", "serving", "after_on_same")
    return {name: shown(getattr(verdict, name)) for name in names}


def _kinds(decided: list[Decided]) -> tuple[int, int]:
    known = sum(bool(one.decision.relevant) for one in decided)
    return known, len(decided) - known


def _too_few(decided: list[Decided], least: int) -> str:
    known, none = _kinds(decided)
    if len(decided) >= least and min(known, none) >= LEAST_OF_EACH:
        return ""
    return (
        f"{len(decided)} decisions, {known} for a card and {none} for none: "
        f"{least} are needed, {LEAST_OF_EACH} of each kind."
    )
