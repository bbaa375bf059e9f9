"""Tables as CSV, out and in."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response, StreamingResponse

from app.errors import Invalid
from models.record import Record
from services.paging import MAX_LIMIT, Page

R = TypeVar("R", bound=Record)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MAX_ROWS_OUT = 50_000


def download(name: str, header: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> Response:
    """A CSV file (RFC 4180, UTF-8), sent as it is read."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_lines(header, rows), media_type="text/csv; charset=utf-8", headers=headers)


async def every(
    list_page: Callable[..., Awaitable[Page[R]]], row: Callable[[R], Sequence[Any]]
) -> AsyncIterator[Sequence[Any]]:
    """A row of each document of a paged list, up to MAX_ROWS_OUT."""
    after, count = None, 0
    while count < MAX_ROWS_OUT:
        page = await list_page(limit=MAX_LIMIT, after=after)
        for document in page.items:
            yield row(document)
        count += len(page.items)
        if (after := page.next) is None:
            return


async def _lines(header: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> AsyncIterator[str]:
    yield _line(header)
    async for row in rows:
        yield _line(row)


def _line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


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
