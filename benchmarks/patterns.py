"""Pattern detection on simulated streams: after how many tickets an emerging failure is found, how often noise alarms,
and how long a run takes; beside a peer that counts unexplained tickets per model and code."""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.report import Figures, Report, percentile
from benchmarks.ticket_stream import Simulated, Stream, reports
from matching.emergence import scan

WINDOW, BASELINE = 30.0, 365.0
DAYS = int(WINDOW + BASELINE)
YOUNG = (int(WINDOW), int(1.5 * WINDOW))
"""Days since the first ticket of services that have no history, or half as much as they have in the window."""
TICKETS = 15
"""Of the emerging failure, within the window."""
FALSE_ALARM_LIMIT, DELAY_LIMIT = 0.05, 8

Detect = Callable[[Sequence[Simulated], float], list[set[int]]]
"""Numbers of the tickets in each group found on a day."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=int, default=24, help="streams of the quiet network; the busy one has a quarter"
    )
    parser.add_argument("--quiet", type=float, default=3.0, help="ordinary tickets a day")
    parser.add_argument("--busy", type=float, default=10.0, help="ordinary tickets a day")
    parser.add_argument("--window-tickets", type=int, default=10_000, help="for the time of a run")


def run(options: argparse.Namespace) -> Report:
    detectors: dict[str, Detect] = {"incidents": _ours, "3 per code": _counting(3)}
    detectors["8 per code"] = _counting(8)
    rows = {
        f"{name}, {per_day:g} a day": _measured(detect, seeds, per_day)
        for per_day, seeds in ((options.quiet, options.seeds), (options.busy, max(1, options.seeds // 4)))
        for name, detect in detectors.items()
    }
    for days in YOUNG:
        label = f"incidents, {options.quiet:g} a day, in its first {days} days"
        rows[label] = _measured(_ours, options.seeds, options.quiet, days=days)
    seconds, count = _timed(options.window_tickets)
    ours = {name: figures for name, figures in rows.items() if name.startswith("incidents")}
    passed = all((figures["noise %"] or 0) <= 100 * FALSE_ALARM_LIMIT for figures in ours.values()) and all(
        (figures["delay p50"] or TICKETS) <= DELAY_LIMIT for name, figures in ours.items() if "first" not in name
    )
    earlier = count - options.window_tickets
    notes = [
        f"Streams of {DAYS} days, 35 % of the ordinary tickets unexplained; {TICKETS} tickets of a new failure",
        f"within {WINDOW:g} days, 40 % of them with a code. delay: number of its tickets by which it is found.",
        "groups: as which it shows. strangers: other tickets in them. noise: runs without a failure that alarm.",
        "growth: the same, with three times as many tickets of every kind within the window; where there is a before.",
        f"A run over {count - earlier:,} tickets in the window and {earlier:,} before: {seconds:.1f} s processor time.",
        f"Required: noise in at most {FALSE_ALARM_LIMIT:.0%} of runs; with a history, found by ticket {DELAY_LIMIT}.",
    ]
    return Report("An emerging failure among ordinary tickets", rows, notes, passed)


def _measured(detect: Detect, seeds: int, per_day: float, *, days: int = DAYS) -> Figures:
    delays, strangers, groups, noise, growth = [], [], [], 0, 0
    for seed in range(seeds):
        stream = Stream(seed, per_day=per_day, days=days)
        ordinary = stream.ordinary()
        noise += bool(detect(ordinary, days))
        grown = Stream(seed, per_day=per_day / 2, days=days).ordinary(growth=3, growing_from=days - WINDOW)
        growth += bool(detect(grown, days))
        emerging = stream.emerging(TICKETS, start=days - WINDOW, within=WINDOW - 0.1, coded=0.4)
        delay, found = _delay(detect, ordinary, emerging, days)
        if delay is not None:
            delays.append(delay)
            true = {one.number for one in emerging}
            own = [group for group in found if group & true]
            groups.append(len(own))
            strangers.append(sum(len(group - true) for group in own))
    return {
        "found %": 100 * len(delays) / seeds,
        "delay p50": statistics.median(delays) if delays else None,
        "delay p90": percentile(delays, 0.9) if delays else None,
        "groups": statistics.mean(groups) if groups else None,
        "strangers": statistics.mean(strangers) if strangers else None,
        "noise %": 100 * noise / seeds,
        "growth %": 100 * growth / seeds if days > WINDOW else None,
    }


def _delay(
    detect: Detect, ordinary: Sequence[Simulated], emerging: Sequence[Simulated], days: int
) -> tuple[int | None, list[set[int]]]:
    """The number of tickets of the failure by which it is most of some group, and the groups at the end."""
    delay = None
    for number in range(3, len(emerging) + 1):
        now = emerging[number - 1].day + 1e-6
        true = {one.number for one in emerging[:number]}
        found = detect([*ordinary, *emerging[:number]], now)
        if any(2 * len(group & true) >= len(group) for group in found):
            delay = number
            break
    return delay, detect([*ordinary, *emerging], days)


def _ours(tickets: Sequence[Simulated], now: float) -> list[set[int]]:
    found = scan(list(reports(list(tickets), now=now, window=WINDOW, baseline=BASELINE)))
    return [{int(key) for key in cluster.keys} for cluster in found.clusters]


def _counting(least: int) -> Detect:
    """Alarms from `least` unexplained tickets on that have model and code in common."""

    def detect(tickets: Sequence[Simulated], now: float) -> list[set[int]]:
        current = [one for one in tickets if now - WINDOW <= one.day < now and one.unexplained]
        counts = Counter((one.make, one.model, code) for one in current for code in one.codes)
        return [
            {one.number for one in current if (one.make, one.model) == (make, model) and code in one.codes}
            for (make, model, code), count in counts.items()
            if count >= least
        ]

    return detect


def _timed(in_window: int) -> tuple[float, int]:
    """Seconds of processor time for one run, and the number of tickets it was about."""
    before = 2 * in_window
    days = int(WINDOW) * 3
    tickets = Stream(1, per_day=in_window / WINDOW, days=days).ordinary()
    everything = list(reports(tickets, now=days, window=WINDOW, baseline=before / (in_window / WINDOW)))
    started = time.process_time()
    scan(everything)
    return time.process_time() - started, len(everything)
