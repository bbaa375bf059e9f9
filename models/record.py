"""What every stored document has in common."""

from datetime import timedelta
from typing import NamedTuple, Self

from beanie import Document
from pydantic import ConfigDict, Field

from app import clock
from app.security import ActorKind, current_actor
from models.types import Strict, UtcDatetime


class ActorRef(Strict):
    """Who did something: a person, an agent or the system itself, on whose behalf, and because of what."""

    kind: ActorKind
    id: str
    name: str = ""
    on_behalf_of: str | None = None
    cause: str | None = Field(default=None, description="The event or request that led to it.")

    @classmethod
    def current(cls) -> Self:
        """The actor of the running request, handler or timer."""
        who = current_actor()
        return cls(kind=who.kind, id=who.id, name=who.name, on_behalf_of=who.on_behalf_of, cause=who.cause)


class Expiry(NamedTuple):
    """A document goes once `after` has passed since the instant in `field`; one without that instant stays."""

    field: str = "expires_at"
    after: timedelta = timedelta()


class Record(Document):
    """A document with a string id. Unknown stored fields are ignored, so that an older replica can read on."""

    model_config = ConfigDict(extra="ignore")

    id: str
    created_at: UtcDatetime = Field(default_factory=clock.now)
    updated_at: UtcDatetime = Field(default_factory=clock.now)
    revision: int = Field(default=1, description="Counts every write; a conditional update names the one it read.")

    class Settings:
        expiry: Expiry | None = None
        """Whether, and when, `services.expiry` removes its documents, for which it needs an index on that instant."""
        # Readers tell a missing field from an empty one by the model's defaults; nulls stay so that a field once
        # set can be queried as null.
        keep_nulls = True
