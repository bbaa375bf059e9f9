"""Accounts, as admins keep them."""

import asyncio

import httpx
import pytest

from app.security import Role
from tests.support import PASSWORD, Api


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.admin)


def account(**changes: object) -> dict[str, object]:
    return {"email": "asha@efi.example.com", "name": "Asha", "roles": ["technician"], "password": PASSWORD} | changes


async def test_a_new_account_can_sign_in_and_work(api: Api, admin: httpx.AsyncClient):
    created = await admin.post("/api/users", json=account(email="Asha@EFI.example.com", site_ids=[api.site.id]))

    assert created.status_code == 201
    assert created.json()["email"] == "asha@efi.example.com"
    assert "password" not in created.text
    anonymous = await api.anonymous()
    answer = await anonymous.post("/api/auth/login", json={"email": "asha@efi.example.com", "password": PASSWORD})
    client = await api.anonymous(Authorization=f"Bearer {answer.json()['access_token']}")
    assert (await client.get("/api/vehicles")).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"roles": []}, "roles"),
        ({"roles": ["king"]}, "roles.0"),
        ({"roles": ["expert", "expert"]}, "roles"),
        ({"roles": ["service", "admin"]}, "roles"),
        ({"roles": ["fleet_customer"]}, "organisation_id"),
        ({"organisation_id": "org_unknown"}, "organisation_id"),
        ({"site_ids": ["site_unknown"]}, "site_ids"),
        ({"password": "too short"}, "password"),
        ({"email": "nobody"}, "email"),
        ({"active": False}, "active"),
    ],
)
async def test_what_does_not_fit_is_refused(admin: httpx.AsyncClient, change: dict[str, object], field: str):
    answer = await admin.post("/api/users", json=account(**change))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_address_belongs_to_one_account(admin: httpx.AsyncClient):
    assert (await admin.post("/api/users", json=account())).status_code == 201
    other = (await admin.post("/api/users", json=account(email="other@efi.example.com"))).json()

    again = await admin.post("/api/users", json=account(email="ASHA@efi.example.com"))
    moved = await admin.patch(
        f"/api/users/{other['user_id']}", json={"email": "asha@efi.example.com"}, headers={"If-Match": '"1"'}
    )

    for answer in (again, moved):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "email")


async def test_editing_changes_what_is_named_and_counts_at_once(api: Api, admin: httpx.AsyncClient):
    user = await api.add_user(Role.technician)
    client = await api.signed_in(user)
    path = f"/api/users/{user.id}"

    changed = await admin.patch(path, json={"roles": ["expert"]}, headers={"If-Match": '"1"'})

    assert changed.status_code == 200
    assert (changed.json()["roles"], changed.json()["name"], changed.headers["ETag"]) == (["expert"], user.name, '"2"')
    assert (await client.get("/api/auth/me")).json()["roles"] == ["expert"]
    stale = await admin.patch(path, json={"name": "B"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, (await admin.patch(path, json={"name": "B"})).status_code) == (412, 428)
    refused = await admin.patch(path, json={"name": None}, headers={"If-Match": '"2"'})
    assert refused.status_code == 422


async def test_list_by_role_and_state(api: Api, admin: httpx.AsyncClient):
    experts = [await api.add_user(Role.expert) for _ in range(3)]
    await admin.post(f"/api/users/{experts[0].id}/deactivate")

    active = (await admin.get("/api/users", params={"role": "expert", "active": True, "limit": 1})).json()
    assert [user["user_id"] for user in active["items"]] == [experts[2].id]
    rest = (await admin.get("/api/users", params={"role": "expert", "active": True, "after": active["next"]})).json()
    assert ([user["user_id"] for user in rest["items"]], rest["next"]) == ([experts[1].id], None)


async def test_reset_password_ends_sessions(api: Api, admin: httpx.AsyncClient):
    user = await api.add_user(Role.expert)
    client = await api.signed_in(user)

    answer = await admin.post(f"/api/users/{user.id}/password", json={"password": "another passphrase"})

    assert answer.status_code == 204
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_closing_and_opening_an_account(api: Api, admin: httpx.AsyncClient):
    user = await api.add_user(Role.expert)
    client = await api.signed_in(user)

    assert (await admin.post(f"/api/users/{user.id}/deactivate")).json()["active"] is False
    assert (await client.get("/api/auth/me")).status_code == 401
    assert (await admin.post(f"/api/users/{user.id}/activate")).json()["active"] is True
    # Tokens of before stay void: whoever held them signs in anew.
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_one_admin_always_remains(api: Api):
    """Two admins who close each other's account at the same time: one of them is left."""
    first, second = await api.add_user(Role.admin), await api.add_user(Role.admin)
    clients = {first.id: await api.signed_in(first), second.id: await api.signed_in(second)}
    people = (await clients[first.id].get("/api/users", params={"role": "admin"})).json()["items"]
    for user in people:
        if user["user_id"] not in clients:
            await clients[first.id].post(f"/api/users/{user['user_id']}/deactivate")

    answers = await asyncio.gather(
        clients[first.id].post(f"/api/users/{second.id}/deactivate"),
        clients[second.id].post(f"/api/users/{first.id}/deactivate"),
    )

    assert sum(answer.status_code == 200 for answer in answers) == 1
    winner = clients[first.id] if answers[0].status_code == 200 else clients[second.id]
    own = (await winner.get("/api/auth/me")).json()["user_id"]
    refused = await winner.patch(f"/api/users/{own}", json={"roles": ["expert"]}, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
