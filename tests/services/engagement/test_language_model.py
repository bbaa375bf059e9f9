"""The language-model port against a server over the wire, and the embedder made of it."""

import time
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from app.settings import Settings
from matching import Embedder, HashingEmbedder
from matching.embedding import EmbeddingFailed
from services.engagement.embedding import MAX_CHARACTERS, LanguageModelEmbedder
from services.engagement.language_model import LanguageModel, LanguageModelError, Message, NoModel, language_model
from tests.language_model_server import DIMENSIONS, TROUBLES, LanguageModelServer, is_silent_for, serving_a_model

HELLO = [Message("system", "Be brief."), Message("user", "Hello")]


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with serving_a_model() as server:
        yield server


@pytest.fixture
async def model(server: LanguageModelServer) -> AsyncIterator[LanguageModel]:
    model = language_model(server.settings())
    yield model
    await model.close()


@pytest.fixture
def embedder(model: LanguageModel) -> LanguageModelEmbedder:
    return LanguageModelEmbedder(model, question_timeout=1)


async def test_without_a_key_there_is_no_model_and_it_says_so():
    model = language_model(Settings(_env_file=None))
    assert isinstance(model, NoModel)
    assert not model.available
    with pytest.raises(LanguageModelError, match="EFI_OPENAI_API_KEY"):
        await model.complete(HELLO)
    with pytest.raises(LanguageModelError, match="EFI_OPENAI_API_KEY"):
        model.embed(["text"])
    await model.close()


def test_a_remote_embedder_without_a_model_is_refused_at_the_start():
    with pytest.raises(ValueError, match="EFI_OPENAI_BASE_URL"):
        Settings(_env_file=None, embedder="openai")


async def test_a_message_is_answered(server: LanguageModelServer, model: LanguageModel):
    assert model.available
    answer = await model.complete(HELLO, max_tokens=50, temperature=0)
    assert (answer.text, answer.model, answer.cut_off) == ("You said: Hello", "words-1", False)
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)
    (asked,) = server.asked
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]
    assert (asked["max_completion_tokens"], asked["temperature"], asked["model"]) == (50, 0, "gpt-4.1-mini")


async def test_an_answer_that_was_cut_off_says_so(server: LanguageModelServer, model: LanguageModel):
    server.trouble = lambda request: request.text("You s", finish="length")
    assert (await model.complete(HELLO)).cut_off
    server.trouble = lambda request: request.text(None)
    with pytest.raises(LanguageModelError, match="without text"):
        await model.complete(HELLO)


async def test_the_key_is_sent_and_never_told(server: LanguageModelServer):
    model = language_model(server.settings(openai_api_key="sk-secret", openai_max_retries=0))
    server.trouble, _ = TROUBLES["key"]
    with pytest.raises(LanguageModelError) as refused:
        await model.complete(HELLO)
    assert server.keys == {"sk-secret"}
    assert "secret" not in str(refused.value)
    await model.close()


@pytest.mark.parametrize("trouble", ["error", "key", "too many", "no JSON"])
async def test_trouble_with_a_completion_is_told_in_a_sentence(
    server: LanguageModelServer, model: LanguageModel, trouble: str
):
    server.trouble, reason = TROUBLES[trouble]
    with pytest.raises(LanguageModelError, match=reason):
        await model.complete(HELLO)


def test_vectors_come_in_the_order_of_the_texts(server: LanguageModelServer, embedder: LanguageModelEmbedder):
    texts = ["regen brake chatter", "", "horn silent", " "]
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, HashingEmbedder(DIMENSIONS).embed(texts), atol=1e-6)
    assert server.texts() == ["regen brake chatter", "horn silent"]
    assert isinstance(embedder, Embedder)
    assert (embedder.name, embedder.dimension) == (f"words-{DIMENSIONS}", DIMENSIONS)


def test_nothing_is_asked_for_nothing(server: LanguageModelServer, embedder: LanguageModelEmbedder):
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    assert not embedder.embed(["  \n"]).any()
    assert not embedder.embed_question("  \n").any()
    assert server.asked == []


def test_a_question_is_asked_once_and_long_text_is_cut(server: LanguageModelServer, embedder: LanguageModelEmbedder):
    first = embedder.embed_question("horn silent")
    np.testing.assert_array_equal(embedder.embed_question(" horn silent\n"), first)
    embedder.embed_question("word " * 20_000)
    assert [len(text) for text in server.texts()] == [len("horn silent"), MAX_CHARACTERS]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_with_a_question_is_told_in_a_sentence(
    server: LanguageModelServer, embedder: LanguageModelEmbedder, trouble: str
):
    server.trouble, reason = TROUBLES[trouble]
    with pytest.raises(EmbeddingFailed, match=reason) as failed:
        embedder.embed_question("horn silent")
    assert "secret" not in str(failed.value)


# A batch waits for a silent server as long as the model is set to: not worth the time here.
@pytest.mark.parametrize("trouble", sorted(TROUBLES.keys() - {"silence"}))
@pytest.mark.parametrize("texts", [["horn silent"], ["horn silent", "regen brake chatter"]])
def test_trouble_with_a_batch_is_told_and_soon_over(
    server: LanguageModelServer, embedder: LanguageModelEmbedder, trouble: str, texts: list[str]
):
    server.trouble, reason = TROUBLES[trouble]
    with pytest.raises(EmbeddingFailed, match=reason):
        embedder.embed(texts)
    server.trouble = None
    assert embedder.embed(texts).any(axis=1).all()


def test_after_a_failure_questions_fail_at_once_until_it_has_rested(server: LanguageModelServer, model: LanguageModel):
    embedder = LanguageModelEmbedder(model, question_timeout=0.6, rest_seconds=1.5)
    assert embedder.embed_question("known before").any()
    server.trouble = is_silent_for(1.2)
    for _ in range(5):
        with pytest.raises(EmbeddingFailed, match=r"within 0\.6 s"):
            embedder.embed_question("horn silent")
    assert len(server.asked) == 2
    assert embedder.embed_question("known before").any()
    server.trouble = None
    time.sleep(1.5)
    assert embedder.embed_question("horn silent").any()


def test_batches_are_tried_again_and_questions_are_not(server: LanguageModelServer, embedder: LanguageModelEmbedder):
    server.trouble, _ = TROUBLES["error"]
    with pytest.raises(EmbeddingFailed):
        embedder.embed(["one", "two"])
    assert len(server.asked) == 2
    with pytest.raises(EmbeddingFailed):
        embedder.embed_question("one")
    assert len(server.asked) == 3


async def test_a_server_that_is_not_there(server: LanguageModelServer):
    nobody = language_model(server.settings(openai_base_url="http://127.0.0.1:9/v1", openai_max_retries=0))
    with pytest.raises(LanguageModelError, match="cannot be reached"):
        nobody.embed(["text"])
    await nobody.close()
