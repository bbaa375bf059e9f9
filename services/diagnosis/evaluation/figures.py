"""Figures of rankings and probabilities over judged complaints. Pure functions of answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matching.evaluation import (
    auroc,
    brier,
    expected_calibration_error,
    hit_at,
    ndcg_at,
    precision_recall,
    reciprocal_rank,
)
from services.diagnosis.evaluation.gold import GoldSet

FOOLED_FROM = (0.5, 0.05)
"""Quantiles of the scores that right top answers have: the typical one, and what 95 % of them reach."""
BINS = 10
INTERVAL_Z = 1.6448536269514722
"""Standard normal quantile of .95: an interval that holds 90 %, with equal tails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One ranking of failures, best first, as a reader saw it.

    `score` is the top one, 0 if nothing was found. `known` grows with the belief that some failure explains the
    complaint: 1 − P(none) where the scorer gives it, else the top score. `probability` is the best candidate's;
    `abstained` says "no known failure", None where the method cannot.
    """

    ranking: Sequence[str]
    score: float
    known: float
    probability: float | None = None
    abstained: bool | None = None


@dataclass(frozen=True, slots=True)
class Ranks:
    """Means over answerable complaints; None where there are none."""

    hit_1: float | None
    hit_3: float | None
    hit_10: float | None
    mrr: float | None
    ndcg_10: float | None

    def as_json(self) -> dict[str, float | None]:
        return {
            "hit@1": self.hit_1,
            "hit@3": self.hit_3,
            "hit@10": self.hit_10,
            "mrr": self.mrr,
            "ndcg@10": self.ndcg_10,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """What one method reaches; None where there is nothing to compute it from.

    `ranks` leaves siblings out of the rankings, `strict` counts them as wrong.
    `auroc_nomatch`: the chance that an answerable complaint is held for known more firmly than an unanswerable one.
    `ece`, `brier`: calibration error and mean squared error of the best candidate's probability, over all complaints
    that got one; a sibling counts as wrong.
    `abstention_precision`, `abstention_recall`: of "no known failure", at the scorer's own threshold.
    `fools_typical`, `fools_most`: share of unanswerable complaints whose top score reaches the median, or the lowest
    but five per cent, of the scores that right top answers have. A reader who trusts scores is fooled by those.
    """

    ranks: Ranks
    strict: Ranks
    auroc_nomatch: float | None
    ece: float | None
    brier: float | None
    abstention_precision: float | None
    abstention_recall: float | None
    fools_typical: float | None
    fools_most: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            **self.ranks.as_json(),
            "auroc_nomatch": self.auroc_nomatch,
            "ece": self.ece,
            "brier": self.brier,
            "abstention": {"precision": self.abstention_precision, "recall": self.abstention_recall},
            "fools": {"typical": self.fools_typical, "most": self.fools_most},
            "strict": self.strict.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram: mean probability, share that came true with its 90 % interval, and count."""

    mean: float
    share: float
    low: float
    high: float
    count: int


def figures(gold: GoldSet, answers: Mapping[str, Answer]) -> Figures:
    """Figures of one method; `answers` has an entry for every complaint of the set."""
    known = [answers[id_] for id_ in gold.answerable]
    others = [answers[id_] for id_ in gold.unanswerable]
    probabilities, outcomes = best_candidates(gold, answers)
    decided = [(answers[id_].abstained, id_ in gold.unanswerable) for id_ in gold.complaints]
    precision, recall = None, None
    if all(abstained is not None for abstained, _ in decided):
        precision, recall = precision_recall([bool(said) for said, _ in decided], [true for _, true in decided])
    right = [answers[id_].score for id_ in gold.answerable if is_right(gold, id_, answers[id_])]
    typical, most = (_fooled(right, others, quantile) for quantile in FOOLED_FROM)
    return Figures(
        ranks=ranks(gold, answers),
        strict=ranks(gold, answers, strict=True),
        auroc_nomatch=auroc([answer.known for answer in known], [answer.known for answer in others]),
        ece=expected_calibration_error(probabilities, outcomes, BINS),
        brier=brier(probabilities, outcomes),
        abstention_precision=precision,
        abstention_recall=recall,
        fools_typical=typical,
        fools_most=most,
    )


def ranks(
    gold: GoldSet, answers: Mapping[str, Answer], among: Collection[str] | None = None, *, strict: bool = False
) -> Ranks:
    """Over the answerable complaints, or those `among` them."""
    rows = []
    for id_ in gold.answerable if among is None else among:
        relevant = gold.relevant[id_]
        left_out = frozenset() if strict else gold.siblings.get(id_, frozenset())
        ranking = [failure for failure in answers[id_].ranking if failure not in left_out]
        hits = [hit_at(ranking, relevant, k) for k in (1, 3, 10)]
        rows.append([*hits, reciprocal_rank(ranking, relevant), ndcg_at(ranking, dict.fromkeys(relevant, 1.0), 10)])
    return Ranks(*(np.mean(rows, axis=0).tolist() if rows else [None] * 5))


def is_right(gold: GoldSet, id_: str, answer: Answer) -> bool:
    """Whether the first answer is one of those judged right."""
    return bool(answer.ranking) and answer.ranking[0] in gold.relevant.get(id_, frozenset())


def best_candidates(gold: GoldSet, answers: Mapping[str, Answer]) -> tuple[list[float], list[bool]]:
    """Probability of each complaint's best candidate, where there is one, and whether it was right."""
    given = [(answer.probability, is_right(gold, id_, answer)) for id_, answer in answers.items()]
    told = [(probability, right) for probability, right in given if probability is not None]
    return [probability for probability, _ in told], [right for _, right in told]


def reliability(probabilities: Sequence[float], outcomes: Sequence[bool]) -> list[Bin]:
    """Reliability diagram over bins of equal width, the empty ones left out."""
    probability, outcome = np.asarray(probabilities, dtype=float), np.asarray(outcomes, dtype=float)
    which = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = []
    for number in np.unique(which):
        inside = which == number
        count, share = int(inside.sum()), float(outcome[inside].mean())
        bins.append(Bin(float(probability[inside].mean()), share, *share_interval(share, count), count))
    return bins


def share_interval(share: float, count: int) -> tuple[float, float]:
    """90 % interval of a share seen in `count` cases (Wilson 1927): right at 0 and 1 too, and within them."""
    if not count:
        return 0.0, 1.0
    square = INTERVAL_Z**2 / count
    middle = (share + square / 2) / (1 + square)
    half = INTERVAL_Z / (1 + square) * float(np.sqrt(share * (1 - share) / count + square / (4 * count)))
    return max(0.0, middle - half), min(1.0, middle + half)


def _fooled(right: list[float], others: list[Answer], quantile: float) -> float | None:
    if not right or not others:
        return None
    threshold = float(np.quantile(right, quantile))
    return float(np.mean([answer.score >= threshold for answer in others]))
