"""What a handler of events is. The table of them stands in `services.workflows` and is handed to the processor."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.event import EfiEvent, EventType

Work = Callable[[EfiEvent], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """One effect of an event, done by the named agent with that agent's rights.

    `run` is called in a transaction and returns what it made of the event, for the log. It may be called again after a
    failure or a crash, but its receipt keeps the effect single. It must neither touch anything outside the store nor
    depend on the order of events: a dead letter can be replayed days later.
    `name` is part of the receipt's id, so renaming a handler makes a replay run it anew.
    """

    name: str
    agent: str
    run: Work


Handlers = Mapping[EventType, Sequence[Handler]]


def handles_as(agent: str) -> Callable[[Work], Handler]:
    """Turn a coroutine function into the handler of the same name."""

    def named(run: Work) -> Handler:
        return Handler(run.__name__, agent, run)

    return named
