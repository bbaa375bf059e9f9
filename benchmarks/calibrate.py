"""Learns the shipped weights of the calibrated scorer from a gold folder and says how well they do.

    python -m benchmarks.calibrate GOLD_FOLDER --models DATA_DIR [--write]

Figures are by five-fold cross-validation grouped by failure, mean of three shufflings; `--write` then fits on
everything and replaces matching/models/calibrated.json together with the record of its training. How much the words of
a brief complaint count is chosen on gists of complaints that the weights never saw, and on two phrases of the symptom
library against the starter cards, three in ten of them for a failure whose card is taken out.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.complaints import StarterFailures
from benchmarks.gold import Gold, gists, load, without_vehicle, without_year
from matching import CardIndex, CardRecord, Embedder, Matcher
from matching.minilm import MiniLMEmbedder
from matching.scorers.calibrated import WITHOUT_MODEL, CalibratedModel, Weights
from matching.training import Decision, Row, collect, fit, folds, held_out, probabilities
from matching.training import figures as figures_of
from services.diagnosis.training.trial import score

TARGET = Path(__file__).parent.parent / "matching" / "models" / "calibrated.json"
SEEDS = (0, 1, 2)
GIST_WORDS = 25
PHRASED, UNKNOWN_SHARE = 400, 0.3
BREVITIES = tuple(twentieths / 20 for twentieths in range(20, 7, -1))

# What the gold set holds no examples of is set by judgement: a rare code or an equal signature outweighs any wording,
# symptoms over the graph support, circumstances shift a little, and proven cards lead among equals.
JUDGED = {"exact": 6.0, "signature": 8.0, "graph": 2.0, "condition": 4.5, "evidence": 1.5}
RECORD = (
    "Conditional logit, maximum a posteriori, on 358 owner complaints that cite a recall and 336 that belong to none, "
    "against 781 recall campaigns, and once more with 1,286 distractors among them (NHTSA, public domain), as the "
    "recall importer makes cards of them. vehicle_unknown and vehicle_model from the same complaints without vehicle "
    "or year; vehicle_universal and vehicle_make half-way from unknown to exact; exact, signature, graph, condition "
    "and evidence by judgement: the complaints hold no codes and no repairs; brevity on gists of 25 words and on "
    "phrases of the symptom library against the starter cards, and only with the sentence model: words alone do not "
    "tell brief strangers from what is known. P(none) leans on how far a complaint speaks of recalls at all, as those "
    "that cite one do."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--models", type=Path, required=True, help="where the built sentence model is or goes")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    gold = load(options.gold)
    variants, figures = {}, {}
    for embedder in (None, MiniLMEmbedder.load(options.models)):
        name = embedder.name if embedder is not None else WITHOUT_MODEL
        matchers = [_matcher(cards, embedder) for cards in (gold.cards, [*gold.cards, *gold.distractors])]
        rows = _collected(matchers, gold.decisions)
        prior = PRIOR
        if embedder is not None:
            prior = replace(PRIOR, brevity=_brevity(rows, _gists(matchers, gold), _phrased(embedder)))
        figures[name] = _cross_validated(rows, prior)
        print(name, figures[name])
        variants[name] = _fit(matchers, gold, rows, prior)
    if options.write:
        _write(variants, figures, gold.fingerprint)


def _matcher(cards: list[CardRecord], embedder: Embedder | None) -> Matcher:
    index = CardIndex(embedder)
    index.upsert_many(cards)
    return Matcher(index)


def _collected(matchers: list[Matcher], decisions: Iterable[Decision]) -> list[Row]:
    """The decisions among few cards, then the same among many: how much speaks for "none" shall not hang on that."""
    asked = list(decisions)
    return [row for matcher in matchers for row in collect(matcher, asked)]


def _gists(matchers: list[Matcher], gold: Gold) -> list[Row]:
    return _collected(matchers, gists(gold.decisions, GIST_WORDS, matchers[-1].index))


def _phrased(embedder: Embedder) -> list[Row]:
    """Brief complaints about the starter cards; for some of them the right card is not there."""
    rng, failures = np.random.default_rng(SEEDS), StarterFailures.load()
    matcher = Matcher(failures.index(embedder))
    rows = []
    for number in range(PHRASED):
        key, case = failures.complaint(rng)
        missing = rng.random() < UNKNOWN_SHARE
        relevant = frozenset() if missing else frozenset({key})
        (row,) = collect(matcher, [Decision(case, relevant, str(number), frozenset({key}) if missing else frozenset())])
        rows.append(row)
    return rows


PRIOR = Weights(dict(JUDGED), {}, {})


def _cross_validated(rows: list[Row], prior: Weights) -> dict[str, dict[str, float]]:
    """Figures among few cards and among many."""
    half = len(rows) // 2
    runs = [held_out(rows, prior, seed=seed) for seed in SEEDS]
    return {
        "failures alone": _mean([figures_of(run[:half]) for run in runs]),
        "with distractors": _mean([figures_of(run[half:]) for run in runs]),
    }


def _mean(runs: list[dict[str, float | None]]) -> dict[str, float]:
    return {name: round(float(np.mean([run[name] for run in runs])), 3) for name in runs[0]}


def _brevity(whole: list[Row], brief: list[Row], phrased: list[Row]) -> float:
    """The brevity by which weights learnt on whole complaints expect most of brief ones.

    `brief` are gists of the whole ones, one for each, asked of weights that never saw the same failure.
    """
    which = folds(whole)

    def loss(tried: float) -> float:
        prior = replace(PRIOR, brevity=tried)
        fitted = {
            fold: fit([row for row, own in zip(whole, which, strict=True) if own != fold], prior)
            for fold in np.unique(which).tolist()
        }
        everything = fit(whole, prior)
        unseen = [(row, probabilities(row, fitted[int(fold)])) for row, fold in zip(brief, which, strict=True)]
        of_gists = score(unseen).log_loss
        of_phrases = score([(row, probabilities(row, everything)) for row in phrased]).log_loss
        print(f"brevity {tried}: log-loss {of_gists:.3f} of gists, {of_phrases:.3f} of phrases", flush=True)
        return of_gists + of_phrases

    return min(BREVITIES, key=loss)


def _fit(matchers: list[Matcher], gold: Gold, rows: list[Row], prior: Weights) -> Weights:
    weights = fit(rows, prior)
    for feature, altered in (("vehicle_unknown", without_vehicle), ("vehicle_model", without_year)):
        weights = fit(_collected(matchers, altered(gold.decisions)), weights, learnt=(feature,))
    half = (weights.card["vehicle_unknown"] + weights.card["vehicle_exact"]) / 2
    card = weights.card | {"vehicle_universal": half, "vehicle_make": half}
    # The ranges of the first fit: the later ones saw the same complaints.
    return replace(weights, card=card)


def _write(variants: dict[str, Weights], figures: dict[str, dict[str, dict[str, float]]], complaints: str) -> None:
    data = {
        "version": CalibratedModel.shipped().version,
        "record": RECORD,
        # By this `efi evaluate` knows that figures on the same complaints flatter.
        "trained_on": [complaints],
        "cross_validated": figures,
        "abstain_above": 0.5,
        "variants": {name: asdict(weights) for name, weights in variants.items()},
    }
    number = int(data["version"].rpartition("-")[2]) + 1
    data["version"] = f"prior-{number}"
    text = json.dumps(data, indent=1, default=float)
    text = json.dumps(json.loads(text, parse_float=lambda x: round(float(x), 4)), indent=1)
    TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
