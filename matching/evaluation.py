"""Measures of retrieval and of calibrated probability, as pure functions.

Rankings are sequences of card ids, best first. `relevant` maps card id to gain (any gain > 0 is relevant).
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np


def hit_at(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """1.0 if any of the first `k` cards is relevant, else 0.0."""
    return float(any(card in relevant for card in ranking[:k]))


def reciprocal_rank(ranking: Sequence[str], relevant: Collection[str]) -> float:
    """1 / rank of the first relevant card, 0.0 if there is none."""
    return next((1.0 / rank for rank, card in enumerate(ranking, 1) if card in relevant), 0.0)


def ndcg_at(ranking: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    """Normalised discounted cumulative gain (linear gain, log2 discount); 0.0 if nothing is relevant."""
    gains = [relevant.get(card, 0.0) for card in ranking[:k]]
    best = sorted(relevant.values(), reverse=True)[:k]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal > 0 else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains, 1)))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Probability that a positive scores above a negative, ties counted half; None if either side is empty."""
    if not len(positive) or not len(negative):
        return None
    scores = np.concatenate([np.asarray(positive, dtype=float), np.asarray(negative, dtype=float)])
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = ((last - counts + 1 + last) / 2)[inverse]  # ties share their mean rank
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def brier(probabilities: Sequence[float], outcomes: Sequence[bool]) -> float | None:
    """Mean squared difference of probability and outcome (0 best); None without observations."""
    if not len(probabilities):
        return None
    return float(np.mean((np.asarray(probabilities, dtype=float) - np.asarray(outcomes, dtype=float)) ** 2))


def reliability(
    probabilities: Sequence[float], outcomes: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Reliability diagram: (mean probability, share of true outcomes, count) of each non-empty bin of equal width.

    Bins are closed on the left, the last on both sides.
    """
    probability = np.asarray(probabilities, dtype=float)
    outcome = np.asarray(outcomes, dtype=float)
    which = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        (float(probability[which == b].mean()), float(outcome[which == b].mean()), int((which == b).sum()))
        for b in range(bins)
        if (which == b).any()
    ]


def expected_calibration_error(
    probabilities: Sequence[float], outcomes: Sequence[bool], bins: int = 10
) -> float | None:
    """Mean |probability - frequency| over the reliability bins, weighted by their counts; None without observations."""
    if not len(probabilities):
        return None
    diagram = reliability(probabilities, outcomes, bins)
    return sum(abs(mean - share) * count for mean, share, count in diagram) / len(probabilities)


def precision_recall(predicted: Sequence[bool], actual: Sequence[bool]) -> tuple[float | None, float | None]:
    """Precision and recall of a yes/no decision such as abstention; None where its denominator is zero."""
    pairs = list(zip(predicted, actual, strict=True))
    true_positives = sum(p and a for p, a in pairs)
    claimed, wanted = sum(p for p, _ in pairs), sum(a for _, a in pairs)
    return (true_positives / claimed if claimed else None, true_positives / wanted if wanted else None)
