"""People and service accounts, as admins keep them."""

import asyncio
import secrets
from typing import Any

from pymongo.errors import DuplicateKeyError

from app import clock
from app.database import in_transaction
from app.errors import Conflict, Duplicate, Invalid, NotFound, Stale
from app.security import Role, hash_password, verify_password
from app.settings import Settings
from models.account import Organisation, Site, User, UserContent
from services.accounts import sessions
from services.paging import Page, page
from services.writing import update

SHORTEST_PASSWORD = 10


class LastAdmin(Conflict):
    code, title = "last_admin", "Somebody must remain who can administer the service"


class WrongPassword(Invalid):
    code, title = "wrong_password", "The current password is wrong"


async def create(content: UserContent, password: str) -> User:
    """Add an account. Raises Invalid for roles that do not fit and Duplicate for a known e-mail address."""
    content = content.model_copy(update={"email": content.email.lower()})
    await _check(content)
    user = User(**content.model_dump(), password_hash=await asyncio.to_thread(hash_password, password))
    try:
        await user.insert()
    except DuplicateKeyError:
        raise _address_taken(content.email) from None
    return user


async def get(user_id: str) -> User:
    user = await User.find_one({"_id": user_id})
    if user is None:
        raise NotFound.of("user", user_id)
    return user


async def with_address(email: str) -> User:
    user = await User.find_one({"email": email.lower()})
    if user is None:
        raise NotFound.of("user", email)
    return user


async def list_users(
    *,
    role: Role | None = None,
    active: bool | None = None,
    organisation_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[User]:
    wanted = {"roles": role, "active": active, "organisation_id": organisation_id}
    query = {name: value for name, value in wanted.items() if value is not None}
    return await page(User, query, limit=limit, after=after)


async def edit(user: User, changes: dict[str, Any], *, revision: int) -> User:
    """Change name, address, roles, organisation or sites. Raises Stale, Invalid, Duplicate or LastAdmin."""
    if user.revision != revision:
        raise Stale("Somebody else changed this account; read it again.")
    content = UserContent.model_validate(user.model_dump(include=set(UserContent.model_fields)) | changes)
    content = content.model_copy(update={"email": content.email.lower()})
    await _check(content)
    if Role.admin not in content.roles:
        await _keep_an_admin(user)
    try:
        return await update(user, content.model_dump())
    except DuplicateKeyError:
        raise _address_taken(content.email) from None


async def set_active(user: User, *, active: bool) -> User:
    """Open or close an account. Closing ends its sessions at once."""
    if user.active == active:
        return user
    if not active:
        await _keep_an_admin(user)
        await sessions.end_all(user.id)
    return await update(user, {"active": active})


async def set_password(user: User, password: str) -> None:
    """A new password, given by an admin. Ends every session and lifts a block on signing in. Raises Invalid."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid.field("password", f"must have at least {SHORTEST_PASSWORD} characters")
    await update(user, {"password_hash": await asyncio.to_thread(hash_password, password)})
    await sessions.end_all(user.id)
    await sessions.forgive(user.email)


async def change_own_password(user_id: str, current: str, new: str) -> None:
    """Raises WrongPassword. Ends every session, so that whoever else knew the old one is out."""
    user = await get(user_id)
    await sessions.count_attempt(user.email)
    if not await asyncio.to_thread(verify_password, current, user.password_hash):
        raise WrongPassword(errors=[{"field": "current_password", "rule": "is not the current password"}])
    await in_transaction(lambda: set_password(user, new))


async def ensure_admin(settings: Settings) -> str | None:
    """See that there is an admin. Returns the password if one had to be made up: it is stored nowhere else."""
    if await User.find_one({"roles": Role.admin}) is not None:
        return None
    given = settings.admin_password.get_secret_value()
    password = given or secrets.token_urlsafe(12)
    try:
        await create(UserContent(email=settings.admin_email, name="Administrator", roles=[Role.admin]), password)
    except Duplicate:
        return None  # another replica was quicker
    return None if given else password


async def with_role(role: Role) -> list[User]:
    """Everybody active who has this role."""
    return await User.find({"roles": role, "active": True}).to_list()


async def _check(content: UserContent) -> None:
    if Role.service in content.roles and len(content.roles) > 1:
        raise Invalid.field("roles", "a service account has no other role")
    if len(set(content.roles)) != len(content.roles):
        raise Invalid.field("roles", "must name each role once")
    if Role.fleet_customer in content.roles and content.organisation_id is None:
        raise Invalid.field("organisation_id", "a fleet customer belongs to an organisation")
    if content.organisation_id is not None and not await Organisation.find_one({"_id": content.organisation_id}):
        raise Invalid.field("organisation_id", "there is no such organisation", content.organisation_id)
    known = {site.id async for site in Site.find({"_id": {"$in": content.site_ids}})} if content.site_ids else set()
    if unknown := [site_id for site_id in content.site_ids if site_id not in known]:
        raise Invalid.field("site_ids", "there is no such site", unknown[0])


async def _keep_an_admin(user: User) -> None:
    """Raises LastAdmin if `user` is the only admin left. Within the transaction that takes the role away."""
    if Role.admin not in user.roles or not user.active:
        return
    # Writing to the one who remains makes this clash with whoever takes that one's role away at the same time.
    remains = await User.get_pymongo_collection().update_one(
        {"roles": Role.admin, "active": True, "_id": {"$ne": user.id}}, {"$set": {"updated_at": clock.now()}}
    )
    if not remains.matched_count:
        raise LastAdmin(f"{user.email} is the only admin.")


def _address_taken(email: str) -> Duplicate:
    return Duplicate(
        "Somebody has this e-mail address already.",
        errors=[{"field": "email", "rule": "must be unique, and this value is taken", "value": email}],
    )
