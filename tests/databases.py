"""Databases that tests use one after the other. Making one, with all its collections and indexes, takes longer than
most tests; so each worker makes few, and empties them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import beanie
from pymongo import MongoClient, monitoring
from pymongo.asynchronous.database import AsyncDatabase

Address = tuple[str, int | None]
Place = tuple[Address, str]
"""A store, and a database there."""


class _Writes(monitoring.CommandListener):
    """Which collections this process has written to."""

    COMMANDS = frozenset({"insert", "update", "delete", "findAndModify"})
    EMPTYING = {"q": {}, "limit": 0}

    def __init__(self) -> None:
        self.collections: dict[Place, set[str]] = defaultdict(set)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        name = event.command_name
        if name in self.COMMANDS and [dict(one) for one in event.command.get("deletes", ())] != [self.EMPTYING]:
            self.collections[event.connection_id, event.database_name].add(event.command[name])

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


_writes = _Writes()
_emptied: set[Place] = set()
_prepared: set[tuple[frozenset[Address], str]] = set()
_settings: dict[type[beanie.Document], Any] = {}
_init_beanie = beanie.init_beanie


def empty(client: MongoClient[dict[str, Any]], database: str) -> None:
    """Remove every document that this process has written; the first time, whoever has. The indexes stay."""
    place = client.address, database
    written = _writes.collections.pop(place, set())
    for name in written if place in _emptied else client[database].list_collection_names():
        client[database][name].delete_many({})
    _emptied.add(place)


async def _bind(*, database: AsyncDatabase[Any], document_models: Sequence[type[beanie.Document]]) -> None:
    """As Beanie does it, but what does not change from one client of a database to the next is done once only."""
    place = frozenset(database.client.topology_description.server_descriptions()), database.name
    if place not in _prepared:
        await _init_beanie(database=database, document_models=document_models)
        _prepared.add(place)
        _settings.update({model: model.get_settings() for model in document_models})
        return
    for model in document_models:
        model._document_settings = _settings[model].model_copy()
        model.set_database(database)
        model.set_collection(database[model.get_settings().name])


def reuse() -> None:
    """From now on clients that connect to a database again find it as it was prepared. Before any client is made."""
    monitoring.register(_writes)
    beanie.init_beanie = _bind
