"""What a match returns: candidates with their reasons, and every channel's hits on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class MatchType(StrEnum):
    exact = "exact"
    semantic = "semantic"
    partial = "partial"


class Reason(NamedTuple):
    """Why a card scored. Contributions of a candidate's reasons add up to its score; negative ones speak against it."""

    channel: str
    text: str
    contribution: float


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a match: what a channel proposed, best first, with its scores, and the time it took."""

    name: str
    duration_ms: float
    card_ids: Sequence[str] = ()
    scores: Sequence[float] = ()
    note: str = ""

    @property
    def hits(self) -> tuple[tuple[str, float], ...]:
        """Pairs of card id and channel score."""
        return tuple((card_id, float(score)) for card_id, score in zip(self.card_ids, self.scores, strict=True))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A card proposed for a case. `channels` holds every channel's own score, `inputs` what the scorer made of them."""

    card_id: str
    version: int
    title: str
    score: float
    match_type: MatchType
    channels: dict[str, float]
    reasons: tuple[Reason, ...]
    matched_symptoms: tuple[str, ...] = ()
    probability: float | None = None
    confidence_level: str | None = None
    is_draft: bool = False
    inputs: dict[str, float] = field(default_factory=dict)

    @property
    def against(self) -> tuple[Reason, ...]:
        """What speaks against the card."""
        return tuple(reason for reason in self.reasons if reason.contribution < 0)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """Candidates, best first. `abstained`: True means "no known failure", None that the scorer cannot tell.

    `none_probability` is the scorer's probability that no known card explains the case. `channels_off` maps a channel
    that could not serve to the reason why. With `shared` and the candidates' `inputs`, `Scorer.again` gives the scores
    once more. `symptoms` are codes of the library's symptoms that the case states or its text names.
    """

    candidates: tuple[Candidate, ...]
    scorer: str
    scorer_version: str
    abstained: bool | None
    none_probability: float | None
    trace: tuple[Step, ...]
    channels_off: dict[str, str] = field(default_factory=dict)
    embedder: str | None = None
    duration_ms: float = 0.0
    shared: dict[str, float] = field(default_factory=dict)
    symptoms: tuple[str, ...] = ()
