"""Start and stop: the store, then what works on it, then what runs by the clock; stopped in reverse order."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import structlog
from fastapi import FastAPI
from pymongo.errors import PyMongoError
from rich.console import Console

from app import database
from app.indexing import index_for
from app.migrations import Step, migrate
from app.security import acting_as, agent, system
from app.settings import Settings
from app.store import OpenStore, open_store
from matching.kernels import COMPILED
from models.enums import Priority
from seeds.load import seed
from services import expiry
from services.accounts import users
from services.diagnosis import matches, runs
from services.diagnosis.guided import experience, guard, problem
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.training.models import ModelFollower
from services.diagnosis.training.run import train
from services.engagement import mail
from services.engagement.language_model import LanguageModel, NoModel, language_model
from services.events.processor import Processor
from services.events.timers import Timers, take_turn
from services.knowledge import evidence_rows, health, redaction, relations
from services.knowledge.network import identity, pulling
from services.repairs import board, photo_files, photos, sla
from services.workflows import HANDLERS
from services.workflows.drafting import suggestions
from services.workflows.patterns.detection import Detector, Policy
from services.workflows.patterns.reading import Period
from services.workflows.rights import RIGHTS

log = structlog.get_logger(__name__)

EXPIRY_INTERVAL = timedelta(minutes=1)
MAIL_INTERVAL = timedelta(seconds=15)
PHOTO_SWEEP_INTERVAL = timedelta(minutes=15)
FADING_INTERVAL = timedelta(hours=1)
SUGGESTIONS_INTERVAL = timedelta(minutes=1)
HEALTH_INTERVAL = timedelta(minutes=5)
TRAINING_INTERVAL = timedelta(hours=1)
PATTERNS_INTERVAL = timedelta(hours=1)
TRAINING_REST = timedelta(hours=20)
"""Between two trainings. A timer of a day would never fire where the service starts anew each morning."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a part of the service does. `off` is a decision, with its reason; `failing` is not."""

    status: Literal["ok", "off", "failing"]
    detail: str = ""


Check = Callable[[], Awaitable[Condition]]


