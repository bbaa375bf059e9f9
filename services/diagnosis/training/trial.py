"""A training on trial: are weights learnt from decisions better than those in service? Pure functions of rows.

The rule, on the same decisions, the new weights by five-fold cross-validation grouped by card:

1. Decisions must be tellable: the new weights explain at least TELLING of the log-loss of blind guessing. Answers
   given at random teach a model to be unsure, which pays off on them and harms everybody else. (Simulated tickets:
   87 % explained where all decisions are right, 40 % with three of ten at random, 25 % with five, none with all.)
2. Against the shipped prior, which has seen none of them: log-loss not higher, nDCG@10 not lower by more than
   TOLERANCE.
3. Against learnt weights in service the same, on the decisions that came after those they were fitted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matching.evaluation import ndcg_at
from matching.scorers.calibrated import CARD_FEATURES, NONE_FEATURES, Weights
from matching.training import Row, fit, held_out, probabilities

TELLING = 0.3
TOLERANCE = 0.005
SEEN_IN = 30
"""Decisions in which a feature must differ from 0 before its weight is touched."""
OWN_TRACE = frozenset({"graph", "evidence"})
"""Features that the decided ticket itself has raised by its success: learnt from, they would promise too much."""
PRECISION = 14.0
"""Of the prior, per standard deviation of a feature, in decisions: so much did the shipped weights weigh when they were
fitted (.02 for each of 694 complaints). A few hundred decisions bend the prior, thousands replace it."""
CERTAIN = 1e-6
"""Probabilities below count as this, so that one surprise cannot decide a trial."""

Scored = Sequence[tuple[Row, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Score:
    """Means over decisions: log-loss of the truth (nats), and nDCG@10 over those decided for a card, the ignored cards
    left out of the ranking."""

    log_loss: float
    ndcg_10: float
    decisions: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refused` is the reason, empty if the weights may serve. `serving` and `after_on_same` are None if the prior
    serves."""

    weights: Weights
    learnt: tuple[str, ...]
    refused: str
    chance: Score
    prior: Score
    after: Score
    serving: Score | None = None
    after_on_same: Score | None = None


def learnable(rows: Sequence[Row]) -> tuple[str, ...]:
    """Features that enough of the decisions speak of."""
    seen = np.concatenate(
        [np.sum([(row.card != 0).any(axis=0) for row in rows], axis=0), np.sum([row.none != 0 for row in rows], axis=0)]
    )
    names = (*CARD_FEATURES, *NONE_FEATURES)
    return tuple(name for name, n in zip(names, seen, strict=True) if n >= SEEN_IN and name not in OWN_TRACE)


def hold_trial(
    rows: Sequence[Row], prior: Weights, serving: Weights | None = None, unseen: Sequence[int] = ()
) -> Verdict:
    """Fit from the prior and judge. `serving` are learnt weights in service, `unseen` the places of the rows that came
    after those they were fitted on."""
    learnt, strength = learnable(rows), PRECISION / len(rows)
    crossed = held_out(rows, prior, learnt=learnt, strength=strength)
    chance = score(_blindly(rows))
    before, after = score([(row, probabilities(row, prior)) for row in rows]), score(crossed)
    now = same = None
    if serving is not None and len(unseen):
        now = score([(rows[i], probabilities(rows[i], serving)) for i in unseen])
        same = score([crossed[i] for i in unseen])
    refused = _reason(chance, before, after) or (_worse("the model in service", now, same) if now and same else "")
    weights = fit(rows, prior, learnt=learnt, strength=strength)
    return Verdict(weights, learnt, refused, chance, before, after, now, same)


def score(scored: Scored) -> Score:
    losses, gains = [], []
    for row, probability in scored:
        cards = np.where(row.ignored, 0.0, probability[:-1])
        possible = cards.sum() + probability[-1]
        truth = cards[row.relevant].sum() if row.decision.relevant else probability[-1]
        losses.append(-np.log(max(float(truth / possible), CERTAIN)))
        if row.decision.relevant:
            order = [i for i in np.argsort(-cards, kind="stable") if not row.ignored[i]]
            gains.append(ndcg_at([row.ids[i] for i in order], dict.fromkeys(row.decision.relevant, 1.0)))
    return Score(float(np.mean(losses)), float(np.mean(gains)) if gains else 0.0, len(losses))


def _blindly(rows: Sequence[Row]) -> Scored:
    """The same probability for every card, and for "none" its share of the decisions."""
    none = float(np.mean([not row.decision.relevant for row in rows]))
    return [(row, np.append(np.full(len(row.ids), (1 - none) / max(len(row.ids), 1)), none)) for row in rows]


def _reason(chance: Score, before: Score, after: Score) -> str:
    told = 1 - after.log_loss / chance.log_loss
    if told < TELLING:
        return f"decisions that are hardly better than chance: {told:.0%} explained, {TELLING:.0%} needed"
    return _worse("the shipped prior", before, after)


def _worse(than: str, before: Score, after: Score) -> str:
    if after.log_loss > before.log_loss:
        return f"worse than {than}: log-loss {after.log_loss:.3f}, not {before.log_loss:.3f} or less"
    if after.ndcg_10 < before.ndcg_10 - TOLERANCE:
        return f"worse than {than}: nDCG@10 {after.ndcg_10:.3f}, not {before.ndcg_10 - TOLERANCE:.3f} or more"
    return ""
