"""Many tickets at once: a CSV file in, a report row by row out."""

from dataclasses import dataclass

from pydantic import ValidationError
from starlette.responses import Response

from app.errors import EfiError, Invalid
from models.ticket import TicketContent
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.tables import rows_of, written
from routes.portal.tickets import TICKET_FIELDS
from routes.portal.visit import Visit
from services.repairs import tickets

router = page_router()

MAX_ROWS = 300
"""What one transaction takes in good time."""
EXAMPLE = (
    "title,description,vehicle_number,vehicle_make,vehicle_model,error_codes_reported,priority\n"
    "Stops charging at 80 %,Charger clicks off,MH12AB1234,Ather,450X,P0A7E,high\n"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one row: a ticket, or the reasons why not."""

    number: int
    title: str
    ticket_id: str = ""
    faults: tuple[str, ...] = ()


@router.get("/tickets/upload")
async def show_upload(visit: CurrentVisit) -> Response:
    return await _page(visit)


@router.post("/tickets/upload")
async def upload(visit: CurrentVisit) -> Response:
    """Take in every row that is right, and give those that are not back to be corrected. A file that is sent again
    with the same form adds nothing."""

    async def work() -> Response:
        given = rows_of(_content(visit.form), columns=frozenset(TICKET_FIELDS), most=MAX_ROWS)
        if not given:
            raise Invalid(render.text("bulk.empty"))
        report = [await _take_in(number, row) for number, row in enumerate(given, 1)]
        wrong = [row for row, line in zip(given, report, strict=True) if line.faults]
        visit.form = Form(values={"rows": [written(list(given[0]), wrong)]} if wrong else {})
        return await _page(visit, report)

    return await submit(visit, work, lambda: _page(visit))


async def _take_in(number: int, row: dict[str, str]) -> Row:
    """One row. A ticket that is refused has written nothing, so the others may go on in the same transaction."""
    title = row.get("title", "")
    values: dict[str, object] = dict(row)
    values["error_codes_reported"] = row.get("error_codes_reported", "").replace(",", " ").split()
    try:
        ticket = await tickets.create(read(TicketContent, values))
    except (ValidationError, EfiError) as error:
        form = Form()
        form.refuse(error)
        faults = [f"{render.word(field)}: {rule}" for field, rule in form.errors.items()]
        return Row(number, title, faults=(*faults, *filter(None, [form.notice])))
    return Row(number, title, ticket_id=ticket.id)


def _content(form: Form) -> str:
    """The file if there is one, else what was typed or corrected in the form."""
    if not (files := form.files.get("file")):
        return form.get("rows")
    try:
        return files[-1].content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid.field("file", render.text("bulk.encoding")) from None


async def _page(visit: Visit, report: list[Row] | None = None) -> Response:
    return visit.page("bulk.html", report=report, columns=TICKET_FIELDS, example=EXAMPLE, most=MAX_ROWS)
