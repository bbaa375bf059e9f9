"""Runs one benchmark, prints its table with the peers beside it, and writes the same figures as JSON if asked to."""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

from benchmarks.report import Report

BENCHMARKS = {
    "ticket_to_suggestions": "From POST /api/tickets until the suggestions are stored, 1,000 cards.",
    "match_small": "One match among 1,000 cards.",
    "match": "One match among 1,000 to 1,000,000 cards: the cost curve, with and without embedding the complaint.",
    "match_http": "POST /api/efi/match at eight clients: rate and latency, beside a bare endpoint.",
    "keyword": "The keyword engine beside rank-bm25, bm25s and tantivy on the same texts, with rank parity.",
    "vectors": "The vector engine beside numpy, with recall.",
    "restart": "A restart of the service with 10,000 and 100,000 cards: with the saved index, and without it.",
    "duplicates": "Near duplicates of cards: how well they are told from others, and the time among 10,000 cards.",
    "import_tickets": "26,000 owner complaints as tickets: rate, and memory on the way.",
    "page_load": "The first load of the portal's pages on a slow phone: bytes, requests, first paint.",
    "page_rate": "Views of the technician's workbench per second and process, beside a bare page.",
    "patterns": "An emerging failure among ordinary tickets: delay, false alarms, and the time at 10,000 tickets.",
    "crash": "kill -9 at random instants during a mixed load: lost and doubled effects.",
    "sync": "Cards from one service to an empty one; with --soak, two services that sync both ways under edits.",
    "knowledge_health": "Cards due for review: the timer's rounds, the list and the summary, 10,000 and 100,000 cards.",
    "next_test": "The next test of a guided diagnosis: 50 candidate cards, 300 tests.",
    "graph": "A knowledge graph of a million edges: neighbourhoods, ways, cards behind symptoms.",
    "repair_cost": "Simulated cost to the right repair: guided, by probability alone, by the best card's fixed tree.",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, summary in BENCHMARKS.items():
        own = names.add_parser(name, help=summary, description=summary)
        own.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
        importlib.import_module(f"benchmarks.{name}").add_options(own)
    options = parser.parse_args(arguments)
    report: Report = importlib.import_module(f"benchmarks.{options.name}").run(options)
    report.show()
    if options.json is not None:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
        written = {"benchmark": options.name, "on": machine, **report.as_json()}
        options.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
