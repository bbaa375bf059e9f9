"""The inbox on pages, seen without a browser."""

import pytest

from app.security import Role, acting_as, system
from models.account import User
from models.notification import Notification
from services.engagement import notifications
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api


async def tell(user: User, subject: str, link: str = "") -> Notification:
    with acting_as(system("test")):
        [message] = await notifications.notify(
            [user.id], subject=subject, body="<b>Look</b> at it", link=link, dedupe_key=subject
        )
    return message


async def test_messages_are_listed_until_they_are_read(api: Api):
    user = await api.add_user(Role.expert)
    await tell(user, "First")
    client = await visitor(api, user)
    page = (await client.get("/messages")).text
    assert "First" in page
    assert "&lt;b&gt;Look&lt;/b&gt;" in page
    data = {"csrf_token": await csrf_token(client)}
    assert (await client.post("/messages/read", data=data)).headers["location"] == "/messages"
    assert "First" not in (await client.get("/messages")).text
    assert "First" in (await client.get("/messages?view=all")).text


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("/api/tickets/tkt_1", "/tickets/tkt_1"),
        ("/api/efi/review-queue/rev_1", "/reviews/rev_1"),
        ("/api/efi/failure-cards/fc_1", "/cards/fc_1"),
        ("/api/somewhere/else", "/messages"),
        ("", "/messages"),
    ],
)
async def test_opening_one_leads_to_what_it_is_about(api: Api, link: str, place: str):
    user = await api.add_user(Role.technician)
    message, other = await tell(user, "First", link), await tell(user, "Second")
    client = await visitor(api, user)
    sent = await client.post(f"/messages/{message.id}", data={"csrf_token": await csrf_token(client), "step": "open"})
    assert (sent.status_code, sent.headers["location"]) == (303, place)
    with acting_as(system("test")):
        unread = (await notifications.inbox(user.id, unread=True)).items
    assert [one.id for one in unread] == [other.id]


async def test_nobody_reads_what_somebody_else_was_sent(api: Api):
    user = await api.add_user(Role.technician)
    message = await tell(user, "Private")
    other = await visitor(api, await api.add_user(Role.technician))
    assert "Private" not in (await other.get("/messages?view=all")).text
    sent = await other.post(f"/messages/{message.id}", data={"csrf_token": await csrf_token(other)})
    assert sent.status_code == 404
