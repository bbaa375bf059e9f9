"""Learns the shipped weights of the calibrated scorer from a gold folder and says how well they do.

    python -m benchmarks.calibrate GOLD_FOLDER --models DATA_DIR [--write]

Figures are by five-fold cross-validation grouped by failure, mean of three shufflings; `--write` then fits on
everything and replaces matching/models/calibrated.json together with the record of its training.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.gold import Gold, load, without_vehicle, without_year
from matching import CardIndex, Embedder, Matcher
from matching.minilm import MiniLMEmbedder
from matching.scorers.calibrated import WITHOUT_MODEL, CalibratedModel, Weights
from matching.training import Row, collect, cross_validate, fit

TARGET = Path(__file__).parent.parent / "matching" / "models" / "calibrated.json"
SEEDS = (0, 1, 2)

# What the gold set holds no examples of is set by judgement: a rare code or an equal signature outweighs any wording,
# symptoms over the graph support, circumstances shift a little, and proven cards lead among equals.
JUDGED = {"exact": 6.0, "signature": 8.0, "graph": 2.0, "condition": 4.5, "evidence": 1.5}
RECORD = (
    "Conditional logit, maximum a posteriori, on 358 owner complaints that cite a recall and 336 that belong to none, "
    "against 781 recall campaigns and 1,286 distractors (NHTSA, public domain), as the recall importer makes cards of "
    "them. vehicle_unknown and vehicle_model from the same complaints without vehicle or year; vehicle_universal and "
    "vehicle_make half-way from unknown to exact; exact, signature, graph, condition and evidence by judgement: the "
    "complaints hold no codes and no repairs. P(none) leans on how far a complaint speaks of recalls at all, as those "
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
        matcher = _matcher(gold, embedder)
        rows = collect(matcher, gold.decisions)
        figures[name] = _cross_validated(rows)
        print(name, figures[name])
        variants[name] = _fit(matcher, gold, rows)
    if options.write:
        _write(variants, figures, gold.fingerprint)


def _matcher(gold: Gold, embedder: Embedder | None) -> Matcher:
    index = CardIndex(embedder)
    index.upsert_many([*gold.cards, *gold.distractors])
    return Matcher(index)


def _prior() -> Weights:
    return Weights(dict(JUDGED), {}, {})


def _cross_validated(rows: list[Row]) -> dict[str, float]:
    runs = [cross_validate(rows, _prior(), seed=seed) for seed in SEEDS]
    return {name: round(float(np.mean([run[name] for run in runs])), 3) for name in runs[0]}


def _fit(matcher: Matcher, gold: Gold, rows: list[Row]) -> Weights:
    weights = fit(rows, _prior())
    for feature, altered in (("vehicle_unknown", without_vehicle), ("vehicle_model", without_year)):
        weights = fit(collect(matcher, altered(gold.decisions)), weights, learnt=(feature,))
    half = (weights.card["vehicle_unknown"] + weights.card["vehicle_exact"]) / 2
    card = weights.card | {"vehicle_universal": half, "vehicle_make": half}
    # The ranges of the first fit: the later ones saw the same complaints.
    return Weights(card, weights.none, weights.ranges)


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
