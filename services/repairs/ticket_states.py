"""The states of a ticket as data: every move has a name, and says from where it leads whereto."""

from enum import StrEnum
from typing import NoReturn

from app.errors import IllegalMove
from models.enums import TicketStatus

OPEN, IN_PROGRESS, PENDING_PARTS, RESOLVED, CLOSED = TicketStatus


class Move(StrEnum):
    progress = "progress"
    resolve = "resolve"
    close = "close"
    reopen = "reopen"


MOVES: dict[Move, dict[TicketStatus, TicketStatus]] = {
    Move.progress: {OPEN: IN_PROGRESS, IN_PROGRESS: PENDING_PARTS, PENDING_PARTS: IN_PROGRESS},
    Move.resolve: {IN_PROGRESS: RESOLVED, PENDING_PARTS: RESOLVED},
    Move.close: {RESOLVED: CLOSED},
    Move.reopen: {RESOLVED: IN_PROGRESS, CLOSED: IN_PROGRESS},
}

WORKABLE = frozenset({OPEN, IN_PROGRESS, PENDING_PARTS})
"""Where work can be recorded and parts allocated. A resolved ticket is reopened first."""


def legal_moves(current: TicketStatus) -> dict[Move, TicketStatus]:
    """What can be done with a ticket in this state, and where it leads."""
    return {move: ways[current] for move, ways in MOVES.items() if current in ways}


def check(move: Move, current: TicketStatus, wanted: TicketStatus) -> None:
    """Raise IllegalMove, naming the legal ones, unless `move` leads from `current` to `wanted`."""
    if MOVES[move].get(current) is wanted:
        return
    _refuse(current, wanted, f"A ticket that is {current} cannot become {wanted} by {move}.")


def check_workable(current: TicketStatus, wanted: str) -> None:
    """Raise IllegalMove unless the ticket can be worked; `wanted` says what was to be done, as in "assigned"."""
    if current not in WORKABLE:
        _refuse(current, wanted, f"A ticket that is {current} cannot be {wanted}.")


def _refuse(current: TicketStatus, wanted: str, sentence: str) -> NoReturn:
    legal = legal_moves(current)
    ways = ", ".join(f"{move} (to {target})" for move, target in legal.items())
    raise IllegalMove(
        f"{sentence} Legal from here: {ways}.",
        current=current,
        wanted=wanted,
        legal=list(dict.fromkeys(legal.values())),
        legal_moves=[{"move": move, "to": target} for move, target in legal.items()],
    )
