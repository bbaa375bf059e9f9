"""The learnt scorer on complaints that its weights never saw, whatever the shipped ones were fitted on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files

import numpy as np

from matching import Matcher
from matching.scorers import CalibratedScorer
from matching.scorers.calibrated import SHIPPED, Weights
from matching.training import FOLDS, LEARNT, Decision, Row, collect, held_out
from services.diagnosis.evaluation.figures import Answer
from services.diagnosis.evaluation.gold import GoldSet

DEPTH = 100
"""Ranks that are looked at; a right answer behind them counts as not found."""


def in_sample(gold: GoldSet) -> bool | None:
    """Whether the shipped weights were fitted on these complaints; None if their record does not say."""
    fitted_on = json.loads(files("matching.models").joinpath(SHIPPED).read_text("utf-8")).get("trained_on")
    return None if fitted_on is None else gold.fingerprint in fitted_on


def cross_validated(
    gold: GoldSet, matcher: Matcher, names: Mapping[str, str], advance: Callable[[int], None]
) -> dict[str, Answer]:
    """Answers of weights fitted five times, each time without the failures that are then asked about.

    The fit starts from what the shipped weights do not owe to complaints, features set by judgement, and from how much
    brief complaints count, which next to none of the judged ones is. Empty if the
    complaints are about too few failures. `names` maps card ids to ids of the corpus, as for `evaluate`; `advance` is
    told how many complaints have been collected.
    """
    scorer = matcher.scorers[CalibratedScorer.name]
    if len({gold.decisions[id_].group for id_ in gold.answerable}) < FOLDS:
        return {}
    assert isinstance(scorer, CalibratedScorer)  # noqa: S101 - it has the name
    cards = {name: card_id for card_id, name in names.items()}
    rows: list[Row] = []
    for decision in gold.decisions.values():
        rows += collect(matcher, [_of_cards(decision, cards)])
        advance(len(rows))
    embedder = matcher.index.embedder
    _, shipped = scorer.model.variant(embedder.name if embedder is not None else None)
    judged = {name: value for name, value in shipped.card.items() if name not in LEARNT}
    prior = Weights(judged, {}, {}, shipped.brevity)
    return {
        id_: _answer(row, probabilities, names, scorer.model.abstain_above)
        for id_, (row, probabilities) in zip(gold.decisions, held_out(rows, prior), strict=True)
    }


def _of_cards(decision: Decision, cards: Mapping[str, str]) -> Decision:
    """The decision in card ids; it speaks of failures by their ids in the corpus."""
    relevant, ignored = (frozenset(cards[name] for name in ids) for ids in (decision.relevant, decision.ignored))
    return replace(decision, relevant=relevant, ignored=ignored)


def _answer(row: Row, probabilities: np.ndarray, names: Mapping[str, str], abstain_above: float) -> Answer:
    order = np.argsort(-probabilities[:-1], kind="stable")[:DEPTH]
    best, none = float(probabilities[order[0]]) if len(order) else None, float(probabilities[-1])
    return Answer([names[row.ids[i]] for i in order], best or 0.0, 1 - none, best, none > abstain_above)
