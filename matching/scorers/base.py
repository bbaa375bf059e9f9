"""What every scorer promises: a score in [0, 1] per card and contributions that add up to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from matching.channels import Hits
from matching.index import CardIndex
from matching.query import Query
from matching.results import MatchType


@dataclass(frozen=True)
class Sheet:
    """All candidate cards of one match and what every channel says of each: `channels[name][i]` judges `slots[i]`."""

    query: Query
    index: CardIndex
    slots: np.ndarray
    channels: dict[str, np.ndarray]


@dataclass(frozen=True)
class Verdict:
    """A scorer's judgement. `shares[source][i]` is what a source adds to `scores[i]`; the shares sum to it.

    `inputs[name][i]` is what the scorer knew of the i-th card, `shared` what it took from all of them together: what
    `Scorer.again` needs to give the same scores once more, without the index of that moment.
    """

    scores: np.ndarray
    shares: dict[str, np.ndarray]
    match_types: list[MatchType]
    probabilities: np.ndarray | None = None
    none_probability: float | None = None
    abstained: bool | None = None
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    shared: dict[str, float] = field(default_factory=dict)


class Scorer(Protocol):
    """`channels` are those it needs, in the order they are searched; `version` changes with its parameters."""

    name: str
    version: str
    channels: tuple[str, ...]

    def settled(self, channel: str, hits: Hits) -> bool:
        """Whether the hits of a channel already decide the match, so that the later channels are not asked."""
        ...

    def judge(self, sheet: Sheet) -> Verdict: ...

    def again(
        self, cards: Sequence[Mapping[str, float]], shared: Mapping[str, float], embedder: str | None
    ) -> tuple[list[float], float | None]:
        """Scores of cards and P(none), from the `inputs` and the `shared` of an earlier verdict of the same version.

        `embedder` names the index's embedder of that time. Raises KeyError if something is not among what was kept.
        """
        ...
