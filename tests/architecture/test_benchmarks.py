"""Every benchmark can be called, says what it measures, and shows the figures that it writes."""

import argparse
import importlib
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import __main__ as runner
from benchmarks.report import Report, milliseconds, percentile


@pytest.mark.parametrize("name", sorted(runner.BENCHMARKS))
def test_a_benchmark_has_a_summary_options_and_a_run(name: str):
    module = importlib.import_module(f"benchmarks.{name}")
    module.add_options(argparse.ArgumentParser())
    assert callable(module.run)
    assert module.__doc__


def test_percentiles_are_values_that_were_measured():
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([3.0], 0.99)) == (50, 99, 3)
    assert milliseconds([0.001, 0.003]) == {"n": 2, "p50 ms": 1, "p99 ms": 3, "max ms": 3}


def test_figures_written_are_the_figures_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """A small run of a real benchmark, with its peer."""
    written = tmp_path / "figures.json"
    assert runner.main(["match_small", "--cards", "30", "--queries", "20", "--json", str(written)]) in (0, 1)
    figures = json.loads(written.read_text())
    assert figures["benchmark"] == "match_small"
    assert "rank-bm25: words only" in figures["rows"]
    shown = capsys.readouterr().out
    for label, row in figures["rows"].items():
        assert label in shown
        assert f"{row['p50 ms']:,.2f}" in shown


def test_a_graph_that_was_kept_is_measured_again_and_no_other_is_put_in_its_place(tmp_path: Path, capsys):
    def run(edges: int) -> int:
        return runner.main(["graph", "--edges", str(edges), "--queries", "2", "--folder", str(tmp_path)])

    assert run(5000) in (0, 1)
    assert "edges are written" in capsys.readouterr().err
    assert run(5000) in (0, 1)
    again = capsys.readouterr()
    assert "edges are written" not in again.err
    assert "peer: networkx" in again.err
    with pytest.raises(ValueError, match="another graph"):
        run(6000)


def test_one_row_is_shown_upright():
    console = Console(record=True, width=60)
    Report("title", {"ours": {"first figure": 1, "second figure": None}}).show(console)
    shown = console.export_text()
    assert "first figure" in shown
    assert "–" in shown
