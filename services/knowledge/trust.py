"""How far the approved cards could be trusted at each moment of a period, read off the history of their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import clock
from models.enums import ConfidenceLevel, FailureCardStatus
from models.failure_card import FailureCard
from services.knowledge.learning import level_of

STEPS = 12
"""Moments between the beginning of the period and now."""
# Histories come whole: picking their fields would cost the store twice as much as it costs to send them.
FIELDS = dict.fromkeys(("approved_at", "created_at", "deprecated_at", "confidence_score", "confidence_history"), 1)


@dataclass(frozen=True)
class TrustPoint:
    """Cards in use at this moment, by level, and the mean of their scores; None without any."""

    at: datetime
    cards: int
    mean_confidence: float | None
    levels: dict[ConfidenceLevel, int]


async def trust_over_time(*, days: int = 90) -> list[TrustPoint]:
    """The points of the last `days`, oldest first, the last one now.

    A card counts from its first approval until it is deprecated. The cards stream through: memory does not grow with
    their number.
    """
    now = clock.now()
    moments = [now - timedelta(days=days) * (1 - step / STEPS) for step in range(STEPS + 1)]
    sums = [0.0] * len(moments)
    levels = [dict.fromkeys(ConfidenceLevel, 0) for _ in moments]
    cards = FailureCard.get_pymongo_collection()
    for status in (FailureCardStatus.approved, FailureCardStatus.deprecated):
        async for card in cards.find({"status": status.value}, FIELDS):
            from_when, until = _in_use(card, approved=status is FailureCardStatus.approved)
            for place, moment in enumerate(moments):
                if from_when is not None and from_when <= moment and (until is None or moment < until):
                    score = score_at(card, moment)
                    sums[place] += score
                    levels[place][level_of(score)] += 1
    counts = [sum(counted.values()) for counted in levels]
    return [
        TrustPoint(moment, count, total / count if count else None, counted)
        for moment, count, total, counted in zip(moments, counts, sums, levels, strict=True)
    ]


def _in_use(card: Mapping[str, Any], *, approved: bool) -> tuple[datetime | None, datetime | None]:
    """From when to when; a draft that was given up has never been in use."""
    if approved:
        return card.get("approved_at") or card["created_at"], None
    return card.get("approved_at"), card.get("deprecated_at")


def score_at(card: Mapping[str, Any], moment: datetime) -> float:
    """The card's score then. Changes before the oldest one that its history keeps are not known."""
    history: Sequence[Mapping[str, Any]] = card.get("confidence_history", ())
    before = [change for change in history if change["timestamp"] <= moment]
    if before:
        return before[-1]["new_score"]
    return history[0]["previous_score"] if history else card["confidence_score"]
