"""Brief complaints about the starter knowledge: two phrases of the symptom library for two symptoms of a failure, never
the words of its card."""

from dataclasses import dataclass

import numpy as np

from benchmarks.gold import STORED
from matching import CardIndex, CardRecord, Case, Embedder, Relation, Symptom, Vehicle
from models.failure_card import CardContent
from seeds.starter import load_starter
from services.diagnosis.translate import card_record

STATED = 0.5
"""Weight of an edge that rests on a card's own statement alone."""


@dataclass(frozen=True)
class StarterFailures:
    """The starter cards by key, and what owners may say of each symptom."""

    cards: dict[str, CardContent]
    symptoms: list[Symptom]

    @classmethod
    def load(cls) -> "StarterFailures":
        known = load_starter()
        symptoms = [Symptom(one.symptom_code, one.name, tuple(one.synonyms)) for one in known.symptoms]
        return cls(dict(known.cards), symptoms)

    def index(self, embedder: Embedder | None) -> CardIndex:
        """The cards as they are matched, symptoms leading to them."""
        index = CardIndex(embedder, symptoms=self.symptoms)
        index.upsert_many(_record(key, card) for key, card in self.cards.items())
        for key, card in self.cards.items():
            for code in card.symptom_codes:
                index.put_relation(Relation(code, key, "indicates", STATED, 0))
        return index

    def complaint(self, rng: np.random.Generator) -> tuple[str, Case]:
        """A failure, all alike likely, and what somebody says of it."""
        keys = sorted(self.cards)
        key = keys[int(rng.integers(len(keys)))]
        card = self.cards[key]
        phrases = {one.code: (one.name, *one.synonyms) for one in self.symptoms}
        named = rng.choice(card.symptom_codes, size=min(2, len(card.symptom_codes)), replace=False)
        text = ". ".join(str(rng.choice(phrases[code])) for code in named)
        return key, Case(text=text, vehicle=_vehicle(card, rng))


def _vehicle(card: CardContent, rng: np.random.Generator) -> Vehicle:
    """One of the vehicles that the card is about, if it names any."""
    if not card.vehicle_models:
        return Vehicle()
    one = card.vehicle_models[int(rng.integers(len(card.vehicle_models)))]
    return Vehicle(make=one.make, model=one.model or None, year=one.year_from)


def _record(key: str, card: CardContent) -> CardRecord:
    signature = card.failure_signature.signature_hash if card.failure_signature else ""
    return card_record({**STORED, **card.model_dump(mode="json"), "_id": key, "signature_hash": signature})
