"""The language-model port: `complete` and `embed`, by whatever serves OpenAI's protocol, or by nothing.

A model is optional. Who uses the port asks `available` first and has a way of its own without; what a model writes is a
draft until a person accepts it.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import numpy as np

from app.settings import Settings

NO_KEY = "neither EFI_OPENAI_API_KEY nor EFI_OPENAI_BASE_URL is set"
PUBLIC_HOST = "api.openai.com"


class LanguageModelError(RuntimeError):
    """The model did not give a usable answer; the message says why, without key or text."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Completion:
    """`cut_off`: the answer ended at the limit of tokens. Token counts are 0 where the server does not tell them."""

    text: str
    model: str
    cut_off: bool
    prompt_tokens: int
    completion_tokens: int


class LanguageModel(Protocol):
    """`name` is for people, `embedding_name` identifies the embedding model with its dimension, a multiple of 64."""

    available: bool
    name: str
    embedding_name: str
    embedding_dimension: int

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, temperature: float | None = None
    ) -> Completion:
        """The model's next message. Raises LanguageModelError."""
        ...

    def embed(self, texts: Sequence[str], *, timeout: float | None = None, retry: bool = True) -> np.ndarray:
        """Float32 array (len(texts), embedding_dimension) of finite numbers; no text may be empty.

        Blocks, so it belongs into a thread. `timeout`, in seconds, replaces the set one. Raises LanguageModelError.
        """
        ...

    async def close(self) -> None: ...


def language_model(settings: Settings) -> LanguageModel:
    """The model that the settings name."""
    if settings.openai_api_key.get_secret_value() or settings.openai_base_url:
        return OpenAIModel(settings)
    return NoModel()


class NoModel:
    """What stands in while no model is configured."""

    available = False
    name = embedding_name = "none"
    embedding_dimension = 0

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, temperature: float | None = None
    ) -> Completion:
        raise LanguageModelError(f"there is no language model: {NO_KEY}")

    def embed(self, texts: Sequence[str], *, timeout: float | None = None, retry: bool = True) -> np.ndarray:
        raise LanguageModelError(f"there is no language model: {NO_KEY}")

    async def close(self) -> None:
        """Nothing is open."""


class OpenAIModel:
    """OpenAI's service, or a server that speaks its protocol at EFI_OPENAI_BASE_URL. The SDK is imported here only."""

    available = True

    def __init__(self, settings: Settings) -> None:
        self._sdk = importlib.import_module("openai")
        self._options: dict[str, Any] = {
            # Servers of one's own often ask for no key, the SDK always does.
            "api_key": settings.openai_api_key.get_secret_value() or "none",
            "base_url": settings.openai_base_url or None,
            "timeout": settings.openai_timeout_seconds,
            "max_retries": settings.openai_max_retries,
        }
        self._host = urlsplit(settings.openai_base_url).hostname or PUBLIC_HOST
        self.name = settings.openai_model
        self._embedding_model = settings.openai_embedding_model
        self.embedding_dimension = settings.openai_embedding_dimensions
        self.embedding_name = f"{self._embedding_model}-{self.embedding_dimension}"
        self._blocking = self._sdk.OpenAI(**self._options)
        self._asynchronous = self._sdk.AsyncOpenAI(**self._options)

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, temperature: float | None = None
    ) -> Completion:
        chosen = {"max_completion_tokens": max_tokens, "temperature": temperature}
        try:
            answer = await self._asynchronous.chat.completions.create(
                model=self.name,
                messages=[{"role": message.role, "content": message.content} for message in messages],
                **{name: value for name, value in chosen.items() if value is not None},
            )
            choice, usage = answer.choices[0], answer.usage
            text = choice.message.content
        except (self._sdk.OpenAIError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise self._failure(error) from error
        if not text:
            raise LanguageModelError(f"the language model at {self._host} answered without text")
        return Completion(
            text=text,
            model=answer.model or self.name,
            cut_off=choice.finish_reason == "length",
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
        )

    def embed(self, texts: Sequence[str], *, timeout: float | None = None, retry: bool = True) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.embedding_dimension), dtype=np.float32)
        hurry: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        client = self._blocking.with_options(**hurry) if retry else self._blocking.with_options(max_retries=0, **hurry)
        try:
            answer = client.embeddings.create(
                model=self._embedding_model, input=list(texts), dimensions=self.embedding_dimension
            )
            rows = [entry.embedding for entry in sorted(answer.data, key=lambda entry: entry.index)]
            vectors = np.asarray(rows, dtype=np.float32)
        except (self._sdk.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._failure(error, timeout) from error
        wanted = (len(texts), self.embedding_dimension)
        if vectors.shape != wanted:
            raise LanguageModelError(
                f"{self._embedding_model} at {self._host} gave vectors of shape {vectors.shape} instead of {wanted}"
            )
        if not np.isfinite(vectors).all():
            raise LanguageModelError(f"{self._embedding_model} at {self._host} gave a vector that is not finite")
        return vectors

    async def close(self) -> None:
        self._blocking.close()
        await self._asynchronous.close()

    def _failure(self, error: Exception, timeout: float | None = None) -> LanguageModelError:
        """What went wrong in a sentence. The server's own words stay out: they may repeat key or text."""
        who, waited = f"the language model at {self._host}", timeout or self._options["timeout"]
        match error:
            case self._sdk.APITimeoutError():
                return LanguageModelError(f"{who} did not answer within {waited:g} s")
            case self._sdk.APIConnectionError():
                return LanguageModelError(f"{who} cannot be reached")
            case self._sdk.AuthenticationError() | self._sdk.PermissionDeniedError():
                return LanguageModelError(f"{who} refuses the key (HTTP {error.status_code})")
            case self._sdk.RateLimitError():
                return LanguageModelError(f"{who} has had too many requests (HTTP 429)")
            case self._sdk.APIStatusError():
                return LanguageModelError(f"{who} answered with HTTP {error.status_code}")
            case _:
                return LanguageModelError(f"{who} gave an answer that cannot be read ({type(error).__name__})")
