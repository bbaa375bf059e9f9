"""Who wants to know when cards or symptoms have changed in this process: the live matching index does."""

from collections.abc import Callable

from app.database import after_commit

Listener = Callable[[frozenset[str]], None]
_listeners: list[Listener] = []


def on_changed(listener: Listener) -> None:
    """Call `listener` with the ids of what has changed once that has committed. It must be quick and not fail."""
    _listeners.append(listener)


def forget(listener: Listener) -> None:
    _listeners.remove(listener)


def announce(*ids: str) -> None:
    """Tell the listeners after the running transaction has committed; nobody is told of one that did not."""
    changed = frozenset(ids)

    def tell() -> None:
        for listener in _listeners:
            listener(changed)

    if changed:
        after_commit(tell)
