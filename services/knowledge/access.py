"""Who may see and change which card. Which roles may ask at all is decided by route."""

from app.errors import Conflict, Forbidden, NotFound
from app.security import Actor, ActorKind, Role, current_actor
from models.enums import FailureCardStatus
from models.failure_card import FailureCard

_STAFF = (Role.technician, Role.expert, Role.admin, Role.service)
_CURATORS = (Role.expert, Role.admin)


class CardDeprecated(Conflict):
    code, title = "card_deprecated", "The card has been deprecated"


def sees_every_card(actor: Actor) -> bool:
    """Those who work with the knowledge see it in every state; customers, OEMs and manufacturers what is approved."""
    return actor.kind is not ActorKind.user or actor.has(*_STAFF)


async def load_visible(card_id: str) -> FailureCard:
    """The card. Raises NotFound if there is none, or none that the current actor may see."""
    card = await FailureCard.find_one({"_id": card_id})
    if card is None or not (card.status is FailureCardStatus.approved or sees_every_card(current_actor())):
        raise NotFound.of("failure card", card_id)
    return card


def is_curator(actor: Actor) -> bool:
    """Experts and admins; the system and agents are limited by their rights on collections instead."""
    return actor.kind is not ActorKind.user or actor.has(*_CURATORS)


def require_editor(card: FailureCard) -> None:
    """Experts edit every card that is not deprecated, others their own drafts. Raises Forbidden or CardDeprecated."""
    actor = current_actor()
    if card.status is FailureCardStatus.deprecated:
        raise CardDeprecated(f"{card.id} has been deprecated: it stays as it was.", successor_id=card.successor_id)
    own_draft = card.status is FailureCardStatus.draft and card.created_by == actor.id
    if not (own_draft or is_curator(actor)):
        raise Forbidden("Technicians edit and submit their own drafts only; an expert can change this card.")
