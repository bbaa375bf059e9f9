"""The brake on guessing and the rotation of refresh tokens, under concurrency."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import EfiError
from app.security import Role, hash_password
from app.settings import Settings
from models.account import Session, User
from services.accounts import sessions
from services.accounts.sessions import FIRST_BLOCK, FREE_ATTEMPTS, LONGEST_BLOCK, RefreshTokenReused, pause_after

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
        actor, _ = await sessions.authenticate(tokens.access_token, key=SETTINGS.signing_key())
        assert actor.id == user.id

    with pytest.raises(RefreshTokenReused):
        await sessions.refresh(first, SETTINGS)


async def test_only_hashes_are_stored(user: User):
    tokens = await sessions.login(user.email, PASSWORD, SETTINGS)

    (session,) = await Session.find_all().to_list()
    assert tokens.refresh_token.rpartition(".")[2] not in session.model_dump_json()
    assert user.password_hash.startswith("$argon2id$")
