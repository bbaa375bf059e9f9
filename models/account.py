"""People, service accounts, their organisations, sites and sessions."""

from typing import Annotated

from pydantic import ConfigDict, EmailStr, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from app.security import Role
from models.record import Expiry, Record
from models.types import Line, Name, Strict, UtcDatetime


class OrganisationContent(Strict):
    name: Line
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "INR"
    show_likely_causes: bool = Field(
        default=False, description="Whether its people are shown what is suspected before a workshop has looked."
    )


class Organisation(Record, OrganisationContent):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("organisation"))

    class Settings(Record.Settings):
        name = "organisations"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("name", ASCENDING)], unique=True),
        ]


class SiteContent(Strict):
    name: Line
    city: Name = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "IN"
    timezone: Name = "Asia/Kolkata"


class Site(Record, SiteContent):
    """A workshop (the spec's garage)."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("site"))

    class Settings(Record.Settings):
        name = "sites"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("name", ASCENDING)], unique=True),
        ]


class UserContent(Strict):
    email: EmailStr
    name: Line
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
    organisation_id: Id | None = Field(default=None, description="A fleet customer sees this organisation only.")
    site_ids: Annotated[list[Id], Field(max_length=100)] = Field(
        default=[], description="A technician works these sites only."
    )


class User(Record, UserContent):
    """A person, or a service account (role `service`). E-mail addresses are kept in lower case."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("user"))
    password_hash: str
    active: bool = True
    last_login_at: UtcDatetime | None = None
    tokens_valid_from: UtcDatetime | None = Field(
        default=None, description="Access tokens issued earlier are refused: set on logout, role or password change."
    )

    class Settings(Record.Settings):
        name = "users"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("email", ASCENDING)], unique=True),
            IndexModel([("roles", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_ids", ASCENDING), ("_id", DESCENDING)]),
        ]


class Session(Record):
    """One sign-in. Its refresh token changes at every use; using an old one again ends the session."""

    id: str = Field(default_factory=lambda: new_id("session"))
    user_id: str
    refresh_hash: str
    rotation: int = 0
    expires_at: UtcDatetime
    ended_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "sessions"
        expiry = Expiry()
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("expires_at", ASCENDING), ("_id", ASCENDING)]),
        ]


class LoginAttempts(Record):
    """Failed sign-ins for one e-mail address, whether or not anybody has it; `id` is the address's hash."""

    failures: int
    blocked_until: UtcDatetime | None = None
    expires_at: UtcDatetime

    class Settings(Record.Settings):
        name = "login_attempts"
        expiry = Expiry()
        indexes = [
            IndexModel([("_id", ASCENDING), ("failures", ASCENDING)]),
            IndexModel([("expires_at", ASCENDING), ("_id", ASCENDING)]),
        ]
