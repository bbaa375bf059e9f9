"""The calibrated scorer: the probability that a card explains the case, and that no known card does.

A conditional logit over the candidates and the answer "none of them" (McFadden 1974): with strengths s of the cards
and s₀ of "none", P(card) = exp(s) / (exp(s₀) + Σ exp(s)). Cards compete, so two near twins share what one alone would
get, and the probabilities of all cards and of "none" sum to 1. Strengths are linear in a few readable features whose
weights come from a small JSON file; see `matching.models` and `matching.training`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from matching.channels import Hits, VehicleFit
from matching.channels.vehicle import fits_of
from matching.results import MatchType
from matching.scorers.base import Sheet, Verdict

SHIPPED = "calibrated.json"
WITHOUT_MODEL = "none"
"""Variant for an index without an embedder, or with one that nobody has learnt weights for."""

NO_EVIDENCE = 0.5
"""Stands in for the lower bound of success of a card without evidence: it neither helps nor harms."""

VEHICLE_FEATURES = tuple(f"vehicle_{fit.name}" for fit in VehicleFit)
_ONE_HOT = np.eye(len(VehicleFit))
_TYPES = np.array([MatchType.exact, MatchType.semantic, MatchType.partial], dtype=object)
CARD_FEATURES = {
    "keyword": "keyword",
    "semantic": "semantic",
    "exact": "exact",
    "signature": "signature",
    "graph": "graph",
    "condition": "condition",
    "evidence": "evidence",
    **dict.fromkeys(VEHICLE_FEATURES, "vehicle"),
}
"""Feature of a card -> the source its contribution is shown under.

`keyword` is the channel's score times the root of the complaint's ceiling, BM25 over the root of the most it could be:
words shared by chance grow with the root of a text's length, so this reads alike for ten words and for three hundred.
"""

WORDED = frozenset({"keyword", "semantic"})
"""Card features that come from the words of a complaint."""

BRIEF, FULL = 10, 16
"""Distinct terms up to which a complaint is brief, and from which on it is told in full."""

NONE_FEATURES = ("constant", "typical")
"""Features of the answer "none": 1; the mean cosine to all cards."""

RANGED = frozenset({"typical"})
"""Features that are not believed beyond what was seen in learning: they change with the cards, not with the case."""

LOG_TOTAL, TERMS = "log_total", "terms"
"""Log of the weight of all cards and of "none", all that a probability takes from the cards beside its own; and the
number of distinct terms of the complaint."""


@dataclass(frozen=True)
class Weights:
    """Weights of card features and of "none", and the ranges outside of which some are not believed.

    A workshop's "AC not cooling" shares fewer words with its card than a page of complaint does with a stranger's.
    Therefore what words say, for the cards and for "none" alike, counts for `brevity` of itself in a brief complaint;
    see `told`.
    """

    card: dict[str, float]
    none: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    brevity: float = 1.0

    def told(self, terms: int) -> float:
        """The factor of what words say, for a complaint of so many distinct terms.

        `brevity` up to BRIEF terms, 1 from FULL on, in between by the logarithm of their number.
        """
        share = math.log(max(terms, BRIEF) / BRIEF) / math.log(FULL / BRIEF)
        return self.brevity + (1 - self.brevity) * min(1.0, share)

    def column(self, told: float) -> np.ndarray:
        """The weights of card features, one below the other, for what words say times `told`."""
        return self._column * np.where(self._worded, told, 1.0)

    @cached_property
    def _column(self) -> np.ndarray:
        return np.array(list(self.card.values()), dtype=float)[:, None]

    @cached_property
    def _worded(self) -> np.ndarray:
        return np.array([name in WORDED for name in self.card])[:, None]

    @cached_property
    def sources(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The sources that the card features are shown under, and the matrix that sums features to sources."""
        names = tuple(dict.fromkeys(CARD_FEATURES[name] for name in self.card))
        return names, np.array([[CARD_FEATURES[name] == source for name in self.card] for source in names], dtype=float)


@dataclass(frozen=True, slots=True)
class CalibratedModel:
    """`variants` holds Weights by embedder name, since every embedder has its own scale of cosines."""

    version: str
    abstain_above: float
    variants: dict[str, Weights]

    @classmethod
    def load(cls, text: str) -> "CalibratedModel":
        """Raises ValueError if the text is no model of this scorer."""
        try:
            data = json.loads(text)
            variants = {name: _weights(entry) for name, entry in data["variants"].items()}
            model = cls(str(data["version"]), float(data["abstain_above"]), variants)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibrated model: {error!r}") from error
        if WITHOUT_MODEL not in variants:
            raise ValueError(f"not a calibrated model: it lacks the variant {WITHOUT_MODEL!r}")
        return model

    @classmethod
    def shipped(cls) -> "CalibratedModel":
        """The prior that comes with the package."""
        return cls.load(files("matching.models").joinpath(SHIPPED).read_text("utf-8"))

    def variant(self, embedder: str | None) -> tuple[str, Weights]:
        """Name and weights for an index with this embedder."""
        name = embedder if embedder in self.variants else WITHOUT_MODEL
        return name or WITHOUT_MODEL, self.variants[name or WITHOUT_MODEL]


