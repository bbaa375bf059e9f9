"""Signing in and out."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import Depends
from pydantic import ConfigDict, EmailStr, Field, SecretStr, StringConstraints
from starlette.requests import Request

from app import clock
from app.security import Role
from models.types import Strict
from routes.api.deps import CurrentActor, CurrentSettings
from routes.api.http import ApiRoute, api_router
from routes.api.problems import problems
from routes.api.schemas import Out
from services.accounts import sessions, users

# Failed attempts must stay counted, so these routes do not run in one transaction.
router = api_router("/auth", tag="auth", route_class=ApiRoute)

Password = Annotated[SecretStr, Field(min_length=1, max_length=200)]
NewPassword = Annotated[SecretStr, Field(min_length=users.SHORTEST_PASSWORD, max_length=200)]


class LoginIn(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "admin@efi.example.com", "password": "correct horse battery"}]}
    )

    email: EmailStr
    password: Password


class RefreshIn(Strict):
    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class PasswordChangeIn(Strict):
    current_password: Password
    new_password: NewPassword


class TokensOut(Out):
    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme, not a secret
    expires_in: int = Field(description="Seconds for which the access token is good.", examples=[900])
    refresh_token: str = Field(description="Good for one exchange at `POST /api/auth/refresh`.")
    refresh_expires_at: datetime

    @classmethod
    def of(cls, tokens: sessions.Tokens) -> Self:
        return cls(
            access_token=tokens.access_token,
            expires_in=round((tokens.access_expires_at - clock.now()).total_seconds()),
            refresh_token=tokens.refresh_token,
            refresh_expires_at=tokens.refresh_expires_at,
        )


class MeOut(Out):
    user_id: str = Field(validation_alias="id")
    email: str
    name: str
    roles: list[Role]
    organisation_id: str | None
    site_ids: list[str]
    last_login_at: datetime | None


async def _session_id(request: Request) -> str:
    return request.state.session_id


@router.post("/login", responses=problems(401, 429))
async def login(body: LoginIn, settings: CurrentSettings) -> TokensOut:
    """Sign in. After five failures in a row an address is blocked for a while (429 with Retry-After)."""
    return TokensOut.of(await sessions.login(body.email, body.password.get_secret_value(), settings))


@router.post("/refresh", responses=problems(401))
async def refresh(body: RefreshIn, settings: CurrentSettings) -> TokensOut:
    """Exchange a refresh token for new tokens. Using one a second time ends the session."""
    return TokensOut.of(await sessions.refresh(body.refresh_token, settings))


@router.post("/logout", status_code=204)
async def logout(actor: CurrentActor, session_id: Annotated[str, Depends(_session_id)]) -> None:
    """End this session; its tokens are void from now on."""
    await sessions.logout(actor.id, session_id)


@router.get("/me")
async def me(actor: CurrentActor) -> MeOut:
    """Who you are here."""
    return MeOut.model_validate(await users.get(actor.id))


@router.post("/password", status_code=204, responses=problems(429))
async def change_password(body: PasswordChangeIn, actor: CurrentActor) -> None:
    """Change your own password. Ends all your sessions: sign in again."""
    current, new = body.current_password.get_secret_value(), body.new_password.get_secret_value()
    await users.change_own_password(actor.id, current, new)
