"""Learns the shipped weights of the calibrated scorer from a gold folder and says how well they do.

    python -m benchmarks.calibrate GOLD_FOLDER --models DATA_DIR [--write]

Figures are by five-fold cross-validation grouped by failure, mean of three shufflings; `--write` then fits on
everything and replaces matching/models/calibrated.json together with the record of its training. How much the words of
a brief complaint count is chosen by the same held-out weights, on gists of the complaints beside the whole ones.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.gold import Gold, gists, load, without_vehicle, without_year
from matching import CardIndex, Embedder, Matcher
from matching.minilm import MiniLMEmbedder
from matching.scorers.calibrated import WITHOUT_MODEL, CalibratedModel, Weights
from matching.training import Row, collect, cross_validate, fit, folds, probabilities
from matching.training import figures as figures_of
from services.diagnosis.training.trial import score

TARGET = Path(__file__).parent.parent / "matching" / "models" / "calibrated.json"
SEEDS = (0, 1, 2)
GISTS = (25, 50)
"""Words of the gists; a workshop's ticket is as long as the shorter ones, or shorter."""
BREVITIES = tuple(twentieths / 20 for twentieths in range(20, 9, -1))

# What the gold set holds no examples of is set by judgement: a rare code or an equal signature outweighs any wording,
# symptoms over the graph support, circumstances shift a little, and proven cards lead among equals.
JUDGED = {"exact": 6.0, "signature": 8.0, "graph": 2.0, "condition": 4.5, "evidence": 1.5}
RECORD = (
    "Conditional logit, maximum a posteriori, on 358 owner complaints that cite a recall and 336 that belong to none, "
    "against 781 recall campaigns and 1,286 distractors (NHTSA, public domain), as the recall importer makes cards of "
    "them. vehicle_unknown and vehicle_model from the same complaints without vehicle or year; vehicle_universal and "
    "vehicle_make half-way from unknown to exact; exact, signature, graph, condition and evidence by judgement: the "
    "complaints hold no codes and no repairs; brevity on gists of 25 and 50 words beside whole complaints, and only "
    "with the sentence model: words alone do not tell brief strangers from what is known. P(none) leans on how far a "
    "complaint speaks of recalls at all, as those that cite one do."
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
        matcher = _matcher(gold, embedder)
        rows = collect(matcher, gold.decisions)
        brief = {words: collect(matcher, gists(gold.decisions, words, matcher.index)) for words in GISTS}
        prior = replace(PRIOR, brevity=1.0 if embedder is None else _brevity(rows, list(brief.values())))
        figures[name] = _cross_validated(rows, prior)
        print(name, figures[name])
        for words, cut in brief.items():
            print(f"{name}, gists of {words} words", figures_of(_held_out(rows, cut, prior)))
        variants[name] = _fit(matcher, gold, rows, prior)
    if options.write:
        _write(variants, figures, gold.fingerprint)


def _matcher(gold: Gold, embedder: Embedder | None) -> Matcher:
    index = CardIndex(embedder)
    index.upsert_many([*gold.cards, *gold.distractors])
    return Matcher(index)


PRIOR = Weights(dict(JUDGED), {}, {})


def _cross_validated(rows: list[Row], prior: Weights) -> dict[str, float]:
    runs = [cross_validate(rows, prior, seed=seed) for seed in SEEDS]
    return {name: round(float(np.mean([run[name] for run in runs])), 3) for name in runs[0]}


def _brevity(whole: list[Row], cuts: list[list[Row]]) -> float:
    """The brevity by which weights learnt on whole complaints expect most of complaints and gists they never saw."""
    losses = [
        np.mean([score(_held_out(whole, rows, replace(PRIOR, brevity=tried))).log_loss for rows in (whole, *cuts)])
        for tried in BREVITIES
    ]
    return BREVITIES[int(np.argmin(losses))]


def _held_out(whole: list[Row], asked: list[Row], prior: Weights) -> list[tuple[Row, np.ndarray]]:
    """The asked rows, one for each whole complaint, by weights fitted on whole complaints of other failures."""
    which = folds(whole)
    fitted = {
        int(fold): fit([row for row, own in zip(whole, which, strict=True) if own != fold], prior)
        for fold in np.unique(which)
    }
    return [(row, probabilities(row, fitted[int(fold)])) for row, fold in zip(asked, which, strict=True)]


def _fit(matcher: Matcher, gold: Gold, rows: list[Row], prior: Weights) -> Weights:
    weights = fit(rows, prior)
    for feature, altered in (("vehicle_unknown", without_vehicle), ("vehicle_model", without_year)):
        weights = fit(collect(matcher, altered(gold.decisions)), weights, learnt=(feature,))
    half = (weights.card["vehicle_unknown"] + weights.card["vehicle_exact"]) / 2
    card = weights.card | {"vehicle_universal": half, "vehicle_make": half}
    # The ranges of the first fit: the later ones saw the same complaints.
    return replace(weights, card=card)


def _write(variants: dict[str, Weights], figures: dict[str, dict[str, float]], complaints: str) -> None:
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
