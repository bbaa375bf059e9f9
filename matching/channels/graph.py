"""Graph channel: from symptoms found in the complaint, and parts named by it, over weighted edges to cards."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from matching.channels.base import Channel, Hits, share_out
from matching.ids import CardIds
from matching.query import Query
from matching.records import CardRecord, Relation, Symptom
from matching.results import Reason
from matching.spelling import Vocabulary
from matching.storage import Postings, rarity
from matching.text import spelled_terms, terms, words

NEIGHBOUR_DECAY = 0.5
"""A symptom reached over one symptom-to-symptom edge counts half."""

WINDOW_SLACK = 3
"""Words that may stand between those of a symptom's wording."""


class _Wordings:
    """The terms of all symptom wordings, as a vocabulary that a misspelt word may be read from."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._counts: dict[str, int] = {}

    def frequency(self, term: str) -> int:
        return self._counts.get(term, 0)

    def count(self, wording: Iterable[str], by: int) -> None:
        for term in wording:
            if term not in self._counts:
                self.terms.append(term)
            self._counts[term] = self._counts.get(term, 0) + by


class GraphChannel(Channel):
    name = "graph"

    def __init__(
        self, symptoms: Iterable[Symptom] = (), relations: Iterable[Relation] = (), ids: CardIds | None = None
    ) -> None:
        """`ids` tells the slot of the card that an edge leads to."""
        self._ids = ids if ids is not None else CardIds()
        self.wordings = _Wordings()
        self.spelling = Vocabulary(self.wordings)
        self._names: dict[str, str] = {}
        self._phrases: dict[str, list[tuple[frozenset[str], str]]] = defaultdict(list)
        self._edges: dict[str, dict[str, float]] = defaultdict(dict)
        self._stated = Postings()
        for symptom in symptoms:
            self.put_symptom(symptom)
        for relation in relations:
            self.put_relation(relation)

    def adopt(self, library: "GraphChannel") -> None:
        """Takes over the symptoms and edges of another channel, in place of its own; the cards stay."""
        self._names, self._phrases, self._edges = library._names, library._phrases, library._edges

    def put_symptom(self, symptom: Symptom) -> None:
        """Adds or replaces a symptom of the library."""
        self.drop_symptom(symptom.code)
        self._names[symptom.code] = symptom.name
        for wording in {_telling(text) for text in (symptom.name, *symptom.synonyms)}:
            if wording:
                self._phrases[min(wording)].append((wording, symptom.code))
                self.wordings.count(wording, 1)
        self.spelling.follow()

    def drop_symptom(self, code: str) -> None:
        if self._names.pop(code, None) is not None:
            for first, phrases in list(self._phrases.items()):
                kept = [phrase for phrase in phrases if phrase[1] != code]
                for wording, _ in set(phrases) - set(kept):
                    self.wordings.count(wording, -1)
                self._phrases[first] = kept

    def put_relation(self, relation: Relation) -> None:
        """Adds or replaces an edge. Its pull: half the weight without evidence, more with every repair."""
        pull = max(0.0, min(1.0, relation.weight)) * (relation.evidence + 1) / (relation.evidence + 2)
        self._edges[relation.source][relation.target] = pull
        # Edges are walked from complaint to card whichever way they were stored ("card requires part").
        self._edges[relation.target][relation.source] = pull

    def drop_relation(self, source: str, target: str) -> None:
        self._edges[source].pop(target, None)
        self._edges[target].pop(source, None)

    def add(self, slot: int, card: CardRecord) -> None:
        self._stated.add(slot, dict.fromkeys(card.symptom_codes))

    def remove(self, slot: int, card: CardRecord) -> None:
        self._stated.remove(slot, dict.fromkeys(card.symptom_codes))

    def symptoms_in(self, query: Query) -> dict[str, float]:
        """Symptom ids of a case with their strength: 1 for stated and found ones, less for their graph neighbours."""
        if "symptoms" not in query.memo:
            found = dict.fromkeys((*query.case.symptom_codes, *query.case.parts, *self._spot(query)), 1.0)
            for code in list(found):
                for neighbour, pull in self._edges.get(code, {}).items():
                    if neighbour in self._names:
                        found.setdefault(neighbour, NEIGHBOUR_DECAY * pull)
            query.memo["symptoms"] = found
        return query.memo["symptoms"]

    def hints(self, query: Query) -> dict[str, str]:
        """Terms of the names of the symptoms that the complaint states or describes, each with that name."""
        symptoms = (code for code, strength in self.symptoms_in(query).items() if strength == 1 and code in self._names)
        return {term: self._names[code] for code in symptoms for term in terms(self._names[code])}

    def symptom_name(self, code: str) -> str:
        return self._names.get(code, code)

    def _spot(self, query: Query) -> list[str]:
        positions: dict[str, list[int]] = defaultdict(list)
        for position, term in enumerate(query.terms):
            positions[query.read(term)].append(position)
        return [
            code
            for term in positions
            for wording, code in self._phrases.get(term, ())
            if all(word in positions for word in wording) and _close_together(wording, positions)
        ]

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        reached = self._reach(query)
        slots = np.array(sorted(slot for slot in reached if allowed[slot]), dtype=np.int32)
        scores = self.score(query, slots)
        order = np.argsort(-scores, kind="stable")[:limit]
        return Hits.of(slots[order], scores[order])

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        reached = self._reach(query)
        if not reached:
            return np.zeros(len(slots), dtype=np.float32)
        return np.array([_noisy_or(reached.get(int(slot), [])) for slot in slots], dtype=np.float32)

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        parts = self._reach(query).get(slot, [])
        return share_out(
            self.name, _noisy_or(parts), [(f"symptom “{self.symptom_name(code)}”", w) for code, w in parts]
        )

    def matched(self, query: Query, slot: int) -> tuple[str, ...]:
        """Ids of the case's symptoms that lead to this card, strongest first."""
        parts = self._reach(query).get(slot, [])
        return tuple(code for code, _ in sorted(parts, key=lambda part: -part[1]))

    def _reach(self, query: Query) -> dict[int, list[tuple[str, float]]]:
        if self.name not in query.memo:
            query.memo[self.name] = self._walk(query)
        return query.memo[self.name]

    def _walk(self, query: Query) -> dict[int, list[tuple[str, float]]]:
        reached: dict[int, list[tuple[str, float]]] = defaultdict(list)
        for code, strength in self.symptoms_in(query).items():
            # What a card's author states counts in full, whatever edges were learnt beside it.
            pulls = dict.fromkeys(self._stated.slots(code).tolist(), 1.0)
            for target, pull in self._edges.get(code, {}).items():
                if (slot := self._ids.slot(target)) is not None:
                    pulls.setdefault(slot, pull)
            weight = strength * rarity(len(pulls), len(self._ids))
            for slot, pull in pulls.items():
                reached[slot].append((code, weight * pull))
        return reached


def _telling(text: str) -> frozenset[str]:
    """The terms by which a wording is found; none where function words carried its meaning.

    Of "car will not go" only "car" would be left, which every second complaint says.
    """
    spelled = spelled_terms(text)
    kept = sum(len(spelling.split()) for _, spelling in spelled)
    found = frozenset(term for term, _ in spelled)
    return frozenset() if len(found) == 1 and kept < len(words(text)) else found


def _noisy_or(parts: list[tuple[str, float]]) -> float:
    """Independent pointers add up without passing 1."""
    missed = 1.0
    for _, weight in parts:
        missed *= 1 - weight
    return 1 - missed


def _close_together(wording: frozenset[str], positions: dict[str, list[int]]) -> bool:
    """Whether some occurrence of all words lies within the wording's length plus slack."""
    anchor = min(wording, key=lambda word: len(positions[word]))
    reach = len(wording) + WINDOW_SLACK
    return any(
        all(any(abs(other - start) < reach for other in positions[word]) for word in wording)
        for start in positions[anchor]
    )
