"""Which card stands today for one that was merged into another."""

from collections.abc import Iterable

from models.failure_card import FailureCard


async def survivors(card_ids: Iterable[str]) -> dict[str, str]:
    """The surviving card by retired one, for those of these cards that have been merged; the others are left out.

    `merged_into` always names the card that is left at the end: when that is merged too, its predecessors follow.
    """
    wanted = sorted(set(card_ids))
    if not wanted:
        return {}
    cards = FailureCard.get_pymongo_collection()
    found = cards.find({"_id": {"$in": wanted}}, {"merged_into": 1})
    return {card["_id"]: card["merged_into"] async for card in found if card.get("merged_into")}


async def survivor(card_id: str) -> str:
    """The card that stands for this one: itself, unless it has been merged."""
    return (await survivors([card_id])).get(card_id, card_id)
