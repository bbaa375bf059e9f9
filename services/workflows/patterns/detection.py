"""One run of pattern detection: read, look for what is unusual, and bring the incidents in line with it."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import structlog
from pymongo.errors import BulkWriteError, DuplicateKeyError

from app.database import in_transaction
from app.errors import Stale
from app.security import acting_as, agent, current_actor
from matching import Embedder, HashingEmbedder
from matching.embedding import EmbeddingFailed
from matching.emergence import Cluster, Scan, belong_together, scan
from models.incident import IncidentStatistic, IncidentStatus, IncidentTicket
from services.diagnosis.live_index import LiveIndex
from services.leases import hold
from services.workflows.patterns import incidents
from services.workflows.patterns.incidents import DETECTOR, Found
from services.workflows.patterns.reading import Analyses, Period, Read, read

T = TypeVar("T")
log = structlog.get_logger(__name__)

LEASE = "pattern-detection"
MOST_MEMBERS = 300
"""Tickets that one group brings into an incident at a time: a transaction must stay small, the next run goes on."""
MOST_EMBEDDED = 2_000
"""Texts that a run embeds. Until all that it needs are, it does without meaning: half of them would bend the test."""
ATTEMPTS = 3
LEAST_AROUND = 2
"""Tickets of an incident around another that draw it in: one alone may stand at its edge."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is looked at, and what counts as unusual (Settings.pattern_*)."""

    period: Period
    least_vehicles: int
    false_discovery_rate: float


@dataclass(slots=True)
class Detection:
    """What a run looked at and what became of it, by incident id. `idle`: another one was under way."""

    idle: bool = False
    tickets: int = 0
    unexplained: int = 0
    earlier_tickets: int = 0
    tests: int = 0
    opened: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)


class Detector:
    """Keeps what it has read out of texts from one run to the next. `live` is the index of this replica."""

    def __init__(self, live: LiveIndex, policy: Policy) -> None:
        self._live, self._policy = live, policy
        self._analyses = Analyses()
        self._vectors: dict[str, tuple[int, np.ndarray]] = {}
        self._embedder = ""

    async def detect(self) -> Detection:
        """Look once, as the agent. One replica looks at a time; should two meet all the same, they do no harm."""
        actor = current_actor()
        who = agent(DETECTOR.name, on_behalf_of=actor.on_behalf_of or actor.id, cause=actor.cause)
        async with hold(LEASE) as held:
            if not held:
                return Detection(idle=True)
            with acting_as(who):
                seen = await read(self._policy.period, self._analyses)
                found = await asyncio.to_thread(self._scan, seen)
                return await self._settle(seen, found)

    def _scan(self, seen: Read) -> Scan:
        options = {
            "least": self._policy.least_vehicles,
            "false_discovery_rate": self._policy.false_discovery_rate,
        }
        if (embedder := self._local_embedder()) is not None:
            try:
                meanings = _Meanings(embedder, seen.texts, self._vectors)
                return scan(seen.reports, **options, embed=meanings)
            except (_TooMany, EmbeddingFailed) as reason:
                log.info("patterns are looked for without meaning", reason=str(reason))
        return scan(seen.reports, **options)

    def _local_embedder(self) -> Embedder | None:
        """Hashed words tell nothing that the words do not, and a remote model is not sent texts by the thousand."""
        embedder = self._live.index.embedder
        if embedder is None or isinstance(embedder, HashingEmbedder) or self._live.remote:
            return None
        if embedder.name != self._embedder:
            self._embedder, self._vectors = embedder.name, {}
        return embedder

    async def _settle(self, seen: Read, found: Scan) -> Detection:
        told = Detection(
            tickets=sum(report.current for report in seen.reports),
            unexplained=len(found.neighbours),
            earlier_tickets=sum(not report.current for report in seen.reports),
            tests=found.tests,
        )
        for cluster in found.clusters:
            group = Found(
                [report.key for report in cluster.reports[:MOST_MEMBERS]],
                self._statistic(cluster, seen.baseline_days),
            )
            near = await _incidents_near(group.ticket_ids, found)
            done = await _repeated(lambda group=group, near=near: self._take(group, near))
            told.opened += done.opened
            told.merged += done.merged
            told.extended += done.extended
        await self._join(found, told)
        return told

    async def _take(self, group: Found, near: Set[str]) -> Detection:
        """Open an incident of the group, or extend the one `near`; of several, which are one by that, the oldest stays.

        Open ones come before dismissed ones. What belongs to a closed incident joins it, unless the group reaches a
        living one, too.
        """
        claims = await incidents.claims_on(group.ticket_ids)
        related = [await incidents.get(incident_id) for incident_id in sorted(near)]
        living = [one for one in related if one.status is not IncidentStatus.closed]
        living.sort(key=lambda one: (one.status is not IncidentStatus.open, one.id))
        free = [
            ticket_id
            for ticket_id in group.ticket_ids
            if (claim := claims.get(ticket_id)) is None
            or (claim.incident_id is None and near.isdisjoint(claim.taken_out_of))
        ]
        if not related:
            if len(free) >= self._policy.least_vehicles:
                return Detection(opened=[(await incidents.open_new(Found(free, group.statistic))).id])
            return Detection()
        first, *others = living or related[:1]
        others = [other for other in others if other.ticket_count <= incidents.MOST_MOVED]
        for other in others:
            first = await incidents.merge(first, other)
        if not (free or others):
            return Detection()
        await incidents.extend(first, free, group.statistic)
        return Detection(extended=[first.id], merged=[other.id for other in others])

    async def _join(self, found: Scan, told: Detection) -> None:
        """A ticket joins the incident that most of the tickets around it belong to, unusual or not by now."""
        claims = await _claims(found.neighbours)
        joining: defaultdict[str, list[str]] = defaultdict(list)
        for key, around in found.neighbours.items():
            claim = claims.get(key)
            if claim is not None and claim.incident_id is not None:
                continue
            near = Counter(other.incident_id for one in around if (other := claims.get(one)) and other.incident_id)
            for incident_id, count in near.most_common(1):
                taken_out = claim is not None and incident_id in claim.taken_out_of
                if count >= LEAST_AROUND and 2 * count >= len(around) and not taken_out:
                    joining[incident_id].append(key)
        for incident_id, ticket_ids in joining.items():

            async def join(incident_id: str = incident_id, ticket_ids: Sequence[str] = ticket_ids) -> None:
                await incidents.extend(await incidents.get(incident_id), ticket_ids[:MOST_MEMBERS])

            await _repeated(join)
            if incident_id not in told.extended:
                told.extended.append(incident_id)

    def _statistic(self, cluster: Cluster, baseline_days: int) -> IncidentStatistic:
        scope = " ".join(filter(None, (cluster.scope.make, cluster.scope.line))) or "all vehicles"
        window = self._policy.period.window
        often = f"1 in {1 / cluster.chance:,.0f}" if cluster.chance > 1e-12 else "less than 1 in a million million"
        return IncidentStatistic(
            vehicles=cluster.subjects,
            window_days=window,
            earlier_vehicles=cluster.earlier,
            baseline_days=baseline_days,
            expected=cluster.expected,
            chance=cluster.chance,
            scope=scope[:120],
            explanation=(
                f"{cluster.subjects} vehicles with alike unexplained tickets in {window} days, where "
                f"{cluster.expected:.1f} were expected: {_basis(cluster, scope, baseline_days)}, the chance of so many "
                f"would be {often}."
            )[:500],
        )


