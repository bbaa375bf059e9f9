"""Cards and queries in any number for the benchmarks of retrieval, made of the sentences of real texts.

Without a file of texts the starter knowledge's sentences serve; their vocabulary is small, which is harder on an
inverted index than real life: every posting list is long.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from matching import CardRecord, Case, Vehicle, VehicleRange
from matching.text import terms

SEED = 20_26
MAKES = {
    "Ather": ("450X", "450S", "Rizta"),
    "Ola": ("S1 Pro", "S1 Air", "S1 X"),
    "TVS": ("iQube", "X"),
    "Bajaj": ("Chetak", "RE E-TEC"),
    "Mahindra": ("Treo", "XUV400"),
    "Tata": ("Nexon EV", "Tiago EV", "Ace EV"),
}
WORDS_PER_CARD = (20, 45)
WORDS_PER_QUERY = (10, 30)


def sentences(texts: Path | None) -> list[str]:
    """Sentences of 4 to 30 words of the field `text` of a file of JSON lines, which may be gzipped."""
    if texts is None:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(_of_starter_knowledge).result()
    opened = gzip.open if texts.suffix == ".gz" else open
    with opened(texts, "rt", encoding="utf-8") as lines:
        found = dict.fromkeys(
            sentence
            for line in lines
            for sentence in re.split(r"(?<=[.!?])\s+", json.loads(line)["text"])
            if 4 <= len(sentence.split()) <= 30
        )
    return list(found)


def _of_starter_knowledge() -> list[str]:
    """In a process of its own: the documents behind it would count as memory of what is measured."""
    from benchmarks.knowledge import starter_sentences

    return starter_sentences()


def cards(count: int, known: list[str]) -> Iterator[CardRecord]:
    """`count` cards of 20 to 45 words on about 1,300 vehicles; every third carries a code."""
    chance = random.Random(SEED)
    for number in range(count):
        said = _words(chance, known, WORDS_PER_CARD)
        make, model, year = vehicle(chance)
        yield CardRecord(
            f"fc_{number:07d}",
            title=" ".join(said[:6]),
            symptom_text=" ".join(said[6:]),
            error_codes=(f"P{chance.randrange(0x4000):04X}",) if chance.random() < 1 / 3 else (),
            vehicles=(VehicleRange(make, model, year, year + chance.randrange(6)),),
        )


def term_texts(count: int, known: list[str]) -> Iterator[list[str]]:
    """`count` texts of 20 to 45 words as index terms. Put together from analysed sentences, which takes a tenth of
    the time of analysing every text."""
    chance = random.Random(SEED)
    analysed = [(len(sentence.split()), terms(sentence)) for sentence in known]
    for _ in range(count):
        wanted, said = chance.randint(*WORDS_PER_CARD), list[str]()
        while wanted > 0:
            words, found = chance.choice(analysed)
            said += found[: max(1, len(found) * wanted // words)] if words > wanted else found
            wanted -= words
        yield said


def cases(count: int, known: list[str]) -> list[Case]:
    """`count` complaints of 10 to 30 words with a vehicle."""
    chance = random.Random(SEED + 1)
    made = []
    for _ in range(count):
        text = " ".join(_words(chance, known, WORDS_PER_QUERY))
        make, model, year = vehicle(chance)
        made.append(Case(text, vehicle=Vehicle(make, model, year + 1)))
    return made


def vehicle(chance: random.Random) -> tuple[str, str, int]:
    """A make, one of its models in one of several versions, and a first model year."""
    make = chance.choice(list(MAKES))
    return make, f"{chance.choice(MAKES[make])} {chance.randrange(100)}", chance.randrange(2012, 2024)


def _words(chance: random.Random, known: list[str], length: tuple[int, int]) -> list[str]:
    wanted, said = chance.randint(*length), list[str]()
    while len(said) < wanted:
        said += chance.choice(known).split()
    return said[:wanted]
