"""What compares meaning, as the settings say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.settings import Settings
from matching import Embedder, HashingEmbedder
from matching.minilm import NAME as MINILM
from matching.minilm import MiniLMEmbedder, ModelMissing
from services.engagement.embedding import LanguageModelEmbedder
from services.engagement.language_model import LanguageModel, language_model

MODELS = "models"
"""Below EFI_DATA_DIR: the sentence model as it was built out of the installed weights."""


@dataclass(frozen=True, slots=True)
class Embedders:
    """Opening one blocks for a second or so, the first time for longer: the sentence model is built then."""

    settings: Settings
    model: LanguageModel

    def wanted(self) -> tuple[Embedder | None, str]:
        """The embedder that is set, or None with the reason."""
        if self.settings.embedder == "off":
            return None, "EFI_EMBEDDER is off"
        try:
            return self._open(self.settings.embedder), ""
        except ModelMissing as missing:
            return None, f"the sentence model cannot be used: {missing}"

    def named(self, name: str) -> Embedder | None:
        """The embedder of this name, which may have served under other settings; None if it is not to be had."""
        kinds = {MINILM: "minilm", HashingEmbedder().name: "hashing"}
        if self.model.available:
            kinds[self.model.embedding_name] = "openai"
        try:
            return self._open(kinds[name]) if name in kinds else None
        except ModelMissing:
            return None

    def _open(self, kind: str) -> Embedder:
        match kind:
            case "minilm":
                return MiniLMEmbedder.load(self.settings.data_dir / MODELS)
            case "openai":
                timeout = self.settings.openai_question_timeout_seconds
                return LanguageModelEmbedder(self.model, question_timeout=timeout)
            case _:
                return HashingEmbedder()


@asynccontextmanager
async def wanted_embedder(settings: Settings) -> AsyncIterator[tuple[Embedder | None, str]]:
    """For a command: the embedder that is set, or None with the reason, until the block ends."""
    model = language_model(settings)
    try:
        yield await asyncio.to_thread(Embedders(settings, model).wanted)
    finally:
        await model.close()
