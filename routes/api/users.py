"""People and service accounts, for admins."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Response
from pydantic import ConfigDict, EmailStr, Field, model_validator

from app.ids import Id
from app.security import Role
from models.account import User, UserContent
from models.types import Line, Strict
from routes.api.auth import NewPassword
from routes.api.deps import IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.accounts import users

router = api_router("/users", tag="users")


class UserIn(UserContent):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "email": "asha@workshop.example.com",
                    "name": "Asha Rao",
                    "roles": ["technician"],
                    "password": "a first password",
                }
            ]
        },
    )

    password: NewPassword


class UserPatch(Strict):
    """What is left out stays as it is."""

    email: EmailStr | None = None
    name: Line | None = None
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))] | None = None
    organisation_id: Id | None = None
    site_ids: Annotated[list[Id], Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _only_the_organisation_can_be_none(self) -> "UserPatch":
        for name in self.model_fields_set - {"organisation_id"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} may be left out but not null")
        return self


class PasswordIn(Strict):
    password: NewPassword


class UserOut(Out):
    user_id: str = Field(validation_alias="id")
    email: str
    name: str
    roles: list[Role]
    organisation_id: str | None
    site_ids: list[str]
    active: bool
    last_login_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def _load(user_id: Annotated[Id, Path()]) -> User:
    return await users.get(user_id)


CurrentUser = Annotated[User, Depends(_load)]


@router.post("", status_code=201, responses=problems(409))
async def create_user(body: UserIn, response: Response) -> UserOut:
    """Add a person, or a service account (role `service` alone) for a program."""
    content = UserContent.model_validate(body.model_dump(exclude={"password"}))
    return _shown(await users.create(content, body.password.get_secret_value()), response)


@router.get("")
async def list_users(
    page: PageQuery,
    role: Annotated[Role | None, Query()] = None,
    active: Annotated[bool | None, Query()] = None,
    organisation_id: Annotated[Id | None, Query()] = None,
) -> PageOut[UserOut]:
    """Newest first."""
    found = await users.list_users(role=role, active=active, organisation_id=organisation_id, **page.as_arguments())
    return PageOut[UserOut].of(found)


@router.get("/{user_id}", responses=problems(404))
async def get_user(user: CurrentUser, response: Response) -> UserOut:
    return _shown(user, response)


@router.patch("/{user_id}", responses=problems(404, 409, 412, 428))
async def edit_user(user: CurrentUser, body: UserPatch, revision: IfMatch, response: Response) -> UserOut:
    """Change some fields. Roles, organisation and sites count from the user's next request on."""
    changes = body.model_dump(include=body.model_fields_set)
    return _shown(await users.edit(user, changes, revision=revision), response)


@router.post("/{user_id}/deactivate", responses=problems(404, 409, 412))
async def deactivate_user(user: CurrentUser, response: Response) -> UserOut:
    """Close an account and end its sessions at once. What the user did stays on record."""
    return _shown(await users.set_active(user, active=False), response)


@router.post("/{user_id}/activate", responses=problems(404, 412))
async def activate_user(user: CurrentUser, response: Response) -> UserOut:
    """Open a closed account again."""
    return _shown(await users.set_active(user, active=True), response)


@router.post("/{user_id}/password", status_code=204, responses=problems(404, 412))
async def reset_password(user: CurrentUser, body: PasswordIn) -> None:
    """Give the user a new password. Ends all their sessions and lifts a block on signing in."""
    await users.set_password(user, body.password.get_secret_value())


def _shown(user: User, response: Response) -> UserOut:
    etag(response, user.revision)
    return UserOut.model_validate(user)
