"""Phrases in which people say what a vehicle does: short runs of telling words, as candidates for the symptom library.

Pure functions. Nothing that may name a person or a vehicle gets through: no digits, no addresses, no capitalised word
within a sentence that the trade does not know, nothing that the caller says is private.
"""

import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from matching.language import telling
from matching.text import fold, terms
from matching.vocabulary import BOILERPLATE, STOP_WORDS

LONGEST = 3
"""Telling words of a phrase; the shortest has two: single words are too vague to accept."""
MOST_PER_TEXT = 12
"""The best phrases of one text; the rest of a long story is repetition."""
RAREST = 0.01
"""Share below which `matching.language` does not tell words apart."""
LEAST_TELLING = 0.45
"""Weight of a word in complaints (`matching.language`) below which it says nothing by itself: "vehicle", "driving"."""

_CLAUSE = re.compile(r"[.!?;:,()\[\]\n\r\t\"“”|*]+|\s[-–—/]+\s")
_ADDRESS = re.compile(r"\S*(?:@|://|www\.)\S*")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LINK_WORDS = """
of in from to at on under over with while when after during the a an is are was not no wont cannot doesnt does
did do will would gets got goes its my by into
"""
_LINKS = frozenset(_LINK_WORDS.split())
"""Words that may stand between two telling ones without parting them: "loss of power", "battery does not charge"."""
NEGATIONS = frozenset({"not", "no", "wont", "cannot", "doesnt"})
"""They turn a phrase into another one: air bags that deploy, and air bags that do not."""
_STORY_WORDS = """
able act actually advise afraid ago agree almost alone anymore anyone anything appointment approx
approximately april around ask august available aware bad began begin believe best better big bill bought
bring brought bumper business buy came care cause caused certified chance charged check child children claim
clear close code come comes coming company complaint concern condition confirm confirmed confirms continue
control corporate cost couple cover covered daily damage dangerous date daughter day days deal death december
decide denied describe determine diagnose diagnosed diagnosis different difficult distribution document dollar
driver driving drove due easily email emergency end enough entire error exact exactly expect expensive
experience explain extremely fact failure family fault fear february feel felt file find fine first fix fixed
fixing follow found free friday friend fully further future gaadi gave give given good great guy half happen
happened happening hard hear heard help high highway history home hope hour hours house hundred husband idea
immediately incident include independent information injured injury inspect inspected inspection instance
insurance interstate invoice involved item january july june know known lady lane large last late later lead
learn leave left letter life likely list little live local long look lost lot low luckily madam made
maintenance major make male man manager many march matter mean mechanic mention message mile mileage miles
mind minute minutes miss monday money month months morning mother move multiple name near nearly need needed
needs never new news next night normal nothing notice noticed notified november number numerous occasion occur
occurred october offer office ok okay old online open order original owned paid parent park parked parking
part party past pay people perform person phone photo place please point police possible potential present
prevent previous prior probably proceed product provide pull purchase purchased push question random randomly
read real reason receive received recent recently reference refuse remain remove replace replaced replacement
report reported representative request require resolve responsible rest result return review ride right road
run safe safely safety saturday saw second see seem self sell send sent september serious seriously service
serviced set several shop short show side similar sir sit situation six small son soon speak specific spend
spoke start started state station stations stay still stop stopped store street sudden suddenly summer sunday
sure system take taken talk tech technician tell ten term test testing thank thing think third thought three
thursday ticket time times today together told tomorrow tow towed traffic travel traveling tried trip trouble
try trying tuesday turn twice two type unable understand undisclosed unknown unsafe update upset use used
usually various verify video visit wait warranty watch way wednesday week weekend went whole wife winter woman
wonder word work worked working world worse worst worth write wrong year years yesterday young
"""
_STORY = frozenset(_STORY_WORDS.split())
"""Words of the story around a symptom. They may stand within a phrase, but none begins or ends with one."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """What was written, evened out, and the terms that make it the same phrase whatever their order and inflection."""

    key: str
    text: str


class Wordings:
    """What the symptom library says already: all wordings of its symptoms, and the words that they consist of."""

    def __init__(self, wordings: Iterable[str]) -> None:
        self._wordings = {found for text in wordings if (found := frozenset(terms(text)))}
        self._by_term: dict[str, list[frozenset[str]]] = {}
        for wording in self._wordings:
            for term in wording:
                self._by_term.setdefault(term, []).append(wording)

    def knows(self, key: str) -> bool:
        """Whether a phrase is part of a known wording, or says one with something added."""
        phrase = frozenset(key.split()) - {"not"}
        near = {wording for term in phrase for wording in self._by_term.get(term, ())}
        return any(phrase <= wording or (len(wording) > 1 and wording <= phrase) for wording in near)

    def says(self, stems: Collection[str]) -> bool:
        """Whether these terms, more than one, are exactly a known wording."""
        return len(stems) > 1 and frozenset(stems) in self._wordings

    def of_the_trade(self, term: str) -> bool:
        return term in self._by_term


def phrases(text: str, known: Wordings, private: Collection[str] = ()) -> list[Phrase]:
    """The phrases of a text that may be symptoms, each once, the most telling first, at most MOST_PER_TEXT.

    `private` are words, whatever their case, that must not be part of one: names of customers, makes and models.
    """
    hidden = {word for entry in private for word in fold(entry).split()}
    found: dict[str, tuple[float, Phrase]] = {}
    for run in (rest for whole in _runs(text, hidden, known) for rest in _unknown(whole, known)):
        for start in range(len(run)):
            for length in range(2, LONGEST + 1):
                words = run[start : start + length]
                if len(words) == length and (scored := _phrase(words, known)) is not None:
                    found.setdefault(scored[1].key, scored)
    ranked = sorted(found.values(), key=lambda scored: (-scored[0], scored[1].key))
    return [phrase for _, phrase in ranked[:MOST_PER_TEXT]]


@dataclass(frozen=True, slots=True)
class _Telling:
    """A telling word with its term, and the link words that stand before it."""

    word: str
    term: str
    before: tuple[str, ...]


def _phrase(words: list[_Telling], known: Wordings) -> tuple[float, Phrase] | None:
    stems = {word.term for word in words}
    if any(NEGATIONS.intersection(word.before) for word in words[1:]):
        stems.add("not")
    if len({word.term for word in words}) < len(words) or words[0].word in _STORY or words[-1].word in _STORY:
        return None
    # One word at least must be of the trade, and not every second complaint's.
    if not any(known.of_the_trade(word.term) and word.word not in _STORY for word in words):
        return None
    key = " ".join(sorted(stems))
    if known.knows(key):
        return None
    text = " ".join([words[0].word, *(part for word in words[1:] for part in (*word.before, word.word))])
    return sum(telling(word.term) for word in words) / math.sqrt(len(words)), Phrase(key, text)


def _runs(text: str, hidden: Collection[str], known: Wordings) -> Iterator[list[_Telling]]:
    """Telling words that stand together, parted by clauses, by whatever is hidden, and by more than one link."""
    shouting = text.isupper()
    for clause in _CLAUSE.split(_ADDRESS.sub(" | ", text)):
        run: list[_Telling] = []
        links: tuple[str, ...] = ()
        for place, match in enumerate(_WORD.finditer(clause)):
            word = fold(match[0]).replace("'", "")
            term = " ".join(terms(word))
            if word in _LINKS:
                links = (*links, word)
                continue
            name = not shouting and place > 0 and match[0][:1].isupper() and not known.of_the_trade(term)
            parted = len(links) > 2 or name or not _sayable(word, term, hidden)
            if parted:
                yield run
                run, links = [], ()
            if not name and _sayable(word, term, hidden):
                run.append(_Telling(word, term, links if run else ()))
            links = ()
        yield run


def _unknown(run: list[_Telling], known: Wordings) -> Iterator[list[_Telling]]:
    """The run without the words that say a known symptom: what is left of "terrible burning smell" says nothing."""
    saying = {
        place
        for length in range(2, LONGEST + 1)
        for start in range(len(run) - length + 1)
        if known.says({word.term for word in run[start : start + length]})
        for place in range(start, start + length)
    }
    for _, rest in itertools.groupby(enumerate(run), key=lambda numbered: numbered[0] in saying):
        words = list(rest)
        if words[0][0] not in saying:
            yield [word for _, word in words]


def _sayable(word: str, term: str, hidden: Collection[str]) -> bool:
    if len(word) < 3 or not word.replace("-", "").isalpha() or not term or " " in term:
        return False
    known = word in hidden or word in STOP_WORDS or word in BOILERPLATE
    return not known and telling(term) >= LEAST_TELLING


def parts(key: str) -> list[str]:
    """Keys of the shorter phrases that a phrase contains."""
    stems = key.split()
    return [" ".join(shorter) for shorter in itertools.combinations(stems, len(stems) - 1) if len(shorter) > 1]


def surprise(count: int, texts: int, key: str) -> float:
    """How much more often a phrase occurs than its words would meet by chance: signed root of the log-likelihood ratio
    G² (Dunning 1993), for `count` of `texts` texts. How common the words are is taken from owner complaints."""
    expected = texts * math.prod(_share(term) for term in key.split() if term != "not")
    g2 = 2 * (_likelihood(count, expected) + _likelihood(texts - count, texts - expected))
    return math.copysign(math.sqrt(max(0.0, g2)), count - expected)


def _share(term: str) -> float:
    """Share of owner complaints that contain a term, from its weight; the rarest count as one in a hundred."""
    return 1 / ((1 + 1 / RAREST) ** (telling(term) ** 2) - 1)


def _likelihood(observed: float, expected: float) -> float:
    return observed * math.log(observed / expected) if observed > 0 and expected > 0 else 0.0
