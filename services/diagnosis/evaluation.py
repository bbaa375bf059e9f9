"""How well a scorer finds the known failure behind a complaint, on judged complaints.

A folder holds `corpus.jsonl` (known failures), `queries.jsonl` and `qrels.tsv` (complaints, and which failures
explain them), and may hold `corpus_extra.jsonl` (further failures that explain none of them), `qrels_siblings.tsv`
(answers that are neither right nor wrong) and `queries_nomatch.jsonl` (complaints that no failure explains).
"""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import Invalid
from matching import Case, Vehicle
from matching.evaluation import auroc, expected_calibration_error, hit_at, ndcg_at, reciprocal_rank
from services.diagnosis import matches
from services.diagnosis.matches import MatchOptions

DEPTH = 100
"""Ranks that are looked at; a right answer behind them counts as not found."""
FOOLED_FROM = (0.5, 0.05)
"""Quantiles of the scores that right top answers have: the typical one, and what 95 % of them reach."""

Row = dict[str, Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class GoldSet:
    """Judged complaints by id. `ignored` answers are taken out of a ranking before it is measured."""

    answerable: Mapping[str, Case]
    relevant: Mapping[str, frozenset[str]]
    ignored: Mapping[str, frozenset[str]]
    unanswerable: Mapping[str, Case]

    @classmethod
    def read(cls, folder: Path) -> "GoldSet":
        """Raises Invalid, naming file and line, for what is missing or malformed."""
        relevant = _judgements(folder / "qrels.tsv")
        return cls(
            answerable={id_: case for id_, case in _cases(folder / "queries.jsonl") if id_ in relevant},
            relevant=relevant,
            ignored=_judgements(folder / "qrels_siblings.tsv", optional=True),
            unanswerable=dict(_cases(folder / "queries_nomatch.jsonl", optional=True)),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the answerable complaints; None where there is nothing to compute it from.

    `auroc_nomatch`: the chance that an answerable complaint is held for known more firmly than an unanswerable one.
    `ece`: calibration error of the top answer's probability, over all complaints; for scorers that give one.
    `fools_typical`, `fools_most`: share of unanswerable complaints whose top score reaches the median, or the lowest
    but five per cent, of the scores that right top answers have. A reader who trusts scores is fooled by those.
    """

    hit_1: float | None
    hit_3: float | None
    hit_10: float | None
    mrr: float | None
    ndcg_10: float | None
    auroc_nomatch: float | None
    ece: float | None
    fools_typical: float | None
    fools_most: float | None

    def as_json(self) -> dict[str, float | None]:
        return {
            "hit@1": self.hit_1,
            "hit@3": self.hit_3,
            "hit@10": self.hit_10,
            "mrr": self.mrr,
            "ndcg@10": self.ndcg_10,
            "auroc_nomatch": self.auroc_nomatch,
            "ece": self.ece,
        }


@dataclass(frozen=True, slots=True)
class _Answer:
    """One ranking, siblings taken out. `score` is the top one as a reader saw it, 0 if nothing was found.

    `known` grows with the belief that some card explains the complaint: 1 − P(none) where the scorer gives it, else the
    top score.
    """

    ranking: list[str]
    score: float
    known: float
    probability: float | None
    right: bool


async def evaluate(gold: GoldSet, scorer: str, names: Mapping[str, str], progress: Progress | None = None) -> Figures:
    """Ask the matching that is being served about every complaint; `names` maps card ids to ids of the corpus."""
    total = len(gold.answerable) + len(gold.unanswerable)
    found: dict[str, _Answer] = {}
    for query_id, case in {**gold.unanswerable, **gold.answerable}.items():
        relevant = gold.relevant.get(query_id, frozenset()) if query_id in gold.answerable else frozenset()
        found[query_id] = await _ask(case, scorer, names, relevant, gold.ignored.get(query_id, frozenset()))
        if progress is not None:
            progress(len(found), total)
    return _figures(gold, found)


async def _ask(
    case: Case, scorer: str, names: Mapping[str, str], relevant: Collection[str], ignored: Collection[str]
) -> _Answer:
    matched = await matches.match(case, MatchOptions(scorer=scorer, limit=DEPTH))
    candidates = matched.result.candidates
    ranking = [name for candidate in candidates if (name := names[candidate.card_id]) not in ignored]
    best = candidates[0] if candidates else None
    return _Answer(
        ranking,
        best.score if best else 0.0,
        1 - none if (none := matched.result.none_probability) is not None else best.score if best else 0.0,
        best.probability if best else None,
        bool(best and names[best.card_id] in relevant),
    )


def _figures(gold: GoldSet, found: Mapping[str, _Answer]) -> Figures:
    answers = [(found[query_id], gold.relevant[query_id]) for query_id in gold.answerable]
    others = [found[query_id] for query_id in gold.unanswerable]
    asked = [answer for answer, _ in answers] + others
    calibrated = [answer for answer in asked if answer.probability is not None]
    right = [answer.score for answer, _ in answers if answer.right]
    typical, most = (_fooled(right, others, quantile) for quantile in FOOLED_FROM)
    return Figures(
        hit_1=_mean([hit_at(answer.ranking, relevant, 1) for answer, relevant in answers]),
        hit_3=_mean([hit_at(answer.ranking, relevant, 3) for answer, relevant in answers]),
        hit_10=_mean([hit_at(answer.ranking, relevant, 10) for answer, relevant in answers]),
        mrr=_mean([reciprocal_rank(answer.ranking, relevant) for answer, relevant in answers]),
        ndcg_10=_mean([ndcg_at(answer.ranking, dict.fromkeys(relevant, 1.0), 10) for answer, relevant in answers]),
        auroc_nomatch=auroc([answer.known for answer, _ in answers], [answer.known for answer in others]),
        ece=expected_calibration_error(
            [answer.probability or 0.0 for answer in calibrated], [answer.right for answer in calibrated]
        ),
        fools_typical=typical,
        fools_most=most,
    )


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _fooled(right: list[float], others: list[_Answer], quantile: float) -> float | None:
    if not right or not others:
        return None
    threshold = float(np.quantile(right, quantile))
    return float(np.mean([answer.score >= threshold for answer in others]))


def read_rows(path: Path) -> Iterator[Row]:
    """The objects of a file of JSON lines. Raises Invalid, naming file and line."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("_id"), str):
                    raise Invalid(f"{path.name}, line {number}: is no object with an _id.")
                yield row
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Invalid(f"{path.name} is not JSON lines: {error}.") from None


def _cases(path: Path, *, optional: bool = False) -> Iterator[tuple[str, Case]]:
    if optional and not path.exists():
        return
    for row in read_rows(path):
        year = str(row.get("year") or "")
        vehicle = Vehicle(
            make=row.get("make") or None, model=row.get("model") or None, year=int(year) if year.isdigit() else None
        )
        yield row["_id"], Case(text=str(row.get("text") or ""), vehicle=vehicle)


def _judgements(path: Path, *, optional: bool = False) -> dict[str, frozenset[str]]:
    """Query id -> corpus ids with a score of 1 or more."""
    if optional and not path.exists():
        return {}
    judged: defaultdict[str, set[str]] = defaultdict(set)
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines, delimiter="\t"), 2):
                try:
                    if float(row["score"]) >= 1:
                        judged[row["query-id"]].add(row["corpus-id"])
                except (KeyError, TypeError, ValueError):
                    raise Invalid(f"{path.name}, line {number}: needs query-id, corpus-id and score.") from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    return {query_id: frozenset(corpus_ids) for query_id, corpus_ids in judged.items()}
