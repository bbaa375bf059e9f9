"""When two checks are the same check: the identity of a test, and the limit that it compares with.

Two nodes ask the same if their questions agree but for case, articles, auxiliaries, punctuation, plural and the
spelling of units. Word order stays: "A above B" is not "B above A". A single comparison may point the other way: "is it
above 50 mV" is the same measurement as "is it below 50 mV" with the answers exchanged.
"""

import hashlib
import math
import re
from dataclasses import dataclass

from models.failure_card import DiagnosticNode
from services.units import in_base

_BELOW = r"below|under|less than|lower than|smaller than|at most|no more than"
_ABOVE = r"above|over|more than|higher than|greater than|at least|no less than"
_COMPARATOR = re.compile(rf"\b(?:({_BELOW})|({_ABOVE}))\b(?=\s*[-+−]?\d)")
_SEVERAL = re.compile(r"\b(?:and|or|but|while|with|without|not|never|no(?! (?:more|less) than))\b")
# "The spread between the highest and the lowest group" is one quantity.
_BETWEEN = re.compile(r"\bbetween\s+(?:[^\W\d_]+\s+){1,4}?and\b")
_LIMIT = re.compile(
    rf"\b(?P<word>{_BELOW}|{_ABOVE})\s*(?P<value>[-+−]?\d+(?:[.,]\d+)?)\s*(?P<unit>[^\W\d_]+(?:/[^\W\d_]+)?|%|°C|°F)?",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[-+−]?\d+(?:[.,]\d+)?|[^\W\d_]+|[%°⋚]")
_FILLERS = frozenset(
    "is are was were be been being do does did has have had the a an any there then please whether if can".split()  # noqa: SIM905
)
# A question that points back, or says too little by itself, means something only together with what is done.
_POINTS_BACK = frozenset(
    "it its they them this that these those still again same other both also so here".split()  # noqa: SIM905
)
_SAYS_ENOUGH = 5
_UNIT_WORDS = {
    "volt": "v", "volts": "v", "millivolt": "mv", "millivolts": "mv", "ampere": "a", "amperes": "a", "amp": "a",
    "amps": "a", "milliampere": "ma", "milliamperes": "ma", "ohm": "ω", "ohms": "ω", "Ω": "ω", "kohm": "kω",
    "mohm": "mω", "celsius": "c", "minute": "min", "minutes": "min", "second": "s", "seconds": "s", "hour": "h",
    "hours": "h", "percent": "%",
}  # fmt: skip

_SIGNED_BY_PROBES = ("V", "A")


@dataclass(frozen=True, slots=True)
class Limit:
    """The one comparison of a question with a number: "yes" is on the side that `above` names, and on the number itself
    where that is `included` ("at least", "at most")."""

    above: bool
    value: float
    unit: str
    included: bool = False


def identity(node: DiagnosticNode) -> tuple[str, bool]:
    """The stable id of the test that a node asks for, and whether "yes" here is "no" of the test.

    The test's own sense is "below"; a question that asks for "above" is inverted.
    """
    question = node.question.casefold()
    inverted = False
    found = list(_COMPARATOR.finditer(question))
    # The opposite of "A and B" is not "not A and not B": only a lone comparison may be turned round.
    if len(found) == 1 and not _SEVERAL.search(question):
        inverted = found[0][2] is not None
        question = f"{question[: found[0].start()]}⋚{question[found[0].end() :]}"
    words = _words(question)
    telling = [word for word in words if word not in _FILLERS]
    if len(telling) < _SAYS_ENOUGH or _POINTS_BACK & set(words):
        telling += ["|", *(word for word in _words(node.check_action.casefold()) if word not in _FILLERS)]
    digest = hashlib.sha256(" ".join(telling).encode()).hexdigest()[:20]
    return f"tst_{digest}", inverted


def _words(text: str) -> list[str]:
    words = []
    for token in _TOKEN.findall(text):
        word = _UNIT_WORDS.get(token, token).replace(",", ".").replace("−", "-")
        plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
        words.append(word[:-1] if plural else word)
    return words


def limit_of(question: str) -> Limit | None:
    """The number that a question compares with, None unless it compares exactly once."""
    found = list(_LIMIT.finditer(question))
    if len(found) != 1 or _SEVERAL.search(_BETWEEN.sub("", question.casefold())):
        return None
    match = found[0]
    above = re.fullmatch(_ABOVE, match["word"], re.IGNORECASE) is not None
    value = float(match["value"].replace(",", ".").replace("−", "-"))
    unit = match["unit"] or ""
    included = match["word"].casefold().startswith(("at ", "no "))
    return Limit(above, value, unit, included) if in_base(value, unit) is not None else None


def reading_says(limit: Limit, value: float, unit: str) -> bool | None:
    """Whether a reading answers the question with yes; None if its unit measures something else."""
    ours, theirs = in_base(limit.value, limit.unit), in_base(value, unit)
    if ours is None or theirs is None or ours[1] != theirs[1]:
        return None
    if math.isclose(theirs[0], ours[0]):  # 2500 mV are 2.5 V, whatever converting has rounded
        return limit.included
    return (theirs[0] > ours[0]) == limit.above


def sign_decides(limit: Limit, value: float, unit: str) -> bool:
    """Whether a voltage or a current answers otherwise than its size would: which it may, if only for swapped probes.

    A limit below zero asks for the sign, so there it is no matter of doubt.
    """
    found = in_base(value, unit)
    if found is None or found[1] not in _SIGNED_BY_PROBES or value >= 0 or limit.value < 0:
        return False
    return reading_says(limit, value, unit) != reading_says(limit, -value, unit)
