"""What the calibrated scorer has learnt from technicians' decisions."""

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from models.record import ActorRef, Record
from models.types import Strict, UtcDatetime


class ModelFigures(Strict):
    """How well weights do on decided tickets: mean log-loss of the truth, and nDCG@10 over those with a known card."""

    log_loss: float
    ndcg_10: float
    decisions: int


class TrainingRecord(Strict):
    """What a training saw and what it gave. `before` and `after` are of the same decisions; `after` by five-fold
    cross-validation grouped by card, so that no decision is judged by weights that have seen its card."""

    decisions: int
    known: int = Field(description="Decided for a card.")
    none: int = Field(description="Decided for no known failure.")
    decisions_hash: str
    decided_from: UtcDatetime
    decided_until: UtcDatetime
    embedder: str | None
    learnt: list[str] = Field(description="Features whose weights were fitted; the others keep the prior's.")
    chance: ModelFigures = Field(description="Of guessing blindly, by the share of tickets without a known failure.")
    prior: ModelFigures
    after: ModelFigures
    serving: ModelFigures | None = Field(default=None, description="Of the model in service, on what it had not seen.")
    after_on_same: ModelFigures | None = Field(default=None, description="Of this one, on the same decisions.")


class MatchModel(Record):
    """One training of the calibrated scorer, or the prior that comes with the service; `id` is its version.

    The model that was activated last is the one in service. A refused one keeps its record and has no parameters.
    """

    base: str = Field(description="Version of the shipped prior it was fitted from; with another it is not served.")
    number: int = 0
    parameters: str = Field(default="", description="The model as JSON, as the scorer reads it; empty for the prior.")
    record: TrainingRecord | None = None
    refused: str = Field(default="", description="Why it was not taken.")
    activated_at: UtcDatetime | None = None
    activated_by: ActorRef | None = None

    class Settings(Record.Settings):
        name = "match_models"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("number", DESCENDING)]),
            IndexModel([("activated_at", DESCENDING)]),
        ]
