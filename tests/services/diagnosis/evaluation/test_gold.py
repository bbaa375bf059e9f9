"""Reading gold sets, whole and damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from services.diagnosis.evaluation.baseline import PlainBm25
from services.diagnosis.evaluation.gold import GoldSet

JUDGED = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The smallest gold set with everything in it."""
    query = {"_id": "q1", "text": "brake fades", "make": "ATHER", "year": "2021", "components": ["BRAKES"]}
    write(tmp_path / "queries.jsonl", query, {"_id": "q2", "text": "nobody has judged this"})
    write(tmp_path / "queries_nomatch.jsonl", {"_id": "n1", "text": "seat creaks", "model": "450X", "year": ""})
    write(tmp_path / "corpus.jsonl", *({"_id": f"c{n}"} for n in (1, 2, 3)))
    (tmp_path / "qrels.tsv").write_text(f"{JUDGED}q1\tc1\t2\nq1\tc2\t0\n")
    (tmp_path / "qrels_siblings.tsv").write_text(f"{JUDGED}q1\tc3\t1\n")
    return tmp_path


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_gold_set_is_read(folder: Path):
    read = GoldSet.read(folder)
    assert read.relevant == {"q1": {"c1"}}
    assert read.siblings == {"q1": {"c3"}}
    asked = read.answerable["q1"]
    assert (asked.case.text, asked.components) == ("brake fades", ("BRAKES",))
    assert (asked.case.vehicle.make, asked.case.vehicle.year) == ("ATHER", 2021)
    assert read.unanswerable["n1"].case.vehicle.year is None
    assert list(read.complaints) == ["q1", "n1"]


def test_siblings_distractors_and_complaints_without_a_failure_are_optional(folder: Path):
    (folder / "qrels_siblings.tsv").unlink()
    (folder / "queries_nomatch.jsonl").unlink()
    read = GoldSet.read(folder)
    assert not (read.siblings)
    assert not (read.unanswerable)
    assert not (read.distractors)


def test_complaints_that_share_a_failure_are_one_group(folder: Path):
    write(folder / "queries.jsonl", *({"_id": f"q{n}", "text": "brakes"} for n in (1, 2, 3)))
    (folder / "qrels.tsv").write_text(f"{JUDGED}q1\tc1\t1\nq1\tc2\t1\nq2\tc2\t1\nq3\tc3\t1\n")
    decisions = GoldSet.read(folder).decisions
    assert decisions["q1"].group == decisions["q2"].group != decisions["q3"].group
    assert decisions["n1"].relevant == frozenset()


def test_the_fingerprint_knows_the_complaints_whatever_their_order(folder: Path):
    read = GoldSet.read(folder)
    lines = (folder / "queries.jsonl").read_text().splitlines(keepends=True)
    (folder / "queries.jsonl").write_text("".join(reversed(lines)))
    assert GoldSet.read(folder).fingerprint == read.fingerprint
    (folder / "queries.jsonl").write_text("".join(lines).replace("fades", "fails"))
    assert GoldSet.read(folder).fingerprint != read.fingerprint


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("queries.jsonl", "{", "queries.jsonl is not JSON lines: line 1"),
        ("queries.jsonl", "[]\n", "queries.jsonl, line 1"),
        ("queries.jsonl", '{"_id":"q1"}\n{"_id":"q1"}\n', "queries.jsonl has q1 twice"),
        ("corpus.jsonl", '{"title": "nameless"}\n', "corpus.jsonl, line 1"),
        ("qrels.tsv", f"{JUDGED}q1\tc1\tmany\n", "qrels.tsv, line 2"),
        ("qrels.tsv", "query\tcorpus\nq1\tc1\n", "qrels.tsv, line 2"),
        ("qrels.tsv", f"{JUDGED}q1\tc9\t1\n", "qrels.tsv names 1 failures that the corpus lacks, for instance c9"),
        ("qrels.tsv", f"{JUDGED}q9\tc1\t1\n", "qrels.tsv names 1 complaints that queries.jsonl lacks, for instance q9"),
        ("qrels_siblings.tsv", f"{JUDGED}q1\tc9\t1\n", "qrels_siblings.tsv names 1 failures that the corpus lacks"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, file: str, text: str, complaint: str):
    (folder / file).write_text(text)
    with pytest.raises(Invalid, match=complaint):
        GoldSet.read(folder)


def test_bytes_that_are_no_text_are_named_with_their_file(folder: Path):
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "c1"}\n\xff\xfe')
    with pytest.raises(Invalid, match=r"corpus\.jsonl, after line \d: is not UTF-8"):
        GoldSet.read(folder)
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "c1"}\n{"_id": "c2"}\n{"_id": "c3"}\n')
    (folder / "qrels.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(Invalid, match=r"qrels\.tsv is not a table"):
        GoldSet.read(folder)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(Invalid, match=r"qrels\.tsv cannot be read"):
        GoldSet.read(tmp_path)


def test_a_set_without_any_judgement_is_refused(folder: Path):
    (folder / "qrels.tsv").write_text(JUDGED)
    (folder / "qrels_siblings.tsv").unlink()
    (folder / "queries_nomatch.jsonl").write_text("")
    with pytest.raises(Invalid, match="holds no judged complaint"):
        GoldSet.read(folder)


def test_plain_bm25_ranks_by_words_and_filters_by_exact_vehicle(folder: Path):
    vehicle = {"make": "ATHER", "model": "", "year": "2021"}
    texts = {"c1": "the brake fades", "c2": "brake fades, and brake fluid leaks", "c3": "horn is silent"}
    rows = [{"_id": id_, "text": text, "vehicles": [vehicle] if id_ != "c1" else []} for id_, text in texts.items()]
    plain, case = PlainBm25(rows), GoldSet.read(folder).answerable["q1"].case
    assert [id_ for id_, _ in plain.search(case, 10)] == ["c1", "c2"]
    assert [id_ for id_, _ in plain.search_vehicle(case, 10)] == ["c2"]
    assert plain.search(type(case)(text="the and of"), 10) == []
