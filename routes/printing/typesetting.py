"""Setting a document in type: a Typst template, and data that it takes as text and never as markup.

The letters of Latin, Greek, Cyrillic and Devanagari come with the service; what else is asked for comes from the fonts
of the machine, if it has them.
"""

import asyncio
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import fontpkg
import typst

HERE = Path(__file__).parent
FAMILIES = ("Noto Sans", "Noto Sans Devanagari")
STANDARD = "ua-1"
"""PDF/UA-1: readable by a screen reader. It demands that every character has a glyph, by which we learn of those that
have none."""
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="typesetting")
"""A long card takes a processor for a second: two at once leave the others to those who look at pages."""
LONGEST_WORD = 40
_DIRECTING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_BREAK = "\u200b"


@cache
def _fonts(*, of_machine: bool) -> typst.Fonts:
    files = [Path(fontpkg.path(family)).parent for family in FAMILIES]
    return typst.Fonts(include_system_fonts=of_machine, font_paths=files)


async def typeset(template: str, data: dict[str, Any], *, gaps: str, fonts_of_machine: bool = True) -> bytes:
    """The document as an accessible PDF; `data` is what the template reads.

    Where a character has no glyph in any font, a box stands for it, and the template finds the sentence `gaps` under
    `notice`. Every text is made printable: see `printable`.
    """
    work = partial(_compile, template, printable(data), printable(gaps), fonts_of_machine)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)


def _compile(template: str, data: dict[str, Any], gaps: str, of_machine: bool) -> bytes:
    source, fonts = (HERE / template).read_bytes(), _fonts(of_machine=of_machine)

    def compiled(notice: str, **options: Any) -> bytes:
        inputs = {"data": json.dumps(data | {"notice": notice, "fonts": FAMILIES})}
        # Its root is this directory: nothing else of the machine can be read from a template.
        compiler = typst.Compiler(source, root=HERE, font_paths=fonts, sys_inputs=inputs)
        return compiler.compile(format="pdf", **options)

    try:
        return compiled("", pdf_standards=[STANDARD])
    except typst.TypstError as error:
        # What else the standard may want (a title of more than marks): a print without it is better than none.
        return compiled(gaps if "could not be displayed" in error.message else "")


def printable(value: Any) -> Any:
    """The same with every text as paper takes it: without control characters and marks that turn what follows around,
    and with places to break at in words that are longer than a line."""
    match value:
        case str():
            return _broken("".join(one for one in value if one == "\n" or _shows(one)))
        case dict():
            return {name: printable(one) for name, one in value.items()}
        case list() | tuple():
            return [printable(one) for one in value]
        case _:
            return value


def _shows(character: str) -> bool:
    return character not in _DIRECTING and unicodedata.category(character) not in ("Cc", "Cs")


def _broken(text: str) -> str:
    parts, run = [], 0
    for character in text:
        run = 0 if character.isspace() else run + 1
        # Never between a letter and the marks that belong to it.
        if run > LONGEST_WORD and unicodedata.category(character)[0] in "LNPS":
            parts.append(_BREAK)
            run = 1
        parts.append(character)
    return "".join(parts)
