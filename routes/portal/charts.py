"""Charts, drawn as SVG: no script, and every number that they show stands in the page as text as well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from markupsafe import Markup

BAR_HEIGHT = 26
WIDTH = 420
"""Wide enough for a table's column, and so narrow that a phone shows its words in a size that can be read."""
LABEL_WIDTH = 110
VALUE_WIDTH = 60
NOTABLE = 0.005
"""Moves of a probability below half a point are not shown."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `kind` is the class of its colour in the stylesheet."""

    label: str
    value: float
    kind: str = "plain"
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One upright bar, put together of parts from the bottom up: the class of each part's colour, and its value."""

    label: str
    parts: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Foretold:
    """What came true (`share`, with its interval) of `count` cases that were foretold with this mean probability."""

    mean: float
    share: float
    low: float
    high: float
    count: int


def bars(title: str, entries: Sequence[Bar], *, top: float = 0.0, value_width: int = VALUE_WIDTH) -> Markup:
    """Horizontal bars from zero to `top`, by default the largest value; what they show needs `value_width`."""
    top = top or max((entry.value for entry in entries), default=0) or 1
    room = WIDTH - LABEL_WIDTH - value_width
    drawn = Markup("").join(
        Markup(
            '<text x="{}" y="{}" class="label">{}</text><rect x="{}" y="{}" width="{}" height="{}" class="bar {}"/>'
            '<text x="{}" y="{}">{}</text>'
        ).format(
            LABEL_WIDTH - 10,
            row * BAR_HEIGHT + 17,
            entry.label,
            LABEL_WIDTH,
            row * BAR_HEIGHT + 4,
            round(room * entry.value / top, 1),
            BAR_HEIGHT - 8,
            entry.kind,
            round(LABEL_WIDTH + room * entry.value / top + 6, 1),
            row * BAR_HEIGHT + 17,
            entry.shown or f"{entry.value:g}",
        )
        for row, entry in enumerate(entries)
    )
    return _picture(title, WIDTH, len(entries) * BAR_HEIGHT + 4, drawn)


