"""The inbox, and the same messages by e-mail through a real mail server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP

from app import clock
from app.errors import NotFound
from app.security import Role
from app.settings import Settings
from models.account import User
from models.notification import Notification
from services.engagement import mail
from services.engagement.notifications import inbox, mark_all_read, mark_read, notify

pytestmark = pytest.mark.usefixtures("as_system")


class Mailbox:
    """A mail server's memory. `refuse` answers so many deliveries with a temporary failure."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refuse = 0
        self.port = 0

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - the server's interface
        if self.refuse:
            self.refuse -= 1
            return "451 try again later"
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mailbox), "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    yield mailbox
    server.close()
    await server.wait_closed()


@pytest.fixture
def settings(mailbox: Mailbox) -> Settings:
    return Settings(
        _env_file=None,
        env="test",
        smtp_host="127.0.0.1",
        smtp_port=mailbox.port,
        smtp_starttls=False,
        smtp_from="efi@workshop.example.com",
        public_url="https://efi.example.com/",
    )


async def add_user(name: str, *roles: Role, active: bool = True) -> User:
    user = User(
        email=f"{name}@efi.example.com", name=name.capitalize(), roles=list(roles), password_hash="", active=active
    )
    return await user.insert()


REVIEW = {"subject": "Draft to review", "body": "A new failure was found.", "link": "/review/rev_1", "dedupe_key": "r1"}


async def test_everybody_active_with_the_role_is_told_once():
    asha, ravi = await add_user("asha", Role.expert), await add_user("ravi", Role.expert, Role.admin)
    await add_user("left", Role.expert, active=False)
    tina = await add_user("tina", Role.technician)

    first = await notify(Role.expert, **REVIEW)
    assert {message.user_id for message in first} == {asha.id, ravi.id}

    late = await add_user("late", Role.expert)
    assert [message.user_id for message in await notify(Role.expert, **REVIEW)] == [late.id]
    assert len((await inbox(asha.id)).items) == 1
    assert (await inbox(tina.id)).items == []


async def test_telling_at_the_same_time_tells_once():
    asha = await add_user("asha", Role.expert)

    await asyncio.gather(*(notify([asha.id, asha.id], **REVIEW) for _ in range(6)))

    assert len((await inbox(asha.id)).items) == 1


async def test_nobody_to_tell():
    assert await notify(Role.expert, **REVIEW) == []


async def test_reading():
    asha, ravi = await add_user("asha", Role.expert), await add_user("ravi", Role.expert)
    for number in range(3):
        await notify([asha.id], **REVIEW | {"dedupe_key": str(number)})
    newest = (await inbox(asha.id)).items[0]

    read = await mark_read(asha.id, newest.id)
    assert read.read_at is not None
    assert (await mark_read(asha.id, newest.id)).read_at == read.read_at
    with pytest.raises(NotFound):
        await mark_read(ravi.id, newest.id)
    assert len((await inbox(asha.id, unread=True)).items) == 2
    assert [message.id for message in (await inbox(asha.id, unread=False)).items] == [newest.id]
    assert await mark_all_read(asha.id) == 2
    assert (await inbox(asha.id, unread=True)).items == []


async def test_e_mail_is_sent_once(mailbox: Mailbox, settings: Settings):
    asha = await add_user("asha", Role.expert)
    (notification,) = await notify([asha.id], **REVIEW | {"subject": "Two\r\nlines: ä"})

    assert await mail.send_due(settings) == 1
    assert await mail.send_due(settings) == 0

    (message,) = mailbox.messages
    assert (message["To"], message["From"]) == ("asha@efi.example.com", "efi@workshop.example.com")
    assert message["Subject"] == "Two lines: ä"
    assert message["Message-ID"] == f"<{notification.id}@workshop.example.com>"
    assert message.get_content().split() == [*REVIEW["body"].split(), "https://efi.example.com/review/rev_1"]
    stored = await Notification.get(notification.id)
    assert stored.emailed_at is not None
    assert stored.email_due_at is None


async def test_two_replicas_send_it_once(mailbox: Mailbox, settings: Settings):
    asha = await add_user("asha", Role.expert)
    for number in range(5):
        await notify([asha.id], **REVIEW | {"dedupe_key": str(number)})

    sent = await asyncio.gather(mail.send_due(settings), mail.send_due(settings))

    assert sum(sent) == 5
    assert len({message["Message-ID"] for message in mailbox.messages}) == len(mailbox.messages) == 5


async def test_a_failure_is_tried_again_later(mailbox: Mailbox, settings: Settings):
    asha = await add_user("asha", Role.expert)
    (notification,) = await notify([asha.id], **REVIEW)
    mailbox.refuse = 1

    assert await mail.send_due(settings) == 0
    stored = await Notification.get(notification.id)
    assert "451" in stored.email_error
    assert stored.email_due_at > clock.now() + mail.FIRST_RETRY * 0.9

    await make_due(notification)
    assert await mail.send_due(settings) == 1
    assert (await Notification.get(notification.id)).email_error == ""


async def test_a_server_that_never_answers_is_given_up(settings: Settings, mailbox: Mailbox):
    asha = await add_user("asha", Role.expert)
    (notification,) = await notify([asha.id], **REVIEW)
    mailbox.refuse = mail.MAX_ATTEMPTS + 1

    for _ in range(mail.MAX_ATTEMPTS):
        await make_due(notification)
        await mail.send_due(settings)

    stored = await Notification.get(notification.id)
    assert (stored.email_attempts, stored.email_due_at, stored.emailed_at) == (mail.MAX_ATTEMPTS, None, None)


async def test_nothing_old_is_sent_and_nothing_to_closed_accounts(mailbox: Mailbox, settings: Settings):
    asha, left = await add_user("asha", Role.expert), await add_user("left", Role.expert, active=False)
    (old,) = await notify([asha.id], **REVIEW)
    await make_due(old, clock.now() - mail.TOO_OLD - timedelta(minutes=1))
    await notify([left.id], **REVIEW)

    assert await mail.send_due(settings) == 0
    assert await mail.send_due(settings) == 0
    assert mailbox.messages == []


async def test_without_a_mail_server_nothing_is_tried():
    asha = await add_user("asha", Role.expert)
    (notification,) = await notify([asha.id], **REVIEW)

    assert await mail.send_due(Settings(_env_file=None, env="test")) == 0
    assert (await Notification.get(notification.id)).email_attempts == 0


async def make_due(notification: Notification, when=None) -> None:
    await Notification.get_pymongo_collection().update_one(
        {"_id": notification.id, "email_due_at": {"$ne": None}}, {"$set": {"email_due_at": when or clock.now()}}
    )
