"""Charts as SVG files of their own: readable in light and dark surroundings, and by those who cannot see them.

Pieces are drawn from their own upper left corner; `picture` puts them beside each other into one document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from markupsafe import Markup

STYLE = Markup(
    "svg{--ink:#1d2733;--soft:#5b6875;--rule:#d5dbe1;--back:#fff;--a:#0b5cad;--b:#b4540a;--c:#1a7f4b;"
    "background:var(--back);font:13px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e8edf2;--soft:#a3afbb;--rule:#3a4653;--back:#12181f;"
    "--a:#6fb3ff;--b:#ffab61;--c:#5fd39a}}"
    "text{fill:var(--ink)}.soft{fill:var(--soft)}.head{font-weight:600;font-size:15px}"
    ".end{text-anchor:end}.mid{text-anchor:middle}.rule{stroke:var(--rule)}.link{stroke:var(--rule);stroke-width:3}"
    ".ideal{stroke:var(--soft);stroke-dasharray:4 4}.span{stroke:var(--a);stroke-width:2}"
    ".a{fill:var(--a)}.b{fill:var(--b)}.c{fill:var(--c)}"
)
MARKS = (("a", "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"), ("b", "m0 -6l6 6l-6 6l-6 -6z"), ("c", "m-5 -5h10v10h-10z"))
"""Colour and outline of each series: the shape tells them apart for those to whom the colour does not."""
MARGIN, ROW = 16, 22


@dataclass(frozen=True, slots=True)
class Piece:
    width: int
    height: int
    content: Markup


@dataclass(frozen=True, slots=True)
class Observed:
    """A share seen in `count` cases where `expected` was foretold, with its interval; all from 0 to 1."""

    expected: float
    share: float
    low: float
    high: float
    count: int


def picture(title: str, description: str, pieces: Sequence[Piece]) -> str:
    """A whole SVG document. `description` says in words what is to be seen."""
    placed, across = Markup(""), MARGIN
    for piece in pieces:
        placed += Markup('<g transform="translate({} {})">{}</g>').format(across, MARGIN, piece.content)
        across += piece.width + 2 * MARGIN
    height = max((piece.height for piece in pieces), default=0) + 2 * MARGIN
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            'aria-labelledby="title desc"><title id="title">{title}</title><desc id="desc">{desc}</desc>'
            "<style>{style}</style>{placed}</svg>\n"
        ).format(w=across, h=height, title=title, desc=description, style=STYLE, placed=placed)
    )


def dots(
    heading: str, series: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]], *, width: int = 600
) -> Piece:
    """Shares from 0 to 1: a row for each label, with a mark for each of up to three series."""
    left, top = 190, 62
    room, bottom = width - left - MARGIN, top + ROW * len(rows)
    drawn = _text(0, 14, heading, "head")
    for position, name in enumerate(series):
        drawn += _mark(position, left + 90 * position, 38, name) + _text(left + 90 * position + 11, 43, name)
    for part in (0, 0.25, 0.5, 0.75, 1):
        x = round(left + room * part, 1)
        drawn += _line(x, top, x, bottom, "rule") + _text(x, bottom + 18, f"{part:g}", "mid soft")
    for number, (label, values) in enumerate(rows):
        middle = top + ROW * number + ROW // 2
        places = [round(left + room * value, 1) for value in values]
        drawn += _text(left - 12, middle + 4, label, "end")
        drawn += _line(min(places), middle, max(places), middle, "link")
        for position, (place, value, name) in enumerate(zip(places, values, series, strict=True)):
            drawn += _mark(position, place, middle, f"{label}, {name}: {value:.3f}")
    return Piece(width, bottom + 26, drawn)


def reliability(heading: str, observed: Sequence[Observed], *, size: int = 300) -> Piece:
    """What came true against what was foretold, with intervals; the area of a dot grows with its count.

    On the broken line every probability means what it says.
    """
    left, top = 46, 34
    drawn = _text(0, 14, heading, "head")
    for part in (0, 0.25, 0.5, 0.75, 1):
        x, y = round(left + size * part, 1), round(top + size * (1 - part), 1)
        drawn += _line(x, top, x, top + size, "rule") + _line(left, y, left + size, y, "rule")
        drawn += _text(x, top + size + 18, f"{part:g}", "mid soft") + _text(left - 8, y + 4, f"{part:g}", "end soft")
    drawn += _line(left, top + size, left + size, top, "ideal")
    most = max((one.count for one in observed), default=1)
    for one in observed:
        x, y, low, high = (
            round(place, 1)
            for place in (
                left + size * one.expected,
                top + size * (1 - one.share),
                top + size * (1 - one.low),
                top + size * (1 - one.high),
            )
        )
        said = f"foretold {one.expected:.2f}, true {one.share:.2f} ({one.low:.2f} to {one.high:.2f}), {one.count} cases"
        drawn += _line(x, low, x, high, "span")
        drawn += Markup('<circle cx="{}" cy="{}" r="{}" class="a"><title>{}</title></circle>').format(
            x, y, round(3 + 6 * sqrt(one.count / most), 1), said
        )
        drawn += _text(x + 11, y - 6, str(one.count), "soft")
    drawn += _text(left + size / 2, top + size + 38, "foretold probability; beside each dot, its cases", "mid soft")
    return Piece(left + size + 30, top + size + 46, drawn)


def _mark(position: int, x: float, y: float, said: str) -> Markup:
    kind, outline = MARKS[position]
    return Markup('<path d="M{} {}{}" class="{}"><title>{}</title></path>').format(x, y, outline, kind, said)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _text(x: float, y: float, text: str, kind: str = "") -> Markup:
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(x, y, kind, text)
