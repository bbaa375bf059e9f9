"""Spelling of owner text: a word that no card has, and that is no word of the trade either, read as a near one.

A word of 5 letters or more may be one edit away (a letter missing, added, changed, or two swapped; Damerau 1964), one
of 7 or more also two, if it then has the same consonants in the same order ("acelerater" is "accelerator"): owners
write as they speak. Words that owners commonly write right are never touched, even if no card has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

from matching.text import stem

LEAST_LETTERS, LEAST_FOR_TWO = 5, 7
MOST_LETTERS = 24
"""The work grows with the square of a word's length, and a longer one is no slip of the pen."""
TRUST = {1: 0.7, 2: 0.5}
"""Weight of a corrected word by its distance: the correction may be wrong."""

MOST_WORDS = 16
"""Words of one complaint that are looked up: each costs some tenth of a millisecond."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Correction:
    """The term a misspelt one is read as, and how far that is believed."""

    term: str
    trust: float

    @property
    def word(self) -> str:
        """The term as people write it."""
        return common_word(self.term)


class Words(Protocol):
    """A changing set of terms: `terms` only ever grows, what has gone out of use has frequency 0."""

    @property
    def terms(self) -> Sequence[str]: ...

    def frequency(self, term: str) -> int: ...


class Vocabulary:
    """What may be meant by a misspelt word. `follow` takes in what is new; what has gone is noticed by itself."""

    def __init__(self, words: Words) -> None:
        self._words = words
        # Terms of one skeleton in one string: most are alone, and then it is the term itself.
        self._skeletons: dict[str, str] = {}
        self._seen = 0

    def follow(self) -> None:
        """Takes in the terms that came since the last call."""
        for term in self._words.terms[self._seen :]:
            if len(term) >= LEAST_FOR_TWO - 1 and term.isascii() and term.isalpha():
                skeleton = _skeleton(term)
                others = self._skeletons.get(skeleton)
                self._skeletons[skeleton] = term if others is None else f"{others} {term}"
        self._seen = len(self._words.terms)

    def nearest(self, term: str) -> Correction | None:
        """The near term that begins alike and is commonest; None if the term is right or nothing is near."""
        if not can_be_misspelt(term):
            return None
        frequency = self._words.frequency
        # A short word has too many neighbours: it must at least begin alike.
        near = [other for other in _edits(term) if frequency(other) and (len(term) > 5 or other[0] == term[0])]
        apart = 1
        if not near and len(term) >= LEAST_FOR_TWO:
            alike = self._skeletons.get(_skeleton(term), "").split()
            near, apart = [other for other in alike if frequency(other) and distance(term, other) == 2], 2
        if not near:
            return None
        return Correction(max(near, key=lambda other: (other[0] == term[0], frequency(other), other)), TRUST[apart])


def can_be_misspelt(term: str) -> bool:
    """Whether a term may be read as another: a word of Latin letters, long enough, and not commonly written so."""
    return (
        LEAST_LETTERS <= len(term) <= MOST_LETTERS and term.isascii() and term.isalpha() and term not in _common_words()
    )


def common_word(term: str) -> str:
    """A term as people write it, as far as it is a common word: "charging" for "charg"."""
    return _common_words().get(term, term)


def is_common(term: str) -> bool:
    """Whether owners commonly write this word: then it names no person and no place that few know."""
    return term in _common_words()


def distance(one: str, other: str) -> int:
    """Optimal string alignment distance: insertions, deletions, changes and swaps of neighbours count 1 each."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


@lru_cache(maxsize=256)
def _edits(term: str) -> frozenset[str]:
    """Everything one edit away (Norvig 2007): some 450 strings for 8 letters, cheaper to try than to index."""
    parts = [(term[:i], term[i:]) for i in range(len(term) + 1)]
    found = {
        *(left + right[1:] for left, right in parts if right),
        *(left + right[1] + right[0] + right[2:] for left, right in parts if len(right) > 1),
        *(left + letter + right[1:] for left, right in parts if right for letter in _LETTERS),
        *(left + letter + right for left, right in parts for letter in _LETTERS),
    }
    return frozenset(found - {term})


def _skeleton(term: str) -> str:
    """First letter and the consonants after it, without repetition: what a slip in vowels or doubling leaves alone."""
    kept = term[0]
    for letter in term[1:]:
        if letter not in "aeiouy" and letter != kept[-1]:
            kept += letter
    return kept


@lru_cache(maxsize=1)
def _common_words() -> dict[str, str]:
    """Stems of the words that owners commonly write, each with its commonest form."""
    found: dict[str, str] = {}
    for word in files("matching.models").joinpath("owner_words.txt").read_text("utf-8").split():
        found.setdefault(stem(word), word)
    return found
