"""Charts, drawn as SVG: no script, and every number that they show stands in the page as text as well."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

BAR_HEIGHT = 26
WIDTH = 640
LABEL_WIDTH = 150
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


def bars(title: str, entries: Sequence[Bar]) -> Markup:
    """Horizontal bars from zero, the largest as long as there is room."""
    top = max((entry.value for entry in entries), default=0) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
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
    grid = Markup("").join(
        Markup(
            '<line x1="{}" x2="{}" y1="{}" y2="{}" class="grid"/><text x="{}" y="{}" class="label">{}</text>'
        ).format(left, width - 10, y, y, left - 6, y + 4, f"{top * part:.0%}")
        for part in (0, 0.5, 1)
        for y in (round(10 + (floor - 10) * (1 - part), 1),)
    )
    ends = Markup('<text x="{}" y="{}">{}</text><text x="{}" y="{}" class="label">{}</text>').format(
        left, height - 4, points[0][0], width - 10, height - 4, points[-1][0]
    )
    return _picture(title, width, height, grid + Markup('<polyline points="{}" class="line"/>').format(path) + ends)


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
