"""Tables as CSV (RFC 4180) that a spreadsheet opens without running anything in them."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Response
from starlette.requests import Request

MEDIA_TYPE = "text/csv"
RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}
"""Documents that a route answers in CSV as well."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """The value as it is written. Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, str) and value.lstrip(" \n").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def csv_response(header: Sequence[str], rows: Iterable[Sequence[object]], filename: str) -> Response:
    """The table as a download. `filename` is ours and plain ASCII."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return Response(
        text.getvalue(),
        media_type=f"{MEDIA_TYPE}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


async def _asked_for(
    request: Request,
    file_format: Annotated[
        Literal["json", "csv"] | None, Query(alias="format", description="By default what Accept asks for.")
    ] = None,
) -> bool:
    accepted = request.headers.get("accept", "").startswith(MEDIA_TYPE)
    return file_format == "csv" or (file_format is None and accepted)


AsksForCsv = Annotated[bool, Depends(_asked_for)]
"""Whether the caller wants the table as CSV instead of JSON."""
