"""Messages to people. Each stands in the receiver's inbox; `services.engagement.mail` sends it by e-mail too."""

from collections.abc import Iterable

from app import clock
from app.database import in_transaction
from app.errors import NotFound
from app.security import Role
from models.notification import Notification
from services.accounts import users
from services.paging import Page, page
from services.remembered import Remembered

_unread: Remembered[int] = Remembered(Notification.Settings.name)


async def notify(
    to: Role | Iterable[str], *, subject: str, body: str, link: str = "", dedupe_key: str
) -> list[Notification]:
    """Leave a message for these users (ids), or for everybody active with this role; returns what was new.

    Sending again with the same `dedupe_key` adds nothing for those who have it. `link` is the path of the thing it is
    about. In a transaction the message commits with it.
    """
    receivers = [user.id for user in await users.with_role(to)] if isinstance(to, Role) else list(dict.fromkeys(to))

    async def add_new() -> list[Notification]:
        return await _add(receivers, subject=subject, body=body, link=link, dedupe_key=dedupe_key)

    return await in_transaction(add_new)


async def _add(receivers: list[str], *, dedupe_key: str, **content: str) -> list[Notification]:
    known = Notification.find({"dedupe_key": dedupe_key, "user_id": {"$in": receivers}})
    have_it = {notification.user_id async for notification in known}
    messages = [
        Notification(user_id=user_id, dedupe_key=dedupe_key, **content)
        for user_id in receivers
        if user_id not in have_it
    ]
    if messages:
        await Notification.insert_many(messages)
    return messages


async def inbox(
    user_id: str, *, unread: bool | None = None, limit: int = 50, after: str | None = None
) -> Page[Notification]:
    """Newest first."""
    query: dict[str, object] = {"user_id": user_id}
    if unread is not None:
        query["read_at"] = None if unread else {"$ne": None}
    return await page(Notification, query, limit=limit, after=after)


async def unread(user_id: str) -> int:
    """How many messages wait to be read; asked with every page, so a second old at most (see Remembered)."""
    query = {"user_id": user_id, "read_at": None}
    return await _unread.answer(user_id, lambda: Notification.get_pymongo_collection().count_documents(query))


async def mark_read(user_id: str, notification_id: str) -> Notification:
    """Raises NotFound, also for somebody else's message. Marking again keeps the first time."""
    mine = {"_id": notification_id, "user_id": user_id}
    await _mark({**mine, "read_at": None})
    notification = await Notification.find_one(mine)
    if notification is None:
        raise NotFound.of("message", notification_id)
    return notification


async def mark_all_read(user_id: str) -> int:
    """Returns how many were unread."""
    return await _mark({"user_id": user_id, "read_at": None})


async def _mark(query: dict[str, object]) -> int:
    now = clock.now()
    marked = await Notification.get_pymongo_collection().update_many(
        query, {"$set": {"read_at": now, "updated_at": now}, "$inc": {"revision": 1}}
    )
    return marked.modified_count
