"""What differs between two versions, as people read it: the changed words marked within their text, no JSON."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from routes.texts import text, word
from services.knowledge.diff import Change, Difference

COMPUTED = re.compile(r"(diagnostic_tree\.)?(tree_id|total_paths|avg_path_length)|failure_signature\b.*")
"""Follows from the rest, and would only repeat it."""
ALIKE = 0.5
"""Share of words in common below which two texts stand side by side: their pieces would make no sense."""
MOST = 300
"""Words and spaces beyond which texts are not compared word by word: it takes more than the square of their number."""

SAME, OLD, NEW = "same", "old", "new"
Piece = tuple[str, str]
"""SAME, OLD or NEW, and the words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One difference: where, and what."""

    where: str
    pieces: list[Piece]


def readable(differences: Iterable[Difference]) -> list[Line]:
    """All of them but those in what the service works out itself."""
    return [Line(_where(one), list(_pieces(one))) for one in differences if _telling(one)]


def _telling(one: Difference) -> bool:
    moved_keywords = one.field == "keywords" and one.change is Change.moved
    return not (COMPUTED.fullmatch(one.field) or moved_keywords)


def _where(one: Difference) -> str:
    """`diagnostic_tree.nodes[q1].if_yes` as `diagnostic tree › q1 › if yes`."""
    steps = [found for found in re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", one.field) if found[1] != "nodes"]
    named = [key or word(name) for key, name in steps]
    # An element that came or went is its own name.
    named = named[:-1] if one.field.endswith("]") and not isinstance(one.old or one.new, dict) else named
    return " › ".join(filter(None, named))


def _pieces(one: Difference) -> Iterator[Piece]:
    old, new = _plain(one.old), _plain(one.new)
    if one.change is Change.moved:
        yield SAME, text("compare.moved")
    before, after = re.findall(r"\s+|\S+", old), re.findall(r"\s+|\S+", new)
    if not (isinstance(one.old, str) and isinstance(one.new, str)) or max(len(before), len(after)) > MOST:
        yield from ((kind, said) for kind, said in ((OLD, old), (NEW, new)) if said)
        return
    words_only = [[one for one in side if not one.isspace()] for side in (before, after)]
    if difflib.SequenceMatcher(None, *words_only, autojunk=False).ratio() < ALIKE:
        yield from ((kind, said) for kind, said in ((OLD, old), (NEW, new)) if said)
        return
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal":
            yield SAME, "".join(before[first:last])
            continue
        for side, words in ((OLD, before[first:last]), (NEW, after[start:end])):
            if words:
                yield side, "".join(words)


def _plain(value: Any) -> str:
    """A value in lines; what is empty in it is left out."""
    match value:
        case None:
            return ""
        case bool():
            return text("form.yes" if value else "form.no")
        case dict():
            shown = {name: _plain(one) for name, one in value.items() if not COMPUTED.fullmatch(name)}
            return "\n".join(f"{word(name)}: {said}" for name, said in shown.items() if said)
        case list():
            inner = "\n\n" if any(isinstance(one, dict) for one in value) else ", "
            return inner.join(filter(None, map(_plain, value)))
        case _:
            return str(value)
