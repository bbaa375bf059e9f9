"""What one more outcome does to a card: the specification's score, and the evidence beside it. Pure functions.

The score moves by fixed steps and says which way trust goes. It is no estimate: it stands still only where two of three
repairs succeed, and drifts to 0 or 1 everywhere else. The evidence is one: a Beta posterior of the fix rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from models.enums import ConfidenceLevel
from services.knowledge.beta import beta_quantile

SUCCESS_STEP = 0.01
FAILURE_STEP = 0.02
_LEVELS = ((0.9, ConfidenceLevel.verified), (0.7, ConfidenceLevel.high), (0.4, ConfidenceLevel.medium))

INTERVAL = 0.9
"""Share of the posterior that the shown interval holds, with equal tails."""
GLOBAL_PRIOR = (1.0, 1.0)
"""Pseudo-outcomes (successes, failures) that every card starts from: any fix rate is as likely as any other."""
SIBLING_LIMIT = 10.0
"""The card's outcomes on other variants, however many, count as fewer than this many outcomes of this one: enough to
spare a new variant from starting at nothing, few enough that a dozen repairs of its own outweigh them."""


def stepped(score: float, *, success: bool) -> float:
    """The confidence score after one outcome (specification, §4.2), clamped to [0, 1].

    Clamping makes the score depend on the order of outcomes once it touches a wall: 1.0 stays 1.0 after a success, and
    the failure after it costs its full step. Away from the walls order does not matter. Rounded to ten decimals, so
    that ten steps of 0.01 from 0.3 reach the level that begins at 0.4.
    """
    return shifted(score, SUCCESS_STEP if success else -FAILURE_STEP)


def shifted(score: float, by: float) -> float:
    return min(1.0, max(0.0, round(score + by, 10)))


def level_of(score: float) -> ConfidenceLevel:
    """The confidence level of a score: low < 0.4 ≤ medium < 0.7 ≤ high < 0.9 ≤ verified."""
    return next((level for least, level in _LEVELS if score >= least), ConfidenceLevel.low)


def effectiveness(successes: int, usages: int) -> float:
    """The specification's effectiveness, to the letter: success rate plus min(0.1, usages / 100).

    The bonus for use lifts it above 1 (at most 1.1) for a card that nearly always works; 0 for an unused card.
    """
    return successes / usages + min(0.1, usages / 100) if usages else 0.0


def variant_of(make: str, model: str, year: int | None) -> str:
    """The key of a vehicle variant: `make|model|year` in lower case; what is unknown stays empty."""
    parts = (" ".join(text.replace("|", " ").split()).lower() for text in (make, model))
    return "|".join((*parts, str(year) if year is not None else ""))


@dataclass(frozen=True, slots=True)
class Decayed:
    """Outcomes as sums of weights, as of one instant. An outcome's weight is 1 when it happens and halves with every
    half-life after it, so recent repairs say more: parts, firmware and fitters change."""

    as_of: datetime
    successes: float = 0.0
    failures: float = 0.0
    rejections: float = 0.0

    @property
    def n(self) -> float:
        return self.successes + self.failures

    def at(self, instant: datetime, half_life: timedelta) -> "Decayed":
        """The same outcomes as they weigh at another instant."""
        factor = _weight(instant - self.as_of, half_life)
        return Decayed(instant, self.successes * factor, self.failures * factor, self.rejections * factor)

    def together(self, other: "Decayed", half_life: timedelta) -> "Decayed":
        """Both taken as one, as of the later instant."""
        instant = max(self.as_of, other.as_of)
        one, two = self.at(instant, half_life), other.at(instant, half_life)
        return Decayed(
            instant,
            one.successes + two.successes,
            one.failures + two.failures,
            one.rejections + two.rejections,
        )

    def plus(
        self,
        occurred_at: datetime,
        half_life: timedelta,
        *,
        successes: int = 0,
        failures: int = 0,
        rejections: int = 0,
    ) -> "Decayed":
        """With outcomes that happened at `occurred_at`, before or after `as_of`; the result is as of the later one.

        The order of calls does not matter but for rounding. Negative numbers take outcomes back; no sum gets negative.
        """
        as_of = max(self.as_of, occurred_at)
        now = self.at(as_of, half_life)
        weight = _weight(as_of - occurred_at, half_life)
        return Decayed(
            as_of,
            max(0.0, now.successes + successes * weight),
            max(0.0, now.failures + failures * weight),
            max(0.0, now.rejections + rejections * weight),
        )


def together(parts: Sequence[Decayed], half_life: timedelta) -> Decayed:
    """The outcomes of several ledgers, as of the latest of them. Their order does not matter, not even in the last
    digit. At least one is needed."""
    as_of = max(part.as_of for part in parts)
    now = [part.at(as_of, half_life) for part in parts]
    return Decayed(
        as_of,
        math.fsum(part.successes for part in now),
        math.fsum(part.failures for part in now),
        math.fsum(part.rejections for part in now),
    )


def _weight(age: timedelta, half_life: timedelta) -> float:
    return 2.0 ** -(age / half_life)


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Beta distribution summed up: mean, 90 % interval, and the decayed number of outcomes `n` behind it."""

    mean: float
    low: float
    high: float
    n: float


@lru_cache(maxsize=4096)
def posterior(successes: float, failures: float, prior: tuple[float, float] = GLOBAL_PRIOR) -> Posterior:
    """Posterior of a rate after (decayed) `successes` and `failures`, from a Beta prior given as pseudo-outcomes."""
    a, b = prior[0] + successes, prior[1] + failures
    tail = (1 - INTERVAL) / 2
    return Posterior(a / (a + b), beta_quantile(tail, a, b), beta_quantile(1 - tail, a, b), successes + failures)


def fix_rate(own: Decayed) -> Posterior:
    """How often the card's fix works, over all variants."""
    return posterior(own.successes, own.failures)


def variant_fix_rate(own: Decayed, pooled: Decayed, half_life: timedelta) -> Posterior:
    """How often the card's fix works on one variant. `pooled` holds the outcomes of all variants, `own` included.

    The prior is what the other variants say, added to the global prior: n outcomes there count as
    n · SIBLING_LIMIT / (n + SIBLING_LIMIT) here, so each counts less than one of its own. Its own outcomes are left out
    of the prior: nothing counts twice, and a card used on one variant only has one posterior.
    """
    instant = max(own.as_of, pooled.as_of)
    own, pooled = own.at(instant, half_life), pooled.at(instant, half_life)
    others = (max(0.0, pooled.successes - own.successes), max(0.0, pooled.failures - own.failures))
    discount = SIBLING_LIMIT / (SIBLING_LIMIT + sum(others))
    prior = (GLOBAL_PRIOR[0] + others[0] * discount, GLOBAL_PRIOR[1] + others[1] * discount)
    return posterior(own.successes, own.failures, prior)


def acceptance(own: Decayed) -> Posterior:
    """How often a technician who considers the card ends up using it instead of ruling it out.

    Rejections speak here and not in the fix rate: a card ruled out was never tried, so its fix cannot have failed.
    """
    return posterior(own.n, own.rejections)
