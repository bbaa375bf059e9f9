"""The outbox: an event is recorded in the transaction that changes the state it reports."""

from collections.abc import Callable
from datetime import timedelta

from app import clock
from app.database import after_commit, in_a_transaction
from models.event import EfiEvent, Payload
from models.record import ActorRef
from services.writing import insert_many

_listeners: list[Callable[[], None]] = []


def on_recorded(listener: Callable[[], None]) -> None:
    """Call `listener` whenever events have been committed in this process: the processor wakes up by it."""
    _listeners.append(listener)


def forget(listener: Callable[[], None]) -> None:
    _listeners.remove(listener)


def _announce() -> None:
    for listener in _listeners:
        listener()


async def record(payload: Payload, *, site_id: str | None = None, organisation_id: str | None = None) -> EfiEvent:
    """Record that something happened, as the current actor. Only within a transaction: state and event are one."""
    return (await record_all([payload], site_id=site_id, organisation_id=organisation_id))[0]


async def record_all(
    payloads: list[Payload],
    *,
    site_id: str | None = None,
    organisation_id: str | None = None,
    delay: timedelta = timedelta(0),
) -> list[EfiEvent]:
    """Record several events in one round trip; see `record`. They are worked through after `delay`."""
    if not in_a_transaction():
        raise RuntimeError("an event is recorded in the transaction of the change that it reports")
    who = ActorRef.current()
    now = clock.now()
    events = [
        EfiEvent(
            event_type=payload.event_type,
            subject_id=payload.subject_id,
            data=payload.model_dump(mode="json"),
            actor=who,
            cause=who.cause,
            site_id=site_id,
            organisation_id=organisation_id,
            available_at=now + delay,
            created_at=now,
            updated_at=now,
        )
        for payload in payloads
    ]
    if events:
        await insert_many(events)
        after_commit(_announce)
    return events
