"""An evaluation for programs (JSON) and for the eye (SVG)."""

from dataclasses import asdict
from typing import Any

from services.charts import Observed, dots, picture, reliability
from services.diagnosis.evaluation.figures import Figures
from services.diagnosis.evaluation.run import Evaluation, Kind, Method
from services.diagnosis.matches import DEFAULT_SCORER

LABELS = {
    "bm25": "BM25, plain",
    "bm25_vehicle": "BM25, this vehicle only",
    "cross_validated": f"{DEFAULT_SCORER}, cross-validated",
}
SERIES = ("hit@1", "hit@3", "hit@10")


def label(evaluation: Evaluation, method: Method) -> str:
    """What people call a method; the learnt scorer's own figures carry a warning where they flatter."""
    if method.kind is Kind.channel:
        return f"{method.name} alone"
    if evaluation.in_sample and method.name == DEFAULT_SCORER:
        return f"{method.name}, in sample"
    return LABELS.get(method.name, method.name)


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader of the figures must know."""
    said = [
        "Siblings (not judged right, but about the same component of the same vehicle) are left out of the rankings; "
        "the strict figures count them as wrong."
    ]
    if evaluation.in_sample is not False:
        why = (
            f"The weights of {DEFAULT_SCORER} were fitted on these complaints, so its own row flatters."
            if evaluation.in_sample
            else f"The record of {DEFAULT_SCORER} does not say which complaints it was fitted on."
        )
        said.append(f"{why} Believe the cross-validated row: its weights never saw the failure asked about.")
    said += [f"The {channel} channel was off: {why}." for channel, why in sorted(evaluation.channels_off.items())]
    return said


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Figures by scorer at the top, then everything else under keys of its own."""
    gold, methods = evaluation.gold, evaluation.methods
    shown = _shown(evaluation)
    return {
        **{name: method.figures.as_json() for name, method in methods.items() if method.kind is Kind.scorer},
        "default": DEFAULT_SCORER,
        "believe": evaluation.believable.name,
        "in_sample": evaluation.in_sample,
        "methods": {name: {"kind": method.kind, **method.figures.as_json()} for name, method in methods.items()},
        "reliability": {
            method.name: {kind: [asdict(one) for one in bins] for kind, bins in evaluation.reliability(method).items()}
            for method in shown
        },
        "groups": {
            method.name: {kind: [one.as_json() for one in found] for kind, found in evaluation.groups(method).items()}
            for method in shown
        },
        "gold": {
            "complaints": len(gold.answerable),
            "complaints_nomatch": len(gold.unanswerable),
            "failures": len(gold.corpus),
            "distractors": evaluation.distractors,
            "fingerprint": gold.fingerprint,
        },
        "engine": {
            "versions": evaluation.versions,
            "embedder": evaluation.embedder,
            "channels_off": evaluation.channels_off,
        },
        "notes": notes(evaluation),
    }


def svg(evaluation: Evaluation) -> str:
    """How often the right failure is found by each method, and how far the default scorer's probability can be
    believed."""
    believed = evaluation.believable
    rows = [
        (label(evaluation, method), hits)
        for method in evaluation.methods.values()
        if (hits := _hits(method.figures)) is not None
    ]
    pieces = [dots(f"Right failure found, {len(evaluation.gold.answerable)} complaints", SERIES, rows)] if rows else []
    said = [
        f"{name}: " + ", ".join(f"{one} {value:.3f}" for one, value in zip(SERIES, values, strict=True))
        for name, values in rows
    ]
    for kind, heading in (("best", "the best one is right"), ("known", "there is a right one")):
        if bins := evaluation.reliability(believed).get(kind):
            points = [Observed(one.mean, one.share, one.low, one.high, one.count) for one in bins]
            pieces.append(reliability(f"Probability that {heading}", points))
            said.append(
                f"Probability that {heading}, foretold and true: "
                + ", ".join(f"{one.mean:.2f} and {one.share:.2f} in {one.count} cases" for one in bins)
            )
    return picture(
        "How well complaints find the known failures behind them",
        ". ".join([*said, f"Probabilities are of: {label(evaluation, believed)}"]) + ".",
        pieces,
    )


def _hits(figures: Figures) -> list[float] | None:
    hits = [figures.ranks.hit_1, figures.ranks.hit_3, figures.ranks.hit_10]
    return None if None in hits else [hit or 0.0 for hit in hits]


def _shown(evaluation: Evaluation) -> list[Method]:
    """Methods whose reliability and groups are worth the room: the scorers, cross-validated or not."""
    return [method for method in evaluation.methods.values() if method.kind in (Kind.scorer, Kind.cross_validated)]
