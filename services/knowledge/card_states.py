"""The states of a failure card as data: every move has a name, and says from where it leads whereto."""

from enum import StrEnum

from app.errors import IllegalMove
from models.enums import FailureCardStatus

DRAFT, PENDING_REVIEW, APPROVED, DEPRECATED = FailureCardStatus


class Move(StrEnum):
    submit = "submit"
    approve = "approve"
    reject = "reject"
    deprecate = "deprecate"
    discard = "discard"
    merge = "merge"


MOVES: dict[FailureCardStatus, dict[Move, FailureCardStatus]] = {
    DRAFT: {Move.submit: PENDING_REVIEW, Move.discard: DEPRECATED, Move.merge: DEPRECATED},
    PENDING_REVIEW: {Move.approve: APPROVED, Move.reject: DRAFT, Move.merge: DEPRECATED},
    APPROVED: {Move.deprecate: DEPRECATED, Move.merge: DEPRECATED},
    DEPRECATED: {},
}


def after(move: Move, current: FailureCardStatus) -> FailureCardStatus:
    """The state that a legal move leads to; raises IllegalMove, naming the legal ones, for any other."""
    legal = MOVES[current]
    if move in legal:
        return legal[move]
    ways = ", ".join(f"{way} (to {target})" for way, target in legal.items()) or "nothing, it stays as it is"
    raise IllegalMove(
        f"A card that is {current} does not allow {move}. Legal from here: {ways}.",
        current=current,
        wanted=move,
        legal=list(dict.fromkeys(legal.values())),
        legal_moves=[{"move": way, "to": target} for way, target in legal.items()],
    )
