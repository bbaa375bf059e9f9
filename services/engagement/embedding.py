"""The language-model port as an embedder of the matching engine."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from matching.embedding import EmbeddingFailed, unit_rows
from services.engagement.language_model import LanguageModel, LanguageModelError

CACHE_SIZE = 2048
MAX_CHARACTERS = 4000
"""Longer text is cut: models take about 8,000 tokens, and some scripts need two for a character."""
REST_SECONDS = 15.0
"""After a failed question the model is left alone for so long, or every match would wait for it in vain."""


class LanguageModelEmbedder:
    """Embeds by a remote model. Keeps the vectors of the last `CACHE_SIZE` questions.

    A question waits `question_timeout` seconds at most, without retries; batches of card texts wait and retry as the
    model is set to.
    """

    remote = True

    def __init__(
        self, model: LanguageModel, *, question_timeout: float = 2.0, rest_seconds: float = REST_SECONDS
    ) -> None:
        self.name, self.dimension = model.embedding_name, model.embedding_dimension
        self._model = model
        self._question_timeout, self._rest_seconds = question_timeout, rest_seconds
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._rest_until, self._reason = 0.0, ""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        asked = [text.strip()[:MAX_CHARACTERS] for text in texts]
        vectors = np.zeros((len(asked), self.dimension), dtype=np.float32)
        # A text without content has no meaning to ask for, and the protocol refuses it.
        filled = [number for number, text in enumerate(asked) if text]
        if filled:
            vectors[filled] = self._ask([asked[number] for number in filled])
        return vectors

    def embed_question(self, text: str) -> np.ndarray:
        text = text.strip()[:MAX_CHARACTERS]
        if not text:
            return np.zeros(self.dimension, dtype=np.float32)
        with self._lock:
            if (vector := self._cache.get(text)) is not None:
                self._cache.move_to_end(text)
                return vector
            if time.monotonic() < self._rest_until:
                raise EmbeddingFailed(self._reason)
        try:
            vector = self._ask([text], timeout=self._question_timeout)[0]
        except EmbeddingFailed as failed:
            with self._lock:
                self._rest_until, self._reason = time.monotonic() + self._rest_seconds, str(failed)
            raise
        with self._lock:
            self._cache[text] = vector
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return vector

    def _ask(self, texts: list[str], timeout: float | None = None) -> np.ndarray:
        try:
            return unit_rows(self._model.embed(texts, timeout=timeout, retry=timeout is None))
        except LanguageModelError as error:
            raise EmbeddingFailed(str(error)) from error
