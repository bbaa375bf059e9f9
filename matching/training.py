"""Learning the calibrated scorer's weights from decided cases, and judging them by grouped cross-validation.

A decided case is a complaint of which it is known which cards explain it, or that none does. The fit is maximum a
posteriori: a Gaussian prior around given weights, so that a few decisions move the scorer a little and many decide.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from matching.evaluation import auroc, expected_calibration_error, hit_at, ndcg_at, reciprocal_rank
from matching.matcher import Matcher
from matching.records import Case
from matching.scorers.calibrated import (
    CARD_FEATURES,
    FULL,
    NONE_FEATURES,
    RANGED,
    WORDED,
    CalibratedScorer,
    Weights,
    features,
)

FOLDS = 5
STEPS = 200
JUDGED = frozenset({"exact", "signature", "graph", "condition", "evidence"})
LEARNT = (*(name for name in CARD_FEATURES if name not in JUDGED), *NONE_FEATURES)
"""Features learnt by default; the others stay at the prior until decided cases contain them."""


@dataclass(frozen=True)
class Decision:
    """A decided case. `relevant` is empty if no known card explains it; `ignored` cards are neither right nor wrong.

    Decisions of one `group` (the same failure, say) are never split between training and test.
    """

    case: Case
    relevant: frozenset[str]
    group: str
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """The features of one decided case: `card` (cards × CARD_FEATURES), `none` (NONE_FEATURES), and the truth.

    `terms` is the number of distinct terms of the complaint.
    """

    ids: tuple[str, ...]
    card: np.ndarray
    none: np.ndarray
    relevant: np.ndarray
    ignored: np.ndarray
    decision: Decision
    terms: int = FULL

    def told(self, weights: Weights) -> "Row":
        """The row with what words say as much as they count in a complaint of this length; see `Weights.told`."""
        factor = weights.told(self.terms)
        worded = np.array([factor if name in WORDED else 1.0 for name in CARD_FEATURES])
        return replace(self, card=self.card * worded, none=self.none * factor)


def collect(matcher: Matcher, decisions: Iterable[Decision]) -> list[Row]:
    """Runs every case through the channels and keeps the features of its candidates."""
    scorer = CalibratedScorer()
    rows = []
    for decision in decisions:
        sheet = matcher.sheet(decision.case, scorer)
        columns, none = features(sheet)
        ids = tuple(matcher.index.ids_at(sheet.slots))
        rows.append(
            Row(
                ids,
                np.stack([columns[name] for name in CARD_FEATURES], axis=1),
                np.array([none[name] for name in NONE_FEATURES]),
                np.array([card_id in decision.relevant for card_id in ids], dtype=bool),
                np.array([card_id in decision.ignored for card_id in ids], dtype=bool),
                decision,
                len(sheet.query.term_counts),
            )
        )
    return rows


def fit(rows: Sequence[Row], prior: Weights, *, learnt: Sequence[str] = LEARNT, strength: float = 0.02) -> Weights:
    """Weights of greatest posterior probability; features outside `learnt` keep their prior weight, and so does
    `brevity`.

    `strength` is the prior's precision per decision and per standard deviation of a feature. Ranges become the 1st to
    99th percentile of what was seen.
    """
    start = np.array(
        [prior.card.get(name, 0.0) for name in CARD_FEATURES] + [prior.none.get(n, 0.0) for n in NONE_FEATURES]
    )
    free = np.array([name in learnt for name in (*CARD_FEATURES, *NONE_FEATURES)])
    ranges = _ranges(rows)
    rows = [row.told(prior) for row in rows]
    stacked, nones = np.concatenate([row.card for row in rows]), np.stack([row.none for row in rows])
    # A feature that does not vary still separates the cards from "none"; one that is always 0 has nothing to teach.
    everything = (stacked, nones)
    spread = np.concatenate([part.std(axis=0) for part in everything])
    spread = np.where(spread > 1e-9, spread, np.concatenate([np.abs(part).mean(axis=0) for part in everything]))
    constant = len(CARD_FEATURES) + NONE_FEATURES.index("constant")
    free &= spread > 1e-9
    scale = np.where(spread > 1e-9, spread, 1.0)
    penalty = np.where(np.arange(len(start)) == constant, 0.0, strength)
    learnt_weights = _minimise(rows, start * scale, scale, free, penalty) / scale
    cut = len(CARD_FEATURES)
    return Weights(
        dict(zip(CARD_FEATURES, learnt_weights[:cut].tolist(), strict=True)),
        dict(zip(NONE_FEATURES, learnt_weights[cut:].tolist(), strict=True)),
        ranges,
        prior.brevity,
    )


def _ranges(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """The 1st to the 99th percentile of the features that are RANGED."""
    stacked, nones = np.concatenate([row.card for row in rows]), np.stack([row.none for row in rows])
    ranges = dict(zip(CARD_FEATURES, np.quantile(stacked, (0.01, 0.99), axis=0).T, strict=True))
    ranges |= dict(zip(NONE_FEATURES, np.quantile(nones, (0.01, 0.99), axis=0).T, strict=True))
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items() if name in RANGED}


def _minimise(
    rows: Sequence[Row], start: np.ndarray, scale: np.ndarray, free: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Newton's method on the convex part of the loss, with halving steps; weights are per standard deviation."""
    weights = start.copy()
    loss, gradient, curvature = _loss(rows, weights, start, scale, penalty)
    for _ in range(STEPS):
        step = np.zeros_like(weights)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        size = 1.0
        while size > 1e-6:
            tried = weights - size * step
            outcome = _loss(rows, tried, start, scale, penalty)
            if outcome[0] <= loss:
                break
            size /= 2
        else:
            break
        gained, weights = loss - outcome[0], tried
        loss, gradient, curvature = outcome
        if gained < 1e-10:
            break
    return weights


