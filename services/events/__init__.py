"""The event log: written together with the state it reports, then processed until every effect has happened once."""

from services.events.record import record

__all__ = ["record"]
