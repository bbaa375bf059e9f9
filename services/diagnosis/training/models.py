"""The models of the calibrated scorer: which there are, which one serves, and following it in every replica."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files

import structlog
from pymongo.errors import PyMongoError

from app import clock
from app.database import in_transaction
from app.errors import Conflict, NotFound
from app.security import acting_as, system
from app.tasks import end
from matching.scorers import CalibratedScorer
from matching.scorers.calibrated import SHIPPED, CalibratedModel, Weights
from models.match_model import MatchModel
from models.record import ActorRef
from services.diagnosis.live_index import LiveIndex

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
DROPPED = ("cross_validated", "trained_on")
"""What the shipped file says of its own training: not of what is learnt from it."""


class ModelRefused(Conflict):
    code = "match_model_refused"


class OtherPrior(Conflict):
    code = "match_model_of_another_release"


def parameters_of(version: str, record: str, variants: Mapping[str, Weights]) -> str:
    """A model as readable JSON: the shipped one with `variants` in place of those of the same embedder."""
    shipped = json.loads(files("matching.models").joinpath(SHIPPED).read_text("utf-8"))
    kept = {name: value for name, value in shipped.items() if name not in DROPPED}
    learnt = {name: asdict(weights) for name, weights in variants.items()}
    model = {**kept, "version": version, "record": record, "variants": {**shipped["variants"], **learnt}}
    return json.dumps(json.loads(json.dumps(model, default=float), parse_float=_readable))


def _readable(number: str) -> float:
    """Five significant digits: more than decisions can tell."""
    return float(f"{float(number):.5g}")


def load(model: MatchModel) -> CalibratedModel:
    """Raises ValueError for parameters that this release cannot read."""
    return CalibratedModel.load(model.parameters) if model.parameters else CalibratedModel.shipped()


async def all_models() -> list[MatchModel]:
    """Every training, latest first, then the shipped prior, whether or not it has ever been activated by hand."""
    found = await MatchModel.find_all().to_list()
    shipped = CalibratedModel.shipped().version
    if all(model.id != shipped for model in found):
        found.append(MatchModel(id=shipped, base=shipped))
    return sorted(found, key=lambda model: (-model.number, model.id))


async def active_version() -> str:
    """The model in service: the one activated last among those of this release's prior, else that prior."""
    base = CalibratedModel.shipped().version
    # Asked every few seconds: the parameters stay in the store.
    activated = MatchModel.get_pymongo_collection().find(
        {"activated_at": {"$gt": clock.FIRST}}, {"base": 1, "activated_at": 1}
    )
    own = [model async for model in activated if model["base"] == base]
    return max(own, key=lambda model: model["activated_at"])["_id"] if own else base


async def active() -> MatchModel:
    return await get(await active_version())


async def get(version: str) -> MatchModel:
    """Raises NotFound."""
    found = await MatchModel.find_one({"_id": version})
    if found is None:
        if version != (base := CalibratedModel.shipped().version):
            raise NotFound.of("match model", version)
        found = MatchModel(id=base, base=base)
    return found


async def scorer_at(version: str) -> CalibratedScorer | None:
    """The calibrated scorer as it was in this version; None if it is not kept, or of another release."""
    try:
        model = await get(version)
    except NotFound:
        return None
    own = model.base == CalibratedModel.shipped().version and not model.refused
    return CalibratedScorer(load(model)) if own else None


async def activate(model: MatchModel) -> MatchModel:
    """Let this model serve in every replica within POLL_SECONDS. Raises ModelRefused and OtherPrior."""
    base = CalibratedModel.shipped().version
    if model.refused:
        raise ModelRefused(f"{model.id} was refused: {model.refused}.")
    if model.base != base:
        raise OtherPrior(f"{model.id} was learnt from {model.base}; this release ships {base}, whose features differ.")

    async def note() -> None:
        now = clock.now()
        change = {"activated_at": now, "activated_by": ActorRef.current().model_dump(), "updated_at": now}
        models = MatchModel.get_pymongo_collection()
        if not (await models.update_one({"_id": model.id}, {"$set": change, "$inc": {"revision": 1}})).matched_count:
            await MatchModel(id=model.id, base=base, activated_at=now, activated_by=ActorRef.current()).insert()

    await in_transaction(note)
    return await get(model.id)


class ModelFollower:
    """Keeps this replica's calibrated scorer at the model in service."""

    def __init__(self, live: LiveIndex, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._live, self._poll_seconds = live, poll_seconds
        self._unreadable = ""
        self._task: asyncio.Task[None] | None = None

    async def refresh(self) -> str:
        """Take up the model in service; returns the version that now serves here."""
        scorers = self._live.matcher.scorers
        version = await active_version()
        if scorers[CalibratedScorer.name].version != version != self._unreadable:
            try:
                scorers[CalibratedScorer.name] = CalibratedScorer(load(await get(version)))
            except ValueError:
                self._unreadable = version
                log.exception("the match model cannot be read, the former one goes on", version=version)
            else:
                log.info("a match model serves", version=version)
        return scorers[CalibratedScorer.name].version

    async def start(self) -> None:
        await self.refresh()
        self._task = asyncio.create_task(self._follow(), name="match-models")

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def _follow(self) -> None:
        with acting_as(system("index")):
            while True:
                await asyncio.sleep(self._poll_seconds)
                try:
                    await self.refresh()
                except PyMongoError as error:
                    log.warning("the match models could not be followed", reason=str(error))
