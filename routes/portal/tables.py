"""Tables as CSV, out and in."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from starlette.responses import Response, StreamingResponse

from app.errors import Invalid
from routes.api.csv_table import MEDIA_TYPE, cell
from services.paging import MAX_LIMIT

T = TypeVar("T")
MAX_ROWS_OUT = 50_000
Read = str | Callable[[Any], Any]
"""Where a column stands in an entry: the path of an attribute, empty where the way there ends; or what works it out."""


class Listed(Protocol[T]):
    """One page of a list."""

    @property
    def items(self) -> Sequence[T]: ...

    @property
    def next(self) -> str | None: ...


class Table(Generic[T]):
    """What the file of a list holds. Columns whose name is another than the attribute's come first, in `read`."""

    def __init__(self, name: str, /, *same: str, **read: Read) -> None:
        self.name = name
        self.columns = {**read, **{attribute: attribute for attribute in same}}
        self._read = [_reader(how) for how in self.columns.values()]

    def file(self, *lists: Callable[..., Awaitable[Listed[T]]]) -> Response:
        """The whole of paged lists, one after the other, up to MAX_ROWS_OUT rows, sent as it is read."""
        return self._download(_every(lists))

    def file_of(self, entries: Iterable[T]) -> Response:
        """What is at hand already."""

        async def given() -> AsyncIterator[T]:
            for entry in entries:
                yield entry

        return self._download(given())

    def _download(self, entries: AsyncIterator[T]) -> Response:
        headers = {"Content-Disposition": f'attachment; filename="{self.name}.csv"'}
        return StreamingResponse(self._lines(entries), media_type=f"{MEDIA_TYPE}; charset=utf-8", headers=headers)

    async def _lines(self, entries: AsyncIterator[T]) -> AsyncIterator[str]:
        yield line(list(self.columns))
        async for entry in entries:
            yield line([read(entry) for read in self._read])


def _reader(how: Read) -> Callable[[Any], Any]:
    if not isinstance(how, str):
        return how
    names = how.split(".")

    def read(entry: Any) -> Any:
        for name in names:
            if entry is None:
                break
            entry = getattr(entry, name)
        return entry

    return read


async def _every(lists: Iterable[Callable[..., Awaitable[Listed[T]]]]) -> AsyncIterator[T]:
    count = 0
    for list_page in lists:
        after = None
        while count < MAX_ROWS_OUT:
            page = await list_page(limit=MAX_LIMIT, after=after)
            for entry in page.items:
                yield entry
            count += len(page.items)
            if (after := page.next) is None:
                break


def line(cells: Iterable[Any]) -> str:
    """One row of a CSV (RFC 4180) in which no cell runs as a formula."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([cell(_plain(value)) for value in cells])
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def rows_of(content: str, *, columns: frozenset[str], most: int) -> list[dict[str, str]]:
    """The rows of a CSV with a header line. Raises Invalid for what is not one, or names columns that nobody knows."""
    try:
        reader = csv.DictReader(io.StringIO(content.lstrip("\ufeff"), newline=""), strict=True)
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        rows = [row for row in reader if any(_texts(row))]
    except csv.Error as error:
        raise Invalid(f"The file is not CSV: {error}.") from None
    if unknown := [name for name in header if name not in columns]:
        raise Invalid(f"Unknown columns: {', '.join(unknown)[:200]}.")
    if len(rows) > most:
        raise Invalid(f"{len(rows)} rows are too many at once; send {most} at most.")
    # A row that is longer than the header keeps its excess under None.
    return [{name: (value or "").strip() for name, value in row.items() if name is not None} for row in rows]


def _texts(row: dict[Any, Any]) -> list[str]:
    return [value for value in row.values() if isinstance(value, str) and value.strip()]


def written(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    """The rows as CSV again, to be corrected and sent once more."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