def line(title: str, points: Sequence[tuple[str, float]], *, top: float = 1.0) -> Markup:
    """A line over equally spaced points from 0 to `top`; the first and the last carry their label."""
    width, height, left, bottom = 400, 150, 40, 24
    if len(points) < 2:
        return Markup("")
    room, floor = width - left - 10, height - bottom
    places = [
        (left + room * n / (len(points) - 1), 10 + (floor - 10) * (1 - min(value / top, 1)))
        for n, (_, value) in enumerate(points)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    grid = _steps(left, width - 10, 10, floor, lambda part: f"{top * part:.0%}")
    ends = _ends(left, width - 10, height - 4, points[0][0], points[-1][0])
    return _picture(title, width, height, grid + Markup('<polyline points="{}" class="line"/>').format(path) + ends)


def _steps(left: float, right: float, top: float, floor: float, label: Callable[[float], str]) -> Markup:
    """Lines across at nothing, half and all, with what they stand for."""
    return Markup("").join(
        Markup(
            '<line x1="{}" x2="{}" y1="{}" y2="{}" class="grid"/><text x="{}" y="{}" class="label">{}</text>'
        ).format(left, right, y, y, left - 6, y + 4, label(part))
        for part in (0, 0.5, 1)
        for y in (round(top + (floor - top) * (1 - part), 1),)
    )


def _ends(left: float, right: float, y: float, first: str, last: str) -> Markup:
    return Markup('<text x="{}" y="{}">{}</text><text x="{}" y="{}" class="label">{}</text>').format(
        left, y, first, right, y, last
    )


def columns(title: str, entries: Sequence[Column]) -> Markup:
    """Upright bars of counts side by side; the first and the last carry their label."""
    height, left, bottom = 180, 40, 24
    highest = max((sum(value for _, value in entry.parts) for entry in entries), default=0)
    top = max(2 * ceil(highest / 2), 2)  # so that half of it is a count, too
    room, step = height - bottom - 10, (WIDTH - left) / max(len(entries), 1)
    drawn = _steps(left, WIDTH, 10, height - bottom, lambda part: f"{top * part:.0f}")
    for number, entry in enumerate(entries):
        floor = float(height - bottom)
        for kind, value in entry.parts:
            tall = room * value / top
            floor -= tall
            drawn += Markup('<rect x="{}" y="{}" width="{}" height="{}" class="bar {}"/>').format(
                round(left + step * (number + 0.15), 1), round(floor, 1), round(step * 0.7, 1), round(tall, 1), kind
            )
    if entries:
        drawn += _ends(left, WIDTH, height - 4, entries[0].label, entries[-1].label)
    return _picture(title, WIDTH, height, drawn)


def swatch(kind: str) -> Markup:
    """A colour of a chart, for the word beside it."""
    return Markup(
        '<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" class="bar {}"/></svg>'
    ).format(kind)


def reliability(title: str, across: str, upwards: str, observed: Sequence[Foretold]) -> Markup:
    """What came true against what was foretold, both from 0 to 1; on the broken line probabilities mean what they say.

    The area of a dot grows with its cases, whose number stands beside it.
    """
    left, top, size = 52, 32, 300
    floor = top + size
    drawn = _steps(left, left + size, top, floor, lambda part: f"{part:.0%}")
    for part in (0, 0.5, 1):
        drawn += Markup('<text x="{}" y="{}" class="middle">{}</text>').format(
            left + size * part, floor + 16, f"{part:.0%}"
        )
    drawn += Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="ideal"/>').format(left, floor, left + size, top)
    most = max((one.count for one in observed), default=1)
    for one in observed:
        x, y, low, high = (
            round(place, 1)
            for place in (left + size * one.mean, *(floor - size * value for value in (one.share, one.low, one.high)))
        )
        drawn += Markup(
            '<line x1="{x}" x2="{x}" y1="{low}" y2="{high}" class="range"/><circle cx="{x}" cy="{y}" r="{r}" '
            'class="dot"/><text x="{beside}" y="{y}">{count}</text>'
        ).format(
            x=x, y=y, low=low, high=high, r=round(3 + 6 * (one.count / most) ** 0.5, 1), beside=x + 11, count=one.count
        )
    drawn += Markup('<text x="{}" y="{}" class="middle">{}</text><text x="0" y="12">{}</text>').format(
        left + size / 2, floor + 34, across, upwards
    )
    return _picture(title, left + size + 40, floor + 40, drawn)


def interval(mean: float, low: float, high: float, title: str) -> Markup:
    """A share as a dot with its interval, on a scale from 0 to 1."""
    width, middle = 120, 8
    return Markup(
        '<svg class="interval" viewBox="0 0 {w} 16" role="img" aria-label="{title}"><line x1="0" x2="{w}" y1="{m}" '
        'y2="{m}" class="grid"/><line x1="{low}" x2="{high}" y1="{m}" y2="{m}" class="range"/>'
        '<circle cx="{mean}" cy="{m}" r="4" class="dot"/></svg>'
    ).format(
        w=width,
        m=middle,
        title=title,
        low=round(low * width, 1),
        high=round(high * width, 1),
        mean=round(4 + mean * (width - 8), 1),
    )


def shift(before: float, now: float) -> Markup:
    """A probability as a bar, with a mark where it stood before. The numbers stand beside it."""
    mark = Markup('<rect x="{}" width="2" height="10" class="mark"/>').format(round(118 * before, 1))
    return Markup(
        '<svg class="shift" viewBox="0 0 120 10" aria-hidden="true"><rect width="120" height="10" class="track"/>'
        '<rect width="{}" height="10" class="bar"/>{}</svg>'
    ).format(round(120 * now, 1), mark if abs(now - before) >= NOTABLE else "")


def _picture(title: str, width: int, height: int, content: Markup) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, content
    )
