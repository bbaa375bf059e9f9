"""Text to terms: what owners, technicians and makers write, evened out so that the same fault meets itself.

One analyser serves cards and complaints alike. It folds Unicode, joins numbers with their units ("48 v" is "48v"),
maps domain abbreviations and phrases to one term ("state of charge" is "soc"), drops function words and call-centre
boilerplate, and strips English inflection. Scripts without spaces are cut into pairs of characters.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from matching.vocabulary import BOILERPLATE, PHRASES, STOP_WORDS, SYNONYMS

MAX_CHARACTERS = 200_000
"""Longer text is cut: far above any complaint, and it bounds the work of one match."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
# Combining marks belong to their word (Devanagari vowels, accents); \w alone would split there.
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e31-\u0e4e])*(?:'[^\W_]{1,2}(?![^\W_]))?")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_UNITS = (
    "v|volts?|kv|mv|a|amps?|amperes?|ma|kw|w|watts?|kwh|wh|ah|mah|nm|hz|khz|rpm|km|kms|kph|kmh|mph|psi|bar|kpa"
    "|ohms?|kohms?|mohms?|celsius|c|f|degrees?|percent|pct"
)
_NUMBER_UNIT = re.compile(rf"(?<![\w.])(\d+(?:[.,]\d+)?)\s*-?\s*({_UNITS})\b")
_UNIT_NAMES = {
    "volt": "v", "volts": "v", "amp": "a", "amps": "a", "ampere": "a", "amperes": "a", "watt": "w", "watts": "w",
    "kms": "km", "kmh": "kph", "ohms": "ohm", "celsius": "c", "degree": "deg", "degrees": "deg", "percent": "pct",
}  # fmt: skip
_SYMBOLS = (
    ("%", " percent "),
    ("°c", " celsius "),
    ("°f", " f "),
    ("km/h", " kph "),
    ("kω", " kohm "),
    ("mω", " mohm "),
    ("ω", " ohm "),
    ("a/c", " hvac "),
)

_LONGEST_PHRASE: dict[str, int] = {}
"""First word of a phrase -> the number of words of the longest phrase that begins so."""
for _phrase in map(str.split, PHRASES):
    _LONGEST_PHRASE[_phrase[0]] = max(len(_phrase), _LONGEST_PHRASE.get(_phrase[0], 0))


def fold(text: str) -> str:
    """Compatibility-normalised, case-folded text without control characters, accents of Latin letters removed."""
    text = _CONTROL.sub(" ", unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])).casefold().replace("’", "'")
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", decomposed))


def words(text: str) -> list[str]:
    """Folded words with units joined to their numbers; no word dropped, no inflection stripped."""
    text = fold(text)
    for symbol, name in _SYMBOLS:
        text = text.replace(symbol, name)
    text = _NUMBER_UNIT.sub(lambda match: f"{match[1].replace(',', '.')}{_UNIT_NAMES.get(match[2], match[2])} ", text)
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = match[0].split("'")[0]
        if _UNSPACED.match(word):
            found.extend(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            found.append(word)
    return found


def terms(text: str) -> list[str]:
    """The index terms of a text, in order, repetitions kept."""
    return [term for term, _ in spelled_terms(text)]


def spelled_terms(text: str) -> list[tuple[str, str]]:
    """The index terms of a text, each with the folded words it stands for."""
    found: list[tuple[str, str]] = []
    tokens = words(text)
    position = 0
    while position < len(tokens):
        longest = _LONGEST_PHRASE.get(tokens[position], 0)
        for length in range(min(longest, len(tokens) - position), 1, -1):
            phrase = PHRASES.get(" ".join(tokens[position : position + length]))
            if phrase is not None:
                found.append((_term(phrase), " ".join(tokens[position : position + length])))
                position += length
                break
        else:
            if (word := tokens[position]) not in STOP_WORDS:
                found.append((_term(word), word))
            position += 1
    return found


def keywords(text: str, limit: int = 25) -> tuple[str, ...]:
    """The most telling terms of a text: most frequent first, then in order; no bare numbers, no boilerplate."""
    counts = Counter(filter(is_keyword, terms(text)))
    return tuple(term for term, _ in counts.most_common(limit))


def is_keyword(term: str) -> bool:
    """Whether a term may serve as a keyword: no bare number, no single letter, no boilerplate."""
    return len(term) > 1 and term not in _BOILERPLATE_TERMS and not term.isdigit()


def keyword_terms(phrases: Iterable[str]) -> frozenset[str]:
    """Terms of given keywords, which may be phrases ("DC-DC converter")."""
    return frozenset(term for phrase in phrases for term in terms(phrase))


@lru_cache(maxsize=65536)
def _term(word: str) -> str:
    root = stem(word)
    return _STEMMED_SYNONYMS.get(root, root)


def stem(word: str) -> str:
    """The word without English inflection (plural, -ed, -ing), cautious: three letters with a vowel always remain."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    word = _strip_plural(word)
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and not word.endswith("eed"):
            root = word[: -len(suffix)]
            if len(root) >= 3 and re.search(r"[aeiouy]", root):
                return _repair(root)
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _strip_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _repair(root: str) -> str:
    """Roots meet their base form: doubled consonants shrink ("stopp"), the mute e is gone from both ("charg")."""
    if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeioulszf":
        return root[:-1]
    return root


_STEMMED_SYNONYMS = {stem(wording): stem(term) for wording, term in SYNONYMS.items()}
_BOILERPLATE_TERMS = frozenset(_term(word) for word in BOILERPLATE)
