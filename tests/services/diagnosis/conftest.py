"""Cards to be indexed, and embedders that can be watched."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.database import transaction
from matching import HashingEmbedder
from matching.embedding import EmbeddingFailed
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from services.knowledge import cards, lifecycle


async def approved(title: str, **content: Any) -> FailureCard:
    whole = {"subsystem_category": SubsystemCategory.bms, "failure_mode": FailureMode.degradation, **content}
    async with transaction():
        card = await cards.create(CardContent(title=title, **whole))
        return await lifecycle.approve(await lifecycle.submit(card))


async def retitled(card: FailureCard, title: str) -> FailureCard:
    content = CardContent.model_validate(
        {name: getattr(card, name) for name in CardContent.model_fields}, from_attributes=True
    )
    return await cards.edit(card, content.model_copy(update={"title": title}), edition=card.edition)


class WatchedEmbedder(HashingEmbedder):
    """Notes what it embeds, and fails while `reason` is set."""

    def __init__(self, dimension: int = 384, name: str = "") -> None:
        super().__init__(dimension)
        self.name = name or self.name
        self.embedded: list[str] = []
        self.reason = ""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.reason:
            raise EmbeddingFailed(self.reason)
        self.embedded += texts
        return super().embed(texts)
