"""How strong an edge of the knowledge graph is: what is stated, and what repairs have said since. Pure functions.

The weight is the mean of a Beta posterior. Its prior is the statement, worth PRIOR_STRENGTH repairs; repairs for and
against the edge are added, each halving in weight with every half-life, so that an edge that nobody observes any more
fades back to what is stated.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.knowledge.learning import Decayed

PRIOR_STRENGTH = 4.0
"""Repairs that a statement is worth: three repairs that agree lift an approved statement from 0.5 to 0.71."""
APPROVED_WEIGHT = 0.5
"""An expert has read it, no repair has shown it yet."""
DRAFT_WEIGHT = 0.2
"""One person's word."""
HAND_MADE_LIMIT = 0.3
"""What a person draws by hand starts no stronger than this, whatever they think of it; repairs can lift it."""
UNSTATED_WEIGHT = 0.05
"""No card says so: repairs alone must carry it."""
UNSTATED_CONFIDENCE = 0.1
NEGLIGIBLE = 0.1
"""An edge that no card states ends when its decayed repairs have become fewer than this."""
REFRESHES_PER_HALF_LIFE = 12
"""How often a stored weight is reckoned anew: it is never off by more than 6 % of its evidence."""
SAMPLES = 3
SAMPLE_SHARE = 1 / 8
"""Of all edges this share is in sample 1 or a further one, of those this share in 2 or 3, of those this share in 3."""
TIE_SPREAD = 1e-3
"""Edges of equal weight, thousands at a popular node, are spread over this much rank, so that a range parts them."""


@dataclass(frozen=True, slots=True)
class Strength:
    """All that decides an edge's weight, as of `sums.as_of`; `sums` counts repairs for it as successes."""

    base_weight: float
    base_confidence: float
    sums: Decayed

    @property
    def weight(self) -> float:
        return _shrunk(self.base_weight, self.sums.successes, self.sums.n)

    @property
    def confidence(self) -> float:
        """How sure the weight is: the base's own, rising to 1 with the number of repairs, for or against."""
        return _shrunk(self.base_confidence, self.sums.n, self.sums.n)

    def at(self, instant: datetime, half_life: timedelta) -> "Strength":
        """The same as it weighs at another instant."""
        return replace(self, sums=self.sums.at(instant, half_life))


def _shrunk(base: float, successes: float, n: float) -> float:
    return (PRIOR_STRENGTH * base + successes) / (PRIOR_STRENGTH + n)


def refresh_after(sums: Decayed, half_life: timedelta) -> datetime | None:
    """When the weight is to be reckoned anew; None if it does not change by itself."""
    return sums.as_of + half_life / REFRESHES_PER_HALF_LIFE if sums.n >= NEGLIGIBLE / 10 else None


def sample_of(edge_id: str) -> int:
    """The sample that an edge is in, drawn by chance and always the same for one: 0 (none) to SAMPLES, the rarest."""
    drawn = _spread(edge_id)[0]
    return sum(drawn < SAMPLE_SHARE**sample for sample in range(1, SAMPLES + 1))


def rank_of(edge_id: str, weight: float) -> float:
    """The order of an edge at its nodes, strongest first; independent of `sample_of` among edges of one weight."""
    return 1 - weight + TIE_SPREAD * _spread(edge_id)[1]


def _spread(edge_id: str) -> tuple[float, float]:
    digest = hashlib.blake2b(edge_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4]) / 2**32, int.from_bytes(digest[4:]) / 2**32
