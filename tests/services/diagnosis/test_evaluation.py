"""Figures of a scorer on judged complaints, worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from matching import Case
from services.diagnosis import evaluation
from services.diagnosis.evaluation import GoldSet, _Answer, _figures


def answer(ranking: str, score: float, *, right: bool = False, probability: float | None = None) -> _Answer:
    return _Answer(list(ranking), score, score, probability, right)


def gold(relevant: dict[str, str], others: str = "") -> GoldSet:
    return GoldSet(
        answerable={query: Case(query) for query in relevant},
        relevant={query: frozenset(cards) for query, cards in relevant.items()},
        ignored={},
        unanswerable={query: Case(query) for query in others},
    )


def test_the_figures_of_three_rankings():
    found = {
        "p": answer("abc", 0.9, right=True),
        "q": answer("xya", 0.6),
        "r": answer("", 0.0),
        "n": answer("z", 0.95),
        "o": answer("z", 0.1),
    }
    figures = _figures(gold({"p": "a", "q": "a", "r": "a"}, "no"), found)
    assert figures.hit_1 == pytest.approx(1 / 3)
    assert figures.hit_3 == pytest.approx(2 / 3)
    assert figures.hit_10 == pytest.approx(2 / 3)
    assert figures.mrr == pytest.approx((1 + 1 / 3) / 3)
    assert figures.ndcg_10 == pytest.approx((1 + 1 / 2) / 3)
    # Of the six pairs of a known and an unknown one, q and p beat o only.
    assert figures.auroc_nomatch == pytest.approx(2 / 6)
    assert figures.ece is None
    # One of the two unknown ones scores as high as the only right answer.
    assert (figures.fools_typical, figures.fools_most) == (0.5, 0.5)


def test_calibration_counts_every_top_answer_and_unanswerable_ones_as_wrong():
    found = {
        "p": answer("a", 0.9, right=True, probability=0.9),
        "n": answer("z", 0.9, probability=0.9),
    }
    assert _figures(gold({"p": "a"}, "n"), found).ece == pytest.approx(0.4)


def test_what_cannot_be_computed_is_null():
    figures = _figures(gold({}), {})
    assert set(figures.as_json()) == {"hit@1", "hit@3", "hit@10", "mrr", "ndcg@10", "auroc_nomatch", "ece"}
    assert set(figures.as_json().values()) == {None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The smallest gold set with everything in it."""
    write(tmp_path / "queries.jsonl", {"_id": "q1", "text": "brake fades", "make": "ATHER", "year": "2021"})
    write(tmp_path / "queries_nomatch.jsonl", {"_id": "n1", "text": "seat creaks", "model": "450X", "year": ""})
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tc1\t2\nq1\tc2\t0\n")
    (tmp_path / "qrels_siblings.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tc3\t1\n")
    return tmp_path


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_gold_set_is_read(folder: Path):
    read = GoldSet.read(folder)
    assert read.relevant == {"q1": {"c1"}}
    assert read.ignored == {"q1": {"c3"}}
    assert read.answerable["q1"].text == "brake fades"
    assert (read.answerable["q1"].vehicle.make, read.answerable["q1"].vehicle.year) == ("ATHER", 2021)
    assert read.unanswerable["n1"].vehicle.year is None


def test_siblings_and_complaints_without_a_failure_are_optional(folder: Path):
    (folder / "qrels_siblings.tsv").unlink()
    (folder / "queries_nomatch.jsonl").unlink()
    read = GoldSet.read(folder)
    assert not read.ignored
    assert not read.unanswerable


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("queries.jsonl", "{", "queries.jsonl is not JSON lines"),
        ("queries.jsonl", "[]\n", "queries.jsonl, line 1"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tc1\tmany\n", "qrels.tsv, line 2"),
        ("qrels.tsv", "query\tcorpus\nq1\tc1\n", "qrels.tsv, line 2"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(folder: Path, file: str, text: str, complaint: str):
    (folder / file).write_text(text)
    with pytest.raises(Invalid, match=complaint):
        GoldSet.read(folder)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(Invalid, match=r"qrels\.tsv cannot be read"):
        GoldSet.read(tmp_path)


def test_the_corpus_must_have_ids(tmp_path: Path):
    write(tmp_path / "corpus.jsonl", {"title": "nameless"})
    with pytest.raises(Invalid, match=r"corpus\.jsonl, line 1"):
        list(evaluation.read_rows(tmp_path / "corpus.jsonl"))
