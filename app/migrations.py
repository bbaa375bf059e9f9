"""Changes to what is stored already, in numbered steps.

A step runs once per store, under a lease, before the service answers. It must be repeatable: a crash in its midst runs
it again. Steps are never changed or removed once released; new ones go to the end. New indexes and collections need
none: they are made when the store is opened.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app.errors import Unavailable
from app.security import acting_as, system
from models.bookkeeping import Migration
from services import leases
from services.knowledge import graph_upkeep

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """`name` starts with the step's number; `run` returns what it did, for the record."""

    name: str
    run: Callable[[], Awaitable[dict[str, Any]]]


STEPS: Sequence[Step] = (
    Step("0001_knowledge_graph", graph_upkeep.bring_over),
    Step("0002_graph_samples", graph_upkeep.draw_samples),
)


async def migrate(steps: Sequence[Step] = STEPS, *, patience: float = PATIENCE_SECONDS) -> list[str]:
    """Run the steps that this store has not seen, in order; returns their names.

    Another replica that migrates is waited for. Raises Unavailable if it does not finish within `patience` seconds.
    """
    with acting_as(system("migrations")):
        if not await _pending(steps):
            return []
        async with leases.hold("migrations", patience=patience) as held:
            if not held:
                raise Unavailable("Another replica is migrating the store and does not finish.")
            pending = await _pending(steps)
            for step in pending:
                result = await step.run()
                await Migration(id=step.name, result=result).insert()
                log.info("migrated", step=step.name, **result)
            return [step.name for step in pending]


async def _pending(steps: Sequence[Step]) -> list[Step]:
    names = [step.name for step in steps]
    if names != sorted(set(names)):
        raise ValueError(f"migration steps must be in order and unlike: {names}")
    done = {migration.id async for migration in Migration.find({"_id": {"$in": names}})} if names else set()
    return [step for step in steps if step.name not in done]
