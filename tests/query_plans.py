"""Finds queries that read a whole collection: watch a scenario, then ask the store how it answers what it was asked.

with watched() as queries:
    ...  # open the client in here: listeners are taken over by clients made later
assert await queries.scans(database) == set()
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo import monitoring
from pymongo.asynchronous.database import AsyncDatabase


class QueryWatch(monitoring.CommandListener):
    """Keeps one example of each shape of filter per collection."""

    def __init__(self) -> None:
        self.examples: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        self.watching = False

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.watching:
            collection = event.command.get(event.command_name)  # nothing where the driver hides a sign-in
            for query in _filters(event.command_name, event.command):
                self.examples.setdefault((event.command_name, str(collection), _shape(query)), query)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to note."""

    async def scans(self, database: AsyncDatabase[dict[str, Any]]) -> set[str]:
        """`command collection filter` of every watched query that no index of `database` answers.

        `findAndModify` always counts: SecantusDB scans for it even by `_id`.
        """
        found = set()
        for (command, collection, shape), query in self.examples.items():
            plan = (await database[collection].find(query).explain())["queryPlanner"]["winningPlan"]
            if command == "findAndModify" or "COLLSCAN" in stages(plan):
                found.add(f"{command} {collection} {shape}")
        return found


def stages(plan: Any) -> set[str]:
    """The names of all stages in a plan, at any depth."""
    if isinstance(plan, list):
        return set().union(*map(stages, plan))
    if not isinstance(plan, Mapping):
        return set()
    own = {plan["stage"]} if isinstance(plan.get("stage"), str) else set()
    return own.union(*map(stages, plan.values()))


def _filters(name: str, command: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    match name:
        case "find":
            return [command.get("filter", {})]
        case "count" | "distinct" | "findAndModify":
            return [command.get("query", {})]
        case "update" | "delete":
            return [statement["q"] for statement in command[f"{name}s"]]
        case "aggregate":
            first = next(iter(command["pipeline"]), {})
            return [first.get("$match", {})]
        case _:
            return []


def _shape(value: Any) -> str:
    """The filter with its values left out."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shape(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        return "[" + ", ".join(map(_shape, value)) + "]"
    return "?"


@contextmanager
def watched() -> Iterator[QueryWatch]:
    """Notes the filters of every command that clients made from now on send within the block."""
    watch = QueryWatch()
    monitoring.register(watch)  # the driver knows no way back, hence the switch
    watch.watching = True
    try:
        yield watch
    finally:
        watch.watching = False