def _weights(entry: Mapping[str, Any]) -> Weights:
    weights = Weights(
        {name: float(value) for name, value in entry["card"].items()},
        {name: float(value) for name, value in entry["none"].items()},
        {name: (float(low), float(high)) for name, (low, high) in entry.get("ranges", {}).items()},
        float(entry.get("brevity", 1.0)),
    )
    unknown = (weights.card.keys() - CARD_FEATURES.keys()) | (weights.none.keys() - set(NONE_FEATURES))
    numbers = [
        *weights.card.values(),
        *weights.none.values(),
        *(end for pair in weights.ranges.values() for end in pair),
    ]
    if unknown or not np.isfinite(numbers).all():
        raise ValueError(f"not a calibrated model: unknown features {sorted(unknown)} or values that are not finite")
    if not 0 < weights.brevity <= 1:
        raise ValueError(f"not a calibrated model: brevity {weights.brevity} is not between 0 and 1")
    return weights


def features(sheet: Sheet) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Columns of card features over the sheet, and the features of "none"."""
    channels = sheet.channels
    columns = {name: channels[name].astype(float) for name in ("semantic", "exact", "signature", "graph", "condition")}
    ceiling = sheet.index.keyword.ceiling(sheet.query)
    columns["keyword"] = channels["keyword"].astype(float) * math.sqrt(max(ceiling, 0.0))
    evidence = sheet.index.evidence[sheet.slots].astype(float)
    columns["evidence"] = np.where(np.isnan(evidence), 0.0, evidence - NO_EVIDENCE)
    columns |= zip(VEHICLE_FEATURES, _ONE_HOT[:, fits_of(channels["vehicle"])], strict=True)
    return columns, {"constant": 1.0, "typical": sheet.index.semantic.typical(sheet.query)}


class CalibratedScorer:
    name = "calibrated"
    channels = ("signature", "exact", "keyword", "semantic", "vehicle", "graph", "condition")

    def __init__(self, model: CalibratedModel | None = None) -> None:
        self.model = model if model is not None else CalibratedModel.shipped()
        self.version = self.model.version

    def settled(self, channel: str, hits: Hits) -> bool:  # every channel is weighed
        return False

    def judge(self, sheet: Sheet) -> Verdict:
        embedder = sheet.index.embedder_for(sheet.query)
        _, weights = self.model.variant(embedder.name if embedder is not None else None)
        columns, none = features(sheet)
        said = len(sheet.query.term_counts)
        values = [_within(weights, name, columns[name]) for name in weights.card]
        terms = weights.column(weights.told(said)) * np.array(values).reshape(len(values), len(sheet.slots))
        strengths = terms.sum(axis=0)
        against = _against(weights, none, said)
        probabilities, none_probability, rivals, total = _compete(strengths, against)
        return Verdict(
            scores=probabilities,
            shares=_shares(weights, terms, strengths, rivals, probabilities),
            match_types=_match_types(sheet.channels),
            probabilities=probabilities,
            none_probability=none_probability,
            abstained=none_probability > self.model.abstain_above,
            inputs={name: columns[name] for name in weights.card},
            shared={**{name: none[name] for name in weights.none}, LOG_TOTAL: total, TERMS: float(said)},
        )

    def again(
        self, cards: Sequence[Mapping[str, float]], shared: Mapping[str, float], embedder: str | None
    ) -> tuple[list[float], float | None]:
        _, weights = self.model.variant(embedder)
        said = int(shared[TERMS])
        column = weights.column(weights.told(said))[:, 0]
        strengths = [float(column @ [_within(weights, name, card[name]) for name in weights.card]) for card in cards]
        against = _against(weights, shared, said)
        scores = [float(np.exp(strength - shared[LOG_TOTAL])) for strength in strengths]
        return scores, float(np.exp(against - shared[LOG_TOTAL]))


def _against(weights: Weights, values: Mapping[str, float], said: int) -> float:
    """The strength of "none" against a complaint of so many distinct terms."""
    terms = (weight * _within(weights, name, values[name]) for name, weight in weights.none.items())
    return weights.told(said) * float(sum(terms))


def _within(weights: Weights, name: str, values: Any) -> Any:
    """Values kept in the range they were learnt in: beyond it a linear model only guesses."""
    believed = weights.ranges.get(name)
    return values if believed is None else np.clip(values, *believed)


def _compete(strengths: np.ndarray, against: float) -> tuple[np.ndarray, float, np.ndarray, float]:
    """Probabilities of the cards, of "none", per card the log of all its rivals' weight, "none" included, and the log
    of the weight of all."""
    peak = max(against, float(strengths.max(initial=against)))
    weights, none = np.exp(strengths - peak), np.exp(against - peak)
    total = none + weights.sum()
    others = np.maximum(total - weights, np.finfo(float).tiny)
    return weights / total, float(none / total), np.log(others) + peak, float(np.log(total) + peak)


def _match_types(channels: Mapping[str, np.ndarray]) -> list[MatchType]:
    exact = (channels["exact"] > 0.5) | (channels["signature"] == 1)
    kinds = np.where(exact, 0, np.where(channels["semantic"] > channels["keyword"], 1, 2))
    return _TYPES[kinds].tolist()


def _shares(
    weights: Weights, terms: np.ndarray, strengths: np.ndarray, rivals: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    """Splits each probability over its sources: integrated gradients from a card nothing is known of (strength 0).

    Against fixed rivals the probability is a sigmoid of the strength; along the straight path from 0 every term moves
    in proportion, so its part of the way is its part of the strength. With the starting point the parts sum exactly.
    `terms` is what each feature adds to the strength, features × cards.
    """
    start = 1 / (1 + np.exp(np.clip(rivals, -700, 700)))
    slope = start * (1 - start)  # the limit for a vanishing way
    rate = np.divide(probabilities - start, strengths, out=slope, where=np.abs(strengths) > 1e-9)
    names, sums = weights.sources
    return {"prior": start, **dict(zip(names, (sums @ terms) * rate, strict=True))}
