"""Sends the inbox's messages by e-mail too, where a mail server is set.

Sending happens outside of any transaction and is at least once: a process that dies between sending and noting it sends
again, with the same Message-ID, by which mail readers know the second copy.
"""

from datetime import timedelta
from email.message import EmailMessage

import aiosmtplib
import structlog

from app import clock
from app.security import acting_as, system
from app.settings import Settings
from models.account import User
from models.notification import Notification

log = structlog.get_logger(__name__)

BATCH = 50
MAX_ATTEMPTS = 8
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=2)
TOO_OLD = timedelta(days=2)
"""What is older is not sent any more: it stands in the inbox, and a mail server set later must not cause a flood."""
TIMEOUT_SECONDS = 20.0
IMPLICIT_TLS_PORT = 465


async def send_due(settings: Settings) -> int:
    """Send what is due, each message to its one receiver; returns how many went out. Nothing without a mail server.

    Failures are tried again with growing pauses and given up after MAX_ATTEMPTS.
    """
    if not settings.smtp_host:
        return 0
    sent = 0
    with acting_as(system("mail")):
        now = clock.now()
        due = {"email_due_at": {"$lte": now, "$gte": now - TOO_OLD}}
        for notification in await Notification.find(due).sort("email_due_at").limit(BATCH).to_list():
            if await _claim(notification):
                sent += await _send(notification, settings)
    return sent


async def _claim(notification: Notification) -> bool:
    """Take this attempt; False if another replica has. Until it ends well, the message is due again after a pause."""
    pause = min(FIRST_RETRY * 2**notification.email_attempts, LONGEST_RETRY)
    return await _note(notification, email_due_at=clock.now() + pause, email_attempts=notification.email_attempts + 1)


async def _send(notification: Notification, settings: Settings) -> bool:
    receiver = await User.find_one({"_id": notification.user_id})
    if receiver is None or not receiver.active:
        await _note(notification, email_due_at=None, email_error="the account is closed")
        return False
    try:
        await aiosmtplib.send(
            compose(notification, receiver, settings),
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password.get_secret_value() or None,
            use_tls=settings.smtp_port == IMPLICIT_TLS_PORT,
            start_tls=settings.smtp_starttls and settings.smtp_port != IMPLICIT_TLS_PORT,
            timeout=TIMEOUT_SECONDS,
        )
    except (aiosmtplib.SMTPException, OSError) as error:
        log.warning("e-mail not sent", notification=notification.id, reason=str(error))
        given_up = {"email_due_at": None} if notification.email_attempts >= MAX_ATTEMPTS else {}
        await _note(notification, email_error=str(error)[:500], **given_up)
        return False
    await _note(notification, email_due_at=None, emailed_at=clock.now(), email_error="")
    return True


async def _note(notification: Notification, **changes: object) -> bool:
    """Write `changes` unless another replica wrote since; keeps `notification` up to date."""
    written = await Notification.get_pymongo_collection().update_one(
        {"_id": notification.id, "email_attempts": notification.email_attempts},
        {"$set": {**changes, "updated_at": clock.now()}, "$inc": {"revision": 1}},
    )
    for name, value in changes.items():
        setattr(notification, name, value)
    return bool(written.matched_count)


def compose(notification: Notification, receiver: User, settings: Settings) -> EmailMessage:
    """The message as an e-mail, with a link into the service if its address is known."""
    sender = settings.smtp_from or str(settings.admin_email)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = receiver.email
    # A header is one line; what people typed may hold more.
    message["Subject"] = " ".join(notification.subject.split())
    message["Date"] = notification.created_at
    message["Message-ID"] = f"<{notification.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    link = f"\n\n{settings.public_url.rstrip('/')}{notification.link}" if settings.public_url else ""
    message.set_content(f"{notification.body}{link if notification.link else ''}\n")
    return message
