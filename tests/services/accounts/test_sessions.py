"""The brake on guessing and the rotation of refresh tokens, under concurrency."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from app import clock
from app.database import disconnect
from app.errors import EfiError, Unauthenticated
from app.security import Role, hash_password
from app.settings import Settings
from models.account import Session, User, UserContent
from services.accounts import sessions, users
from services.accounts.sessions import FIRST_BLOCK, FREE_ATTEMPTS, LONGEST_BLOCK, RefreshTokenReused, pause_after
from services.remembered import SECONDS

SETTINGS = Settings(_env_file=None, env="test", secret_key="k" * 40)
PASSWORD = "correct horse battery"


@pytest.fixture
async def user(as_system: None) -> User:
    user = User(
        email="asha@efi.example.com", name="Asha", roles=[Role.technician], password_hash=hash_password(PASSWORD)
    )
    return await user.insert()


@given(st.integers(min_value=0, max_value=10_000))
def test_pauses_grow_and_end(failures: int):
    pause = pause_after(failures)

    assert timedelta() <= pause <= pause_after(failures + 1) <= LONGEST_BLOCK
    assert (pause == timedelta()) == (failures < FREE_ATTEMPTS)
    assert pause_after(FREE_ATTEMPTS) == FIRST_BLOCK


async def test_many_guesses_at_once_are_no_way_around_the_brake(user: User):
    async def guess(number: int) -> str:
        try:
            await sessions.login(user.email, f"guess {number}", SETTINGS)
        except EfiError as error:
            return error.code
        return "in"

    answers = Counter(await asyncio.gather(*(guess(number) for number in range(15))))

    assert answers == {"unauthenticated": FREE_ATTEMPTS, "too_many_requests": 15 - FREE_ATTEMPTS}


async def test_of_two_who_use_a_refresh_token_at_once_one_gets_through_and_the_session_ends(user: User):
    tokens = await sessions.login(user.email, PASSWORD, SETTINGS)

    results = await asyncio.gather(
        *(sessions.refresh(tokens.refresh_token, SETTINGS) for _ in range(2)), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["RefreshTokenReused", "Tokens"]
    (session,) = await Session.find_all().to_list()
    assert session.ended_at is not None


async def test_refreshing_goes_on_and_on(user: User):
    tokens = await sessions.login(user.email, PASSWORD, SETTINGS)
    first = tokens.refresh_token
    for _ in range(3):
        tokens = await sessions.refresh(tokens.refresh_token, SETTINGS)
        actor, _ = await sessions.authenticate(tokens.access_token, key=SETTINGS.signing_key)
        assert actor.id == user.id

    with pytest.raises(RefreshTokenReused):
        await sessions.refresh(first, SETTINGS)


async def test_only_hashes_are_stored(user: User):
    tokens = await sessions.login(user.email, PASSWORD, SETTINGS)

    (session,) = await Session.find_all().to_list()
    assert tokens.refresh_token.rpartition(".")[2] not in session.model_dump_json()
    assert user.password_hash.startswith("$argon2id$")


async def test_somebody_resumed_is_believed_for_a_moment_without_asking(user: User):
    token = (await sessions.login(user.email, PASSWORD, SETTINGS)).refresh_token
    actor, session_id = await sessions.resume(token)
    await disconnect()  # whoever asks the store now fails
    assert await sessions.resume(token) == (actor, session_id)
    assert (actor.id, actor.roles) == (user.id, {Role.technician})


@pytest.mark.parametrize("how", ["logout", "end_all", "close", "password", "refresh", "roles"])
async def test_what_this_process_writes_counts_at_once(user: User, how: str):
    token = (await sessions.login(user.email, PASSWORD, SETTINGS)).refresh_token
    _, session_id = await sessions.resume(token)
    match how:
        case "logout":
            await sessions.logout(user.id, session_id)
        case "end_all":
            await sessions.end_all(user.id)
        case "close":
            await users.create(admin_content(), PASSWORD)
            await users.set_active(await users.get(user.id), active=False)
        case "password":
            await users.set_password(await users.get(user.id), "another long one")
        case "refresh":
            await sessions.refresh(token, SETTINGS)
        case "roles":
            fresh = await users.get(user.id)
            await users.edit(fresh, {"roles": [Role.expert]}, revision=fresh.revision)
            actor, _ = await sessions.resume(token)
            assert actor.roles == {Role.expert}
            return
    with pytest.raises(Unauthenticated):
        await sessions.resume(token)


async def test_what_another_process_writes_counts_within_a_second(
    user: User, other_process: MongoClient[dict[str, Any]], database_name: str
):
    token = (await sessions.login(user.email, PASSWORD, SETTINGS)).refresh_token
    _, session_id = await sessions.resume(token)
    other_process[database_name]["sessions"].update_one({"_id": session_id}, {"$set": {"ended_at": clock.now()}})
    await asyncio.sleep(SECONDS)
    with pytest.raises(Unauthenticated):
        await sessions.resume(token)


async def test_a_session_that_expires_is_not_believed_any_longer(user: User, monkeypatch: pytest.MonkeyPatch):
    token = (await sessions.login(user.email, PASSWORD, SETTINGS)).refresh_token
    await sessions.resume(token)
    later = clock.now() + timedelta(days=SETTINGS.refresh_token_days)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(Unauthenticated):
        await sessions.resume(token)


async def test_a_changed_secret_is_not_believed(user: User):
    token = (await sessions.login(user.email, PASSWORD, SETTINGS)).refresh_token
    await sessions.resume(token)
    with pytest.raises(Unauthenticated):
        await sessions.resume(token[:-1])


def admin_content() -> UserContent:
    return UserContent(email="admin@efi.example.com", name="Admin", roles=[Role.admin])
