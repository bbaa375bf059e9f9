"""`efi evaluate` on a small gold set, in a process of its own, as people call it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.enums import SourceType, SubsystemCategory
from seeds.gold import content_of

ROOT = Path(__file__).parents[2]
FIGURES = {"hit@1", "hit@3", "hit@10", "mrr", "ndcg@10", "auroc_nomatch", "ece", "brier", "abstention"}
CHANNELS = {"exact", "signature", "overlap", "keyword", "semantic", "vehicle", "graph"}
Efi = Callable[..., subprocess.CompletedProcess[str]]


def corpus() -> list[dict[str, Any]]:
    """Five failures that share no telling word."""
    texts = {
        "20V001000": "The brake caliper may seize and the pads overheat while driving.",
        "20V002000": "Water may enter the charging inlet and corrode the latch.",
        "20V003000": "The seat belt pretensioner may not deploy in a crash.",
        "20V004000": "Software may shut the inverter down without warning.",
        "20V005000": "The rear lamp may go dark.",
    }
    return [
        {
            "_id": id_,
            "title": "MAKER",
            "component": "SERVICE BRAKES",
            "text": f"SERVICE BRAKES. {text}",
            "remedy": "Dealers replace the part.",
            "manufacturer": "Maker",
            "report_date": "2020-01-02",
            "vehicles": [{"make": "MAKER", "model": "ONE", "year": "2019"}],
        }
        for id_, text in texts.items()
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    queries = {
        "q1": ("brake caliper seized, pads very hot", "20V001000"),
        "q2": ("corroded latch of the charging inlet", "20V002000"),
    }
    rows = [
        {"_id": id_, "text": text, "make": "MAKER", "model": "ONE", "year": "2019"}
        for id_, (text, _) in queries.items()
    ]
    write(tmp_path / "corpus.jsonl", corpus()[:4])
    write(tmp_path / "corpus_extra.jsonl", corpus()[4:])
    write(tmp_path / "queries.jsonl", rows)
    write(tmp_path / "queries_nomatch.jsonl", [{"_id": "n1", "text": "paint peels off the bonnet"}])
    judged = "".join(f"{id_}\t{right}\t2\n" for id_, (_, right) in queries.items())
    (tmp_path / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return tmp_path


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sentence model is built, once for all tests."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def efi(data_dir: Path) -> Efi:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "app.cli", *arguments]
        environment = {**os.environ, "EFI_DATA_DIR": str(data_dir), "COLUMNS": "200", "EFI_EMBEDDER": "hashing"}
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False, env=environment
        )

    return run


def test_figures_are_shown_and_written_for_every_method(efi: Efi, folder: Path, tmp_path: Path):
    written, drawn = tmp_path / "figures.json", tmp_path / "figures.svg"
    ran = efi("evaluate", str(folder), "--extra", "--json", str(written), "--svg", str(drawn))
    assert ran.returncode == 0, ran.stderr
    results = json.loads(written.read_text())
    for scorer in ("calibrated", "efi_v2"):
        figures = results[scorer]
        assert figures.keys() >= FIGURES
        assert figures["hit@1"] == figures["mrr"] == figures["ndcg@10"] == 1
        assert figures["auroc_nomatch"] == 1
    assert results["efi_v2"]["ece"] is None
    assert 0 <= results["calibrated"]["ece"] <= 1
    assert results["default"] in results
    assert results["methods"].keys() >= {"bm25", "bm25_vehicle", *CHANNELS, "efi_v2", "calibrated"}
    assert results["methods"]["keyword"]["hit@1"] == results["methods"]["bm25_vehicle"]["hit@1"] == 1
    assert (results["gold"]["failures"], results["gold"]["distractors"]) == (4, 1)
    assert "nDCG@10" in ran.stdout
    assert drawn.read_text().startswith("<svg")


def test_one_scorer_can_be_asked_alone(efi: Efi, folder: Path, tmp_path: Path):
    written = tmp_path / "figures.json"
    ran = efi("evaluate", "--gold", str(folder), "--scorer", "efi_v2", "--json", str(written))
    assert ran.returncode == 0, ran.stderr
    results = json.loads(written.read_text())
    assert "calibrated" not in results
    assert results["efi_v2"]["hit@1"] == 1
    assert results["gold"]["distractors"] == 0
    ran = efi("evaluate", str(folder), "--scorer", "horoscope")
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("There is no scorer horoscope; choose among calibrated, efi_v2.")


def test_a_file_that_cannot_be_written_is_refused_before_the_work(efi: Efi, folder: Path, tmp_path: Path):
    ran = efi("evaluate", str(folder), "--json", str(tmp_path / "none" / "figures.json"))
    assert ran.returncode == 2
    assert "there is no folder" in ran.stderr
    assert efi("evaluate").returncode == 2


def test_a_folder_that_does_not_fit_together_is_refused_in_a_sentence(efi: Efi, folder: Path):
    with (folder / "qrels.tsv").open("a") as lines:
        lines.write("q1\t99V999000\t1\n")
    ran = efi("evaluate", "--gold", str(folder))
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("qrels.tsv names 1 failures that the corpus lacks, for instance 99V999000.")


def test_a_row_of_the_corpus_becomes_the_card_that_the_importer_would_make():
    card = content_of(corpus()[0])
    assert card.subsystem_category is SubsystemCategory.brakes
    assert card.source_type is SourceType.oem_input
    assert "caliper may seize" in card.symptom_text
    assert "SERVICE BRAKES." not in card.description
    assert card.resolution_summary == "Dealers replace the part."
    (vehicle,) = card.vehicle_models
    assert (vehicle.make, vehicle.model, vehicle.year_from, vehicle.year_to) == ("MAKER", "ONE", 2019, 2019)


def test_a_bare_row_becomes_a_card_too():
    assert content_of({"_id": "20V001000", "title": "Rear lamp goes dark"}).description == "Rear lamp goes dark"
