"""The inbox over HTTP: everybody reads their own messages."""

import pytest

from app.security import Role, acting_as, system
from services.engagement.notifications import notify
from tests.support import Api


@pytest.fixture
async def told(api: Api):
    """A client and another's, with two messages for the first and one for the second."""
    mine, theirs = await api.add_user(Role.expert), await api.add_user(Role.expert)
    with acting_as(system("test")):
        await notify([mine.id, theirs.id], subject="Both", body="…", link="/x", dedupe_key="1")
        await notify([mine.id], subject="Mine", body="…", dedupe_key="2")
    return await api.signed_in(mine), await api.signed_in(theirs)


async def test_own_messages_newest_first(told):
    mine, theirs = told

    messages = (await mine.get("/api/inbox")).json()["items"]

    assert [(message["subject"], message["read_at"]) for message in messages] == [("Mine", None), ("Both", None)]
    assert [message["subject"] for message in (await theirs.get("/api/inbox")).json()["items"]] == ["Both"]


async def test_reading(told):
    mine, theirs = told
    newest = (await mine.get("/api/inbox")).json()["items"][0]["notification_id"]

    assert (await theirs.post(f"/api/inbox/{newest}/read")).status_code == 404
    assert (await mine.post(f"/api/inbox/{newest}/read")).json()["read_at"] is not None
    unread = (await mine.get("/api/inbox", params={"unread": True})).json()["items"]
    assert [message["subject"] for message in unread] == ["Both"]
    assert (await mine.post("/api/inbox/read-all")).json() == {"marked": 1}
    assert (await mine.get("/api/inbox", params={"unread": True})).json()["items"] == []
    assert len((await theirs.get("/api/inbox", params={"unread": True})).json()["items"]) == 1