@dataclass
class Service:
    """What runs in this process."""

    store: OpenStore
    index: LiveIndex
    language_model: LanguageModel
    processor: Processor
    detector: Detector
    timers: Timers = field(default_factory=Timers)
    off: dict[str, str] = field(default_factory=dict)
    """Parts that do not run, each with the reason."""

    async def conditions(self) -> dict[str, Condition]:
        """The condition of every part, asked now."""
        checks: dict[str, Check] = {
            "store": self._store,
            "index": self._index,
            "semantic": self._semantic,
            "events": self._events,
        }
        found = {name: await check() for name, check in checks.items()}
        found["mail"] = found["network"] = Condition("ok")
        return found | {name: Condition("off", reason) for name, reason in self.off.items()}

    async def _store(self) -> Condition:
        try:
            await database.ping()
        except PyMongoError as error:
            return Condition("failing", str(error))
        return Condition("ok", self.store.kind)

    async def _index(self) -> Condition:
        if not self.index.following:
            return Condition("failing", "the index does not follow the store any more")
        cards = f"{len(self.index.index)} cards"
        return Condition("ok", cards if COMPILED else f"{cards}; the inner loops are not compiled, matches take longer")

    async def _semantic(self) -> Condition:
        """The channel of the index that compares meaning."""
        live = self.index
        if live.index.embedder is None:
            return Condition("off", live.off)
        if not live.embedding.running:
            return Condition("failing", "cards are not embedded any more")
        said = str(live.embedding.advance or live.index.embedder.name)
        trouble = live.embedding.trouble
        return Condition("ok", f"{said}; interrupted, to be tried again: {trouble}" if trouble else said)

    async def _events(self) -> Condition:
        if not self.processor.running:
            return Condition("failing", "the event processor has ended")
        return Condition("ok")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Runs around everything that the application answers.

    Leaves a `Service` as `app.state.service`, and the first admin's password, if it had to be made up, as
    `app.state.first_password`.
    """
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        stack.enter_context(_rights())
        _configure(settings)
        stack.enter_context(evidence_rows.reads_shared())
        stack.enter_context(runs.writes_shared())
        await migrate()
        await expiry.drop_ttl_indexes()
        with acting_as(system("start")):
            app.state.first_password = await users.ensure_admin(settings)
        if settings.seed:
            await migrate([Step("starter_knowledge", _load_starter_knowledge)])
        model = language_model(settings)
        stack.push_async_callback(model.close)
        suggestions.use(model)
        stack.callback(suggestions.use, NoModel())
        board.serve(board.Board())
        stack.callback(board.serve, None)
        index = await _start_index(settings, model, stack)
        service = Service(store, index, model, _processor(settings), _detector(index, settings))
        await _start_processor(service, settings, stack)
        _start_timers(service, settings, stack)
        app.state.service = service
        log.info("started", store=store.kind, cards=len(service.index.index), compiled=COMPILED, off=service.off)
        yield
        log.info("stopping")


def _configure(settings: Settings) -> None:
    """Hand on what the services are set to."""
    half_life = settings.evidence_half_life_days
    evidence_rows.configure(half_life_days=half_life)
    experience.configure(half_life_days=half_life)
    health.configure(review_after_days=settings.review_after_days)
    redaction.configure(phone_region=settings.phone_region)
    identity.configure(secret_key=settings.signing_key)
    sla.configure({priority: getattr(settings, f"sla_{priority}_hours") for priority in Priority})
    runs.configure(keep_days=settings.match_run_days)
    photos.configure(
        max_bytes=settings.max_photo_bytes,
        megapixels=settings.photo_megapixels,
        side_px=settings.photo_side_px,
        per_ticket=settings.photos_per_ticket,
    )
    guard.configure(expensive_part_cost=settings.expensive_part_cost)
    problem.configure(
        labour_rate_per_hour=settings.labour_rate_per_hour,
        hand_over_cost=settings.hand_over_cost,
        repair_in_vain_cost=settings.repair_in_vain_cost,
    )


@contextmanager
def _rights() -> Iterator[None]:
    """Hold agents to what is granted to them."""
    before = database.guard.policy
    database.guard.policy = RIGHTS
    try:
        yield
    finally:
        database.guard.policy = before


async def _load_starter_knowledge() -> dict[str, Any]:
    console = Console(stderr=True) if sys.stderr.isatty() else None
    return {kind: str(count) for kind, count in (await seed(console=console)).items()}


async def _start_index(settings: Settings, model: LanguageModel, stack: AsyncExitStack) -> LiveIndex:
    index = await index_for(settings, model)
    with acting_as(system("index")):
        await index.start()
        stack.push_async_callback(index.stop)
        follower = ModelFollower(index)
        await follower.start()
    stack.push_async_callback(follower.stop)
    matches.serve(index)
    stack.callback(matches.serve, None)
    return index


def _processor(settings: Settings) -> Processor:
    return Processor(HANDLERS, lease_seconds=settings.event_lease_seconds, max_attempts=settings.event_max_attempts)


def _detector(index: LiveIndex, settings: Settings) -> Detector:
    period = Period(settings.pattern_window_days, settings.pattern_baseline_days, settings.pattern_max_tickets)
    return Detector(index, Policy(period, settings.pattern_min_vehicles, settings.pattern_false_discovery_rate))


async def _start_processor(service: Service, settings: Settings, stack: AsyncExitStack) -> None:
    if not settings.process_events:
        service.off["events"] = "EFI_PROCESS_EVENTS is off: another replica must process them"
        return
    await service.processor.start(alone=service.store.alone)
    stack.push_async_callback(service.processor.stop)


def _start_timers(service: Service, settings: Settings, stack: AsyncExitStack) -> None:
    service.timers.every(EXPIRY_INTERVAL, "expiry", expiry.sweep)
    if settings.smtp_host:
        service.timers.every(MAIL_INTERVAL, "mail", lambda: mail.send_due(settings))
    else:
        service.off["mail"] = "EFI_SMTP_HOST is not set: messages stay in the inbox"
    service.timers.every(FADING_INTERVAL, "graph", relations.refresh_faded)
    if service.language_model.available:
        service.timers.every(SUGGESTIONS_INTERVAL, "suggestions", suggestions.ask_due)
    service.timers.every(PHOTO_SWEEP_INTERVAL, "photo_files", photo_files.sweep)
    service.timers.every(HEALTH_INTERVAL, "knowledge_health", _judge_cards)
    if settings.network_pull_seconds:
        service.timers.every(timedelta(seconds=settings.network_pull_seconds), "network", pulling.pull_all)
    else:
        service.off["network"] = "EFI_NETWORK_PULL_SECONDS is 0: peers are asked when somebody says so"
    service.timers.every(TRAINING_INTERVAL, "training", lambda: _train(service, settings))
    service.timers.every(PATTERNS_INTERVAL, "patterns", service.detector.detect)
    service.timers.start()
    stack.push_async_callback(service.timers.stop)


async def _judge_cards() -> None:
    """See which cards are due for review."""
    with acting_as(agent("health")):
        await health.look()


async def _train(service: Service, settings: Settings) -> None:
    """Learn from technicians' decisions, once a day at most."""
    if await take_turn("training", TRAINING_REST):
        with acting_as(agent("training")):
            window = timedelta(days=settings.return_window_days)
            await train(service.index, min_decisions=settings.training_min_decisions, return_window=window)
