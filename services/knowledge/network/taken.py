"""What becomes of one bundle while it is taken in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import Invalid
from app.ids import is_id
from models.enums import FailureCardStatus
from models.network import CardItem, Peer, RefusedItem
from services.knowledge.content import completed
from services.knowledge.network import public

PUBLIC = (FailureCardStatus.approved, FailureCardStatus.deprecated)
Item = TypeVar("Item", bound=BaseModel)


@dataclass
class Taken:
    """`rebased`: cards, by network id, whose score starts from another base now; `card_ids`: what was touched."""

    peer: Peer
    in_bulk: bool = False
    added: int = 0
    updated: int = 0
    conflicts: int = 0
    rebased: set[str] = field(default_factory=set)
    refused: list[RefusedItem] = field(default_factory=list)
    card_ids: set[str] = field(default_factory=set)

    def read(self, raw: Sequence[Mapping[str, Any]], model: type[Item]) -> list[Item]:
        """The items that are sound; the others are noted."""
        sound = []
        for one in raw:
            try:
                item = model.model_validate(one)
                if isinstance(item, CardItem):
                    _require_sound(item)
            except ValidationError as error:
                first = error.errors()[0]
                self.refuse(one, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
            except Invalid as error:
                self.refuse(one, error.detail)
            else:
                sound.append(item)
        return sound

    def refuse(self, item: Mapping[str, Any], reason: str) -> None:
        self.refused.append(RefusedItem(item=str(item.get("network_id"))[:100], reason=reason[:500]))


def _require_sound(item: CardItem) -> None:
    """Raise Invalid for what no author could have stored, or an id that is not the card's."""
    if item.card.status not in PUBLIC:
        raise Invalid(f"a card that is {item.card.status} does not travel")
    expected = public.network_id(item.network_id, item.natural_key)
    if item.network_id != expected or not is_id(item.network_id, "card"):
        raise Invalid("its id is not that of its key")
    completed(item.card.content)
