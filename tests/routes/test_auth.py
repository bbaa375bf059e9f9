"""Signing in, staying signed in, signing out."""

from datetime import timedelta

import pytest

from app import clock
from app.security import Role, acting_as, system
from models.account import LoginAttempts, User
from tests.support import PASSWORD, Api


async def login(api: Api, user: User, password: str = PASSWORD):
    client = await api.anonymous()
    return await client.post("/api/auth/login", json={"email": user.email, "password": password})


async def test_sign_in_and_see_yourself(api: Api):
    user = await api.add_user(Role.technician)

    answer = await login(api, user)

    assert answer.status_code == 200
    assert 0 < answer.json()["expires_in"] <= api.settings.access_token_minutes * 60
    client = await api.anonymous(Authorization=f"Bearer {answer.json()['access_token']}")
    me = (await client.get("/api/auth/me")).json()
    assert (me["user_id"], me["roles"], me["site_ids"]) == (user.id, ["technician"], [api.site.id])
    assert me["last_login_at"] is not None


async def test_address_is_found_whatever_its_case(api: Api):
    user = await api.add_user(Role.expert)
    user.email = user.email.upper()

    assert (await login(api, user)).status_code == 200


@pytest.mark.parametrize("known", [True, False])
async def test_guessing_is_braked_whether_or_not_the_account_exists(api: Api, known: bool):
    user = await api.add_user(Role.expert)
    if not known:
        user.email = "nobody@efi.example.com"

    answers = [await login(api, user, "wrong") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[0].json()["detail"] == "E-mail address or password is wrong."
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15
    # The right password does not help while the address is blocked.
    assert (await login(api, user)).status_code == 429


async def test_block_ends_and_success_forgets_failures(api: Api):
    user = await api.add_user(Role.expert)
    for _ in range(5):
        await login(api, user, "wrong")
    with acting_as(system("test")):
        await LoginAttempts.get_pymongo_collection().update_one(
            {"failures": 5}, {"$set": {"blocked_until": clock.now() - timedelta(seconds=1)}}
        )

    assert (await login(api, user)).status_code == 200

    with acting_as(system("test")):
        assert await LoginAttempts.count() == 0


async def test_closed_account_cannot_sign_in(api: Api):
    user = await api.add_user(Role.expert)
    admin = await api.as_role(Role.admin)
    client = await api.signed_in(user)

    assert (await admin.post(f"/api/users/{user.id}/deactivate")).json()["active"] is False

    assert (await login(api, user)).status_code == 401
    assert (await client.get("/api/auth/me")).json()["code"] == "unauthenticated"


async def test_refresh_token_is_good_once(api: Api):
    user = await api.add_user(Role.expert)
    first = (await login(api, user)).json()
    client = await api.anonymous()

    second = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200

    again = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    # Thief or owner: the whole session is over, with every token of it.
    after = await client.post("/api/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert after.status_code == 401
    client.headers["Authorization"] = f"Bearer {second.json()['access_token']}"
    assert (await client.get("/api/auth/me")).status_code == 401


@pytest.mark.parametrize("token", ["nonsense", "ses_0000.secret", "."])
async def test_unknown_refresh_token(api: Api, token: str):
    client = await api.anonymous()

    answer = await client.post("/api/auth/refresh", json={"refresh_token": token})

    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid")


async def test_logout_voids_this_sessions_tokens_at_once(api: Api):
    user = await api.add_user(Role.technician)
    here, there = (await login(api, user)).json(), (await login(api, user)).json()
    client = await api.anonymous(Authorization=f"Bearer {here['access_token']}")

    assert (await client.post("/api/auth/logout")).status_code == 204

    assert (await client.get("/api/auth/me")).json()["reason"] == "withdrawn"
    refresh = "/api/auth/refresh"
    assert (await client.post(refresh, json={"refresh_token": here["refresh_token"]})).status_code == 401
    assert (await client.post(refresh, json={"refresh_token": there["refresh_token"]})).status_code == 200


async def test_change_own_password(api: Api):
    user = await api.add_user(Role.technician)
    client = await api.signed_in(user)
    body = {"current_password": "wrong", "new_password": "another passphrase"}

    refused = await client.post("/api/auth/password", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong_password")

    changed = await client.post("/api/auth/password", json=body | {"current_password": PASSWORD})
    assert changed.status_code == 204
    assert (await client.get("/api/auth/me")).status_code == 401
    assert (await login(api, user)).status_code == 401
    assert (await login(api, user, "another passphrase")).status_code == 200


@pytest.mark.parametrize(
    ("header", "reason"),
    [("", "missing"), ("Basic YTpi", "missing"), ("Bearer ", "missing"), ("Bearer a.b.c", "invalid")],
)
async def test_without_a_valid_token(api: Api, header: str, reason: str):
    client = await api.anonymous(**({"Authorization": header} if header else {}))

    answer = await client.get("/api/auth/me")

    assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
