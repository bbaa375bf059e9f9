"""The index as a background worker uses it: vectors come piece by piece, embedders change, a reader is left alone."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from matching import CardIndex, CardRecord, Case, HashingEmbedder, Matcher, Relation, Symptom
from tests.matching.conftest import CARDS

OLD, NEW = HashingEmbedder(), HashingEmbedder(128)


@pytest.fixture
def waiting() -> CardIndex:
    """Cards without any vector."""
    index = CardIndex(OLD)
    index.upsert_many(CARDS, embed=False)
    return index


def embed(index: CardIndex, embedder: HashingEmbedder, limit: int = 100) -> None:
    texts = index.pending(embedder.name, limit)
    vectors = embedder.embed(list(texts.values()))
    index.put_vectors(embedder.name, texts, dict(zip(texts, vectors, strict=True)))


def test_cards_await_their_vectors_until_they_are_handed_in(waiting: CardIndex):
    with_text = {card.card_id for card in CARDS if card.title}
    assert waiting.awaiting(OLD.name) == len(with_text)
    assert waiting.pending(OLD.name, 100).keys() == with_text
    embed(waiting, OLD, limit=1)
    assert waiting.awaiting(OLD.name) == len(with_text) - 1
    embed(waiting, OLD)
    assert waiting.awaiting(OLD.name) == 0
    assert all(waiting.vector(card_id) is not None for card_id in with_text)


def test_a_vector_of_an_earlier_text_is_passed_over(waiting: CardIndex):
    texts = waiting.pending(OLD.name, 100)
    waiting.upsert(replace(CARDS[0], title="Something else"), embed=False)
    waiting.remove(CARDS[1].card_id)
    made = dict(zip(texts, OLD.embed(list(texts.values())), strict=True))
    waiting.put_vectors(OLD.name, texts, made)
    assert waiting.pending(OLD.name, 100).keys() == {CARDS[0].card_id}
    assert waiting.vector(CARDS[1].card_id) is None


def test_vectors_of_another_embedder_never_mix_in(waiting: CardIndex):
    texts = waiting.pending(OLD.name, 100)
    foreign = dict.fromkeys(texts, np.ones(OLD.dimension, np.float32))
    waiting.put_vectors(NEW.name, texts, foreign)
    waiting.upsert(replace(CARDS[0], vector=foreign["fc_bms"], vector_model=NEW.name), embed=False)
    assert waiting.pending(NEW.name, 100) == {}
    assert waiting.awaiting(OLD.name) == len(texts)
    assert all(waiting.vector(card_id) is None for card_id in texts)


def test_the_former_vectors_serve_until_the_new_ones_are_complete(index: CardIndex):
    index.prepare_exchange(NEW)
    count = index.awaiting(NEW.name)
    assert count == len([card for card in CARDS if card.title])
    embed(index, NEW, limit=count - 1)
    assert not index.exchange()
    assert index.embedder.name == OLD.name
    index.upsert(CardRecord("fc_late", title="Coolant pump noise"))
    embed(index, NEW)
    assert index.exchange()
    assert index.embedder is NEW
    assert index.vector("fc_late").shape == (NEW.dimension,)
    assert Matcher(index).match(Case("coolant pump noise")).embedder == NEW.name


def test_an_exchange_that_was_given_up_leaves_everything(index: CardIndex):
    index.prepare_exchange(NEW)
    with pytest.raises(RuntimeError, match="being changed already"):
        index.prepare_exchange(NEW)
    index.abandon_exchange()
    assert not index.exchange()
    assert index.pending(NEW.name, 100) == {}
    assert index.embedder.name == OLD.name


def test_changes_wait_for_who_reads_everything_and_matches_do_not(index: CardIndex):
    changed = threading.Event()

    def change() -> None:
        index.upsert(CardRecord("fc_late", title="Coolant pump noise"))
        changed.set()

    with index.still:
        thread = threading.Thread(target=change)
        thread.start()
        found = []
        asking = threading.Thread(target=lambda: found.append(Matcher(index).match(Case("hall sensor"))))
        asking.start()
        asking.join(20)
        assert found
        assert found[0].candidates
        assert not changed.is_set()
    thread.join(20)
    assert "fc_late" in index


def test_a_replaced_graph_forgets_what_is_not_in_it(index: CardIndex):
    index.replace_graph([Symptom("SYM_NEW_001", "howling gearbox")], [Relation("SYM_NEW_001", "fc_iso")])
    found = Matcher(index).match(Case("howling gearbox"), scorer="calibrated").candidates[0]
    assert (found.card_id, found.matched_symptoms) == ("fc_iso", ("SYM_NEW_001",))
    gone = Matcher(index).match(Case("jerky acceleration"), scorer="calibrated")
    assert all("SYM_MOT_001" not in candidate.matched_symptoms for candidate in gone.candidates)
