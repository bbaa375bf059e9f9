"""Judged complaints as they are written down, read in one place.

A folder holds `corpus.jsonl` (known failures), `queries.jsonl` and `qrels.tsv` (complaints, and which failures
explain them), and may hold `corpus_extra.jsonl` (further failures that explain none of them), `qrels_siblings.tsv`
(answers that are neither right nor wrong) and `queries_nomatch.jsonl` (complaints that no failure explains).
"""

import csv
import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from app.errors import Invalid
from matching import Case, Vehicle
from matching.training import Decision

Row = dict[str, Any]
Judgements = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A case, and the components it was filed under, if the file names any."""

    case: Case
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoldSet:
    """Complaints, failures and judgements by id.

    `relevant` has at least one failure for each answerable complaint. `siblings` are neither right nor wrong.
    `corpus` and `distractors` hold the rows as written; distractors explain none of the complaints.
    """

    answerable: Mapping[str, Complaint]
    unanswerable: Mapping[str, Complaint]
    relevant: Judgements
    siblings: Judgements
    corpus: Mapping[str, Row]
    distractors: Mapping[str, Row]

    @classmethod
    def read(cls, folder: Path) -> "GoldSet":
        """Raises Invalid, naming file and line, for what is missing, malformed or does not fit together.

        Complaints of queries.jsonl that nobody has judged are left out.
        """
        relevant, siblings = judgements(folder / "qrels.tsv"), judgements(folder / "qrels_siblings.tsv", optional=True)
        corpus, distractors = _by_id(folder / "corpus.jsonl"), _by_id(folder / "corpus_extra.jsonl", optional=True)
        asked = _by_id(folder / "queries.jsonl")
        _known("qrels.tsv", "complaints", relevant, asked, "queries.jsonl lacks")
        failures = corpus.keys() | distractors.keys()
        _known("qrels.tsv", "failures", _all(relevant), corpus, "the corpus lacks")
        _known("qrels_siblings.tsv", "failures", _all(siblings), failures, "the corpus lacks")
        others = _by_id(folder / "queries_nomatch.jsonl", optional=True)
        if not relevant and not others:
            raise Invalid(
                f"{folder} holds no judged complaint: qrels.tsv names none, and queries_nomatch.jsonl is empty."
            )
        return cls(
            answerable={id_: _complaint(row) for id_, row in asked.items() if id_ in relevant},
            unanswerable={id_: _complaint(row) for id_, row in others.items()},
            relevant=relevant,
            siblings={id_: found - relevant.get(id_, frozenset()) for id_, found in siblings.items()},
            corpus=corpus,
            distractors=distractors,
        )

    @cached_property
    def complaints(self) -> dict[str, Complaint]:
        return {**self.answerable, **self.unanswerable}

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """The complaints as decided cases, grouped by failure: those that share one are never split."""
        group = _connected(self.relevant.values())
        known = {
            id_: Decision(
                complaint.case,
                self.relevant[id_],
                group[min(self.relevant[id_])],
                self.siblings.get(id_, frozenset()),
            )
            for id_, complaint in self.answerable.items()
        }
        return known | {id_: Decision(one.case, frozenset(), id_) for id_, one in self.unanswerable.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Tells whether a model was fitted on these complaints: 16 hexadecimal digits over their ids and texts."""
        lines = sorted(
            f"{id_}\t{unicodedata.normalize('NFC', complaint.case.text)}" for id_, complaint in self.complaints.items()
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_rows(path: Path) -> Iterator[Row]:
    """The objects of a file of JSON lines, each with a string `_id`. Raises Invalid, naming file and line."""
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("_id"), str):
                    raise Invalid(f"{path.name}, line {number}: is no object with an _id.")
                yield row
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise Invalid(f"{path.name}, after line {number}: is not UTF-8 ({error.reason}).") from None
    except ValueError as error:
        raise Invalid(f"{path.name} is not JSON lines: line {number}: {error}.") from None


def judgements(path: Path, *, optional: bool = False) -> dict[str, frozenset[str]]:
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
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"{path.name} is not a table of tab-separated values: {error}.") from None
    return {query_id: frozenset(corpus_ids) for query_id, corpus_ids in judged.items()}


def _by_id(path: Path, *, optional: bool = False) -> dict[str, Row]:
    if optional and not path.exists():
        return {}
    rows: dict[str, Row] = {}
    for row in read_rows(path):
        if row["_id"] in rows:
            raise Invalid(f"{path.name} has {row['_id']} twice.")
        rows[row["_id"]] = row
    return rows


def _known(file: str, kind: str, named: Iterable[str], existing: Iterable[str], sentence: str) -> None:
    missing = set(named) - set(existing)
    if missing:
        raise Invalid(f"{file} names {len(missing)} {kind} that {sentence}, for instance {min(missing)}.")


def _all(judged: Judgements) -> set[str]:
    return set().union(*judged.values())


def _complaint(row: Row) -> Complaint:
    year = str(row.get("year") or "")
    vehicle = Vehicle(
        make=row.get("make") or None,
        model=row.get("model") or None,
        year=int(year) if year.isdigit() and 1900 < int(year) < 2100 else None,
    )
    components = row.get("components") or []
    return Complaint(
        Case(text=str(row.get("text") or ""), vehicle=vehicle),
        tuple(str(name) for name in components) if isinstance(components, list) else (),
    )


def _connected(judged: Iterable[Iterable[str]]) -> dict[str, str]:
    """Failure -> name of its group: failures that are right for the same complaint belong together."""
    parent: dict[str, str] = {}

    def find(failure: str) -> str:
        while parent.setdefault(failure, failure) != failure:
            failure = parent[failure]
        return failure

    for failures in judged:
        first = find(min(failures))
        for failure in failures:
            parent[find(failure)] = first
    return {failure: find(failure) for failure in list(parent)}
