"""A line chart with logarithmic axes as SVG: what grows by factors is read in factors."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 50, 50
COLOURS = ("#1b6ca8", "#c4551d", "#3d8b37", "#7a4ea3", "#8a6d1f", "#555555")

Points = Sequence[tuple[float, float]]


def line_chart(path: Path, title: str, x_name: str, y_name: str, lines: Mapping[str, Points]) -> None:
    """Writes the picture. All values must be positive; every line names itself at its end."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    x_range, y_range = (min(xs), max(xs)), (_decade(min(ys), math.floor), _decade(max(ys), math.ceil))

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + _share(x, x_range) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - _share(y, y_range) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_text(LEFT, 26, title, size=16), _text(LEFT, HEIGHT - 8, x_name), _text(8, 42, y_name)]
    for y in _steps(*y_range):
        (x1, y1), (x2, _) = at(x_range[0], y), at(x_range[1], y)
        parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y1:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, y1 + 4, _number(y), anchor="end"))
    for x in sorted(set(xs)):
        x1, y1 = at(x, y_range[0])
        parts.append(f'<line x1="{x1:.1f}" y1="{TOP}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="#eeeeee"/>')
        parts.append(_text(x1, y1 + 18, _number(x), anchor="middle"))
    labels: list[float] = []
    for (name, points), colour in zip(lines.items(), _cycle(len(lines)), strict=True):
        places = [at(x, y) for x, y in sorted(points)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        height = places[-1][1]
        while any(abs(height - other) < 15 for other in labels):
            height += 1
        labels.append(height)
        parts.append(_text(places[-1][0] + 10, height + 4, name, colour=colour))
    body = "\n".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' role="img" aria-label="{escape(title)}">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n',
        encoding="utf-8",
    )


def _share(value: float, within: tuple[float, float]) -> float:
    low, high = map(math.log10, within)
    return (math.log10(value) - low) / (high - low) if high > low else 0.5


def _decade(value: float, rounded: Callable[[float], int]) -> float:
    return 10.0 ** rounded(math.log10(value))


def _steps(low: float, high: float) -> list[float]:
    decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
    steps = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = "#222222") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
    )
