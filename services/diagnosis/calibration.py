"""Whether match probabilities mean what they say: what was shown for tickets, against what repairs decided.

Probabilities are those of the match that a ticket got first, before anybody had worked on it; decisions are those that
training learns from. A card drawn as similar to the right one is left out: it was neither right nor wrong.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import clock
from matching.evaluation import brier, expected_calibration_error
from models.failure_card import FailureCard
from models.match_run import MatchRun
from services.diagnosis.evaluation.figures import BINS, Bin, reliability
from services.diagnosis.training import decisions
from services.diagnosis.training.decisions import Decided

MOST = 1_000
"""Decisions that are looked at, the latest ones."""
ENOUGH = 50
"""Decided tickets without which the figures say more of chance than of the probabilities."""
BATCH = 200
FIELDS = dict.fromkeys(
    ("ticket_id", "created_at", "scorer_version", "none_probability", "candidates.card_id", "candidates.probability"), 1
)


@dataclass(frozen=True)
class Curve:
    """Probabilities of one kind against what came true. `count` probabilities; the others are None without any.

    `ece`: mean |probability − share| over the bins, by their counts; `brier`: mean squared error.
    """

    count: int
    bins: list[Bin]
    ece: float | None
    brier: float | None


@dataclass(frozen=True)
class Calibration:
    """`shown`: of each card that a ticket was shown, that it explains the ticket. `best`: of the first card alone.
    `none`: that no known failure does.

    `decided` tickets were decided, `tickets` of them had been shown probabilities. Several cards of one ticket are not
    independent: the bins' intervals are somewhat too narrow for `shown`.
    """

    generated_at: datetime
    since: datetime | None
    decided: int
    tickets: int
    enough: bool
    scorer_versions: dict[str, int]
    shown: Curve
    best: Curve
    none: Curve


async def calibration(return_window: timedelta) -> Calibration:
    """Of the latest MOST decisions whose return window has passed."""
    decided = await decisions.read(return_window, most=MOST)
    runs = await _first_runs(decided)
    heirs = await _heirs({card["card_id"] for run in runs.values() for card in run["candidates"]})
    shown, best, none = _Told(), _Told(), _Told()
    for one in decided:
        if (run := runs.get(one.ticket_id)) is None:
            continue
        none.add(run["none_probability"], came_true=not one.decision.relevant)
        for place, card in enumerate(run["candidates"]):
            card_id = heirs.get(card["card_id"], card["card_id"])
            if card["probability"] is None or card_id in one.decision.ignored:
                continue
            right = card_id in one.decision.relevant
            shown.add(card["probability"], came_true=right)
            if place == 0:
                best.add(card["probability"], came_true=right)
    return Calibration(
        generated_at=clock.now(),
        since=min((one.decided_at for one in decided if one.ticket_id in runs), default=None),
        decided=len(decided),
        tickets=len(runs),
        enough=len(runs) >= ENOUGH,
        scorer_versions=dict(Counter(run["scorer_version"] for run in runs.values())),
        shown=shown.curve(),
        best=best.curve(),
        none=none.curve(),
    )


class _Told:
    """Probabilities and what came of them."""

    def __init__(self) -> None:
        self._probabilities: list[float] = []
        self._outcomes: list[bool] = []

    def add(self, probability: float, *, came_true: bool) -> None:
        self._probabilities.append(probability)
        self._outcomes.append(came_true)

    def curve(self) -> Curve:
        told = (self._probabilities, self._outcomes)
        return Curve(len(self._outcomes), reliability(*told), expected_calibration_error(*told, BINS), brier(*told))


async def _first_runs(decided: Sequence[Decided]) -> dict[str, Mapping[str, Any]]:
    """Of each ticket the first run with probabilities, if it came before the decision."""
    first: dict[str, Mapping[str, Any]] = {}
    until = {one.ticket_id: one.decided_at for one in decided}
    for start in range(0, len(decided), BATCH):
        ids = [one.ticket_id for one in decided[start : start + BATCH]]
        async for run in MatchRun.get_pymongo_collection().find({"ticket_id": {"$in": ids}}, FIELDS):
            known = first.get(run["ticket_id"])
            early = run["created_at"] <= until[run["ticket_id"]] and (known is None or run["_id"] < known["_id"])
            if early and run.get("none_probability") is not None:
                first[run["ticket_id"]] = run
    return first


async def _heirs(card_ids: set[str]) -> dict[str, str]:
    """The card that each merged one was merged into: decisions name that one."""
    heirs: dict[str, str] = {}
    wanted = sorted(card_ids)
    for start in range(0, len(wanted), BATCH):
        query = {"_id": {"$in": wanted[start : start + BATCH]}}
        async for card in FailureCard.get_pymongo_collection().find(query, {"merged_into": 1}):
            if card.get("merged_into"):
                heirs[card["_id"]] = card["merged_into"]
    return heirs
