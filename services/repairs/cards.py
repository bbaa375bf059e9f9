"""What repairs need to know of failure cards: that a card named exists, and which parts it asks for."""

from collections.abc import Iterable, Mapping

from app.errors import Invalid
from models.failure_card import FailureCard, RequiredPart


async def require_cards(named: Mapping[str, str | None]) -> None:
    """Raise Invalid unless every card named exists; keys are the fields that name them, None names no card."""
    wanted = {card_id for card_id in named.values() if card_id is not None}
    if not wanted:
        return
    cards = FailureCard.get_pymongo_collection()
    known = {card["_id"] async for card in cards.find({"_id": {"$in": sorted(wanted)}}, {"status": 1})}
    errors = [
        {"field": field, "rule": "names no failure card", "value": card_id}
        for field, card_id in named.items()
        if card_id is not None and card_id not in known
    ]
    if errors:
        raise Invalid("; ".join(f"{error['field']}: {error['rule']}" for error in errors[:5]), errors=errors)


async def required_parts(card_ids: Iterable[str]) -> dict[str, list[RequiredPart]]:
    """The parts that each card asks for, in the order of `card_ids`; unknown cards are left out."""
    order = list(dict.fromkeys(card_ids))
    cards = FailureCard.get_pymongo_collection()
    found = {
        card["_id"]: [RequiredPart.model_validate(part) for part in card.get("required_parts", [])]
        async for card in cards.find({"_id": {"$in": order}}, {"required_parts": 1})
    }
    return {card_id: found[card_id] for card_id in order if card_id in found}
