"""An embedder that fails takes its own channel away from one match, and nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest

from matching import CardIndex, CardRecord, Case, HashingEmbedder, Matcher
from matching.embedding import EmbeddingFailed, unit_rows


class Moody(HashingEmbedder):
    """Fails while `reason` is set."""

    reason = ""
    asked = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Also what questions come down to."""
        self.asked += 1
        if self.reason:
            raise EmbeddingFailed(self.reason)
        return super().embed(texts)


CARDS = [CardRecord("fc_a", title="Regen brake chatter"), CardRecord("fc_b", title="Horn silent after rain")]


@pytest.fixture
def embedder() -> Moody:
    return Moody()


@pytest.fixture
def matcher(embedder: Moody) -> Matcher:
    index = CardIndex(embedder)
    index.upsert_many(CARDS)
    return Matcher(index)


@pytest.mark.parametrize("scorer", ["efi_v2", "calibrated"])
def test_a_failure_is_told_and_costs_one_attempt(matcher: Matcher, embedder: Moody, scorer: str):
    embedder.asked, embedder.reason = 0, "no answer within 2 s"
    result = matcher.match(Case("horn silent"), scorer=scorer)
    assert result.channels_off == {"semantic": "no answer within 2 s"}
    assert result.embedder is None
    assert [candidate.card_id for candidate in result.candidates] == ["fc_b"]
    assert all(candidate.channels["semantic"] == 0 for candidate in result.candidates)
    assert embedder.asked == 1


@pytest.mark.parametrize("scorer", ["efi_v2", "calibrated"])
def test_without_the_channel_it_scores_like_an_index_without_an_embedder(
    matcher: Matcher, embedder: Moody, scorer: str
):
    bare = CardIndex(None)
    bare.upsert_many(CARDS)
    embedder.reason = "away"
    failed, plain = (m.match(Case("horn silent"), scorer=scorer).candidates for m in (matcher, Matcher(bare)))
    assert [(c.card_id, c.score) for c in failed] == [(c.card_id, c.score) for c in plain]


def test_the_next_match_asks_again(matcher: Matcher, embedder: Moody):
    embedder.reason = "away"
    assert matcher.match(Case("horn silent")).channels_off
    embedder.reason = ""
    result = matcher.match(Case("horn silent"))
    assert not result.channels_off
    assert result.embedder == embedder.name


def test_cards_that_could_not_be_embedded_wait_and_are_matched_by_the_rest(embedder: Moody):
    index = CardIndex(embedder)
    embedder.reason = "away"
    with pytest.raises(EmbeddingFailed):
        index.upsert(CARDS[0])
    assert index.vector("fc_a") is None
    embedder.reason = ""
    assert [c.card_id for c in Matcher(index).match(Case("regen brake chatter")).candidates] == ["fc_a"]
    assert index.embed_pending() == 1
    assert index.vector("fc_a") is not None


def test_vectors_that_are_no_numbers_become_zero():
    rows = unit_rows(np.array([[3.0, 4.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, 0], [0, 0]], atol=1e-6)


def test_revisions_can_be_noted_without_another_upsert(matcher: Matcher):
    matcher.index.note_revision("fc_a", 7)
    matcher.index.note_revision("fc_unknown", 7)
    assert matcher.index.revisions() == {"fc_a": 7, "fc_b": 0}