def _basis(cluster: Cluster, scope: str, baseline_days: int) -> str:
    """By what it was reckoned how many are expected."""
    before, now = cluster.scope.before, cluster.scope.now
    if not cluster.by_fleet:
        return (
            f"there were {cluster.earlier} among {before:,} tickets of {scope} in the {baseline_days} days before, and "
            f"{now:,} tickets since. If nothing had changed"
        )
    return (
        f"so many are usual among the {now:,} tickets of {scope} in that time. There is too little history to compare "
        f"with ({before:,} earlier tickets, {cluster.earlier} of them alike). Were this failure as frequent as others"
    )


async def _claims(ticket_ids: Iterable[str]) -> dict[str, IncidentTicket]:
    found: dict[str, IncidentTicket] = {}
    for batch in _batches(sorted(ticket_ids), MOST_MEMBERS):
        found |= await incidents.claims_on(batch)
    return found


async def _incidents_near(ticket_ids: Sequence[str], found: Scan) -> frozenset[str]:
    """Incidents that are one with this group: they overlap, or its tickets are alike to those of a living one."""
    held: defaultdict[str, set[str]] = defaultdict(set)
    for claim in (await _claims({*found.neighbours, *ticket_ids})).values():
        if claim.incident_id is not None:
            held[claim.incident_id].add(claim.id)
    group, near = set(ticket_ids), set()
    for incident_id, own in held.items():
        closed = (await incidents.get(incident_id)).status is IncidentStatus.closed
        if belong_together(group, own, {} if closed else found.neighbours):
            near.add(incident_id)
    return frozenset(near)


async def _repeated(work: Callable[[], Awaitable[T]]) -> T:
    """In a transaction; once more if somebody else has taken one of the tickets meanwhile."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(BulkWriteError, DuplicateKeyError, Stale):
            return await in_transaction(work)
    return await in_transaction(work)


class _TooMany(Exception):
    pass


class _Meanings:
    """Vectors by ticket id: those that are known, and MOST_EMBEDDED new ones at most. Raises _TooMany beyond."""

    def __init__(self, embedder: Embedder, texts: dict[str, str], known: dict[str, tuple[int, np.ndarray]]) -> None:
        self._embedder, self._texts, self._known = embedder, texts, known
        self._left = MOST_EMBEDDED
        for gone in known.keys() - texts.keys():
            del known[gone]

    def __call__(self, keys: Sequence[str]) -> np.ndarray:
        new = [key for key in keys if key not in self._known or self._known[key][0] != hash(self._texts[key])]
        for batch in _batches(new[: self._left], 64):
            rows = self._embedder.embed([self._texts[key] for key in batch])
            for key, row in zip(batch, rows, strict=True):
                self._known[key] = (hash(self._texts[key]), row.astype(np.float16))
        if len(new) > self._left:
            raise _TooMany(f"{len(new) - self._left} texts are still to be embedded")
        self._left -= len(new)
        shape = (len(keys), self._embedder.dimension)
        return np.array([self._known[key][1] for key in keys], np.float32).reshape(shape)


def _batches(keys: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
