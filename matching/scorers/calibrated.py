"""The calibrated scorer: channel scores to the probability that a card explains the case, with abstention.

A logistic model over a handful of readable features. Its coefficients come from a small JSON file that also holds the
record of how they were found; see `LogisticModel`.
"""

import json
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from matching.channels import Hits
from matching.results import MatchType
from matching.scorers.base import Sheet, Verdict

DEFAULT_MODEL = "calibrated.json"
NO_EVIDENCE = 0.5
"""Stands in for the lower bound of success of a card without evidence: it neither helps nor harms."""


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """`version`, intercept and one coefficient per feature; below `abstain_below` the best card is not believed."""

    version: str
    intercept: float
    coefficients: dict[str, float]
    abstain_below: float

    @classmethod
    def load(cls, text: str) -> "LogisticModel":
        """Raises ValueError if the file is no model of this scorer."""
        data = json.loads(text)
        model = cls(
            str(data["version"]),
            float(data["intercept"]),
            {name: float(value) for name, value in data["coefficients"].items()},
            float(data["abstain_below"]),
        )
        unknown = model.coefficients.keys() - set(FEATURES)
        if unknown or not np.isfinite([model.intercept, *model.coefficients.values()]).all():
            raise ValueError(
                f"not a calibrated model: unknown features {sorted(unknown)} or values that are not finite"
            )
        return model

    @classmethod
    def shipped(cls) -> "LogisticModel":
        """The prior that comes with the package."""
        return cls.load(files("matching.models").joinpath(DEFAULT_MODEL).read_text("utf-8"))


FEATURES = {
    "exact": "exact",
    "signature": "signature",
    "keyword": "keyword",
    "semantic": "semantic",
    "vehicle": "vehicle",
    "graph": "graph",
    "agreement": "keyword",
    "evidence": "evidence",
}
"""Feature name -> the channel or other source its contribution is shown under."""


def features(sheet: Sheet) -> dict[str, np.ndarray]:
    """Feature columns over the sheet's cards, every one finite and of order 1."""
    columns = {name: sheet.channels[name].astype(float) for name in CalibratedScorer.channels}
    # Two channels that read the text in different ways and agree are worth more than their sum.
    columns["agreement"] = np.sqrt(columns["keyword"] * columns["semantic"])
    columns["evidence"] = np.array(
        [
            (card.evidence_lower if card.evidence_lower is not None else NO_EVIDENCE) - NO_EVIDENCE
            for card in sheet.cards
        ]
    )
    return columns


class CalibratedScorer:
    name = "calibrated"
    channels = ("signature", "exact", "keyword", "semantic", "vehicle", "graph")

    def __init__(self, model: LogisticModel | None = None) -> None:
        self.model = model if model is not None else LogisticModel.shipped()
        self.version = self.model.version

    def settled(self, channel: str, hits: Hits) -> bool:  # every channel is weighed
        return False

    def judge(self, sheet: Sheet) -> Verdict:
        columns = features(sheet)
        logits = {name: weight * columns[name] for name, weight in self.model.coefficients.items()}
        total = sum(logits.values(), start=np.full(len(sheet.slots), self.model.intercept))
        probabilities = _sigmoid(total)
        best = float(probabilities.max(initial=0.0))
        types = [
            MatchType.exact
            if exact > 0.5 or signature == 1
            else MatchType.semantic
            if semantic >= keyword
            else MatchType.partial
            for exact, signature, semantic, keyword in zip(
                columns["exact"], columns["signature"], columns["semantic"], columns["keyword"], strict=True
            )
        ]
        return Verdict(
            scores=probabilities,
            shares=self._shares(logits, total, probabilities),
            match_types=types,
            probabilities=probabilities,
            none_probability=1 - best,
            abstained=best < self.model.abstain_below,
        )

    def _shares(
        self, logits: dict[str, np.ndarray], total: np.ndarray, probabilities: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Splits each probability over its sources: integrated gradients of the sigmoid from the all-zero features.

        Along that straight path every term moves in proportion, so a source's part of the way from the prior
        probability is its part of the log-odds; with the prior, the parts sum to the probability exactly.
        """
        prior = _sigmoid(np.array([self.model.intercept]))[0]
        moved = total - self.model.intercept
        slope = prior * (1 - prior)  # the limit for a vanishing way
        rate = np.divide(probabilities - prior, moved, out=np.full(len(moved), slope), where=np.abs(moved) > 1e-9)
        shares: dict[str, np.ndarray] = {"prior": np.full(len(moved), prior)}
        for name, logit in logits.items():
            source = FEATURES[name]
            shares[source] = shares.get(source, 0.0) + logit * rate
        return shares


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