def _loss(
    rows: Sequence[Row], weights: np.ndarray, prior: np.ndarray, scale: np.ndarray, penalty: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean negative log-probability of the truth plus prior, its gradient and a positive definite curvature.

    Where several cards are right, either will do: the probability of the truth is their sum.
    """
    cut = len(CARD_FEATURES)
    away = weights - prior
    loss = float(0.5 * (penalty * away**2).sum())
    gradient, curvature = penalty * away, np.diag(penalty + 1e-6)
    for row in rows:
        design = np.zeros((len(row.ids) + 1, len(weights)))
        design[:-1, :cut] = row.card / scale[:cut]
        design[-1, cut:] = row.none / scale[cut:]
        design = design[np.append(~row.ignored, True)]
        right = np.append(row.relevant[~row.ignored], not row.decision.relevant)
        if not right.any():
            continue  # the right card was not even proposed: nothing here can be learnt
        strengths = design @ weights
        probabilities, total = _softmax(strengths)
        target, reached = _softmax(np.where(right, strengths, -np.inf))
        mean = probabilities @ design
        loss += (total - reached) / len(rows)
        gradient = gradient + (mean - target @ design) / len(rows)
        curvature = curvature + ((design * probabilities[:, None]).T @ design - np.outer(mean, mean)) / len(rows)
    return loss, gradient, curvature


def folds(rows: Sequence[Row], count: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Fold of each row: groups stay whole, large ones are dealt out first, matched and unmatched cases separately."""
    sizes = Counter((bool(row.decision.relevant), row.decision.group) for row in rows)
    order = sorted(sizes)
    np.random.default_rng(seed).shuffle(order)
    load = {True: np.zeros(count), False: np.zeros(count)}
    fold: dict[tuple[bool, str], int] = {}
    for key in sorted(map(tuple, order), key=lambda key: -sizes[key]):
        fold[key] = int(np.argmin(load[key[0]]))
        load[key[0]][fold[key]] += sizes[key]
    return np.array([fold[bool(row.decision.relevant), row.decision.group] for row in rows])


def held_out(
    rows: Sequence[Row], prior: Weights, *, seed: int = 0, learnt: Sequence[str] = LEARNT, strength: float = 0.02
) -> list[tuple[Row, np.ndarray]]:
    """Every row with its `probabilities` under weights that never saw its group; in the order of the rows."""
    which = folds(rows, seed=seed)
    fitted = {
        fold: fit(
            [row for row, f in zip(rows, which, strict=True) if f != fold], prior, learnt=learnt, strength=strength
        )
        for fold in np.unique(which).tolist()
    }
    return [(row, probabilities(row, fitted[int(fold)])) for row, fold in zip(rows, which, strict=True)]


def probabilities(row: Row, weights: Weights) -> np.ndarray:
    """Probability of each card of the row, then of "none"."""
    names = (*CARD_FEATURES, *NONE_FEATURES)
    bounds = np.array([weights.ranges.get(name, (-np.inf, np.inf)) for name in names])
    factors = np.array(
        [weights.card.get(n, 0.0) for n in CARD_FEATURES] + [weights.none.get(n, 0.0) for n in NONE_FEATURES]
    )
    cut = len(CARD_FEATURES)
    cards, none = (np.clip(row.card, *bounds[:cut].T), np.clip(row.none, *bounds[cut:].T))
    believed = replace(row, card=cards, none=none).told(weights)
    return _softmax(np.append(believed.card @ factors[:cut], believed.none @ factors[cut:]))[0]


def _softmax(strengths: np.ndarray) -> tuple[np.ndarray, float]:
    """Probabilities and the log of their normaliser."""
    peak = strengths.max()
    odds = np.exp(strengths - peak)
    return odds / odds.sum(), float(peak + np.log(odds.sum()))


def figures(scored: Sequence[tuple[Row, np.ndarray]]) -> dict[str, float | None]:
    """Ranking over cases with a known card; AUROC of P(none) and calibration of the best card over all cases.

    Strict: a card that was ignored in learning counts as wrong here.
    """
    known, best, outcome = [], [], []
    none: dict[bool, list[float]] = {True: [], False: []}
    for row, probability in scored:
        order = np.argsort(-probability[:-1], kind="stable")
        ranking = [row.ids[i] for i in order]
        none[bool(row.decision.relevant)].append(float(probability[-1]))
        best.append(float(probability[order[0]]) if len(order) else 0.0)
        outcome.append(bool(len(order)) and bool(row.relevant[order[0]]))
        if relevant := row.decision.relevant:
            gains = dict.fromkeys(relevant, 1.0)
            hits = [hit_at(ranking, relevant, k) for k in (1, 3, 10)]
            known.append([*hits, reciprocal_rank(ranking, relevant), ndcg_at(ranking, gains)])
    means = np.mean(known, axis=0).tolist() if known else [None] * 5
    return {
        **dict(zip(("hit@1", "hit@3", "hit@10", "mrr", "ndcg@10"), means, strict=True)),
        "auroc_nomatch": auroc(none[False], none[True]),
        "ece": expected_calibration_error(best, outcome),
    }
