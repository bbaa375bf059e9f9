"""Pictures that come with a form, taken in before the transaction that attaches them."""

from app.errors import EfiError, Invalid
from models.photo import Photo
from models.ticket import Ticket
from routes.portal import render
from routes.portal.options import PHOTOS_AT_ONCE
from routes.portal.visit import Visit
from services.repairs import photos
from services.repairs.photos import Picture

FIELD = "photos"
UPLOADS = [(r"POST /tickets/(new|[^/]+/(photos|action))", PHOTOS_AT_ONCE)]
"""Forms that carry photos, and how many."""


class Uploads:
    """The pictures of one form: `take_in` before the transaction, `attach` within it."""

    def __init__(self, visit: Visit, ticket: Ticket | None = None, *, workshop_only: bool = False) -> None:
        self._visit = visit
        self._ticket = ticket
        self._workshop_only = workshop_only
        self._pictures: list[Picture] = []

    async def take_in(self) -> None:
        """Raises Invalid beside the field, with the name of the file that cannot be taken and why."""
        given = self._visit.form.files.get(FIELD, [])
        if len(given) > PHOTOS_AT_ONCE:
            raise Invalid.field(FIELD, render.text("photos.too_many", n=PHOTOS_AT_ONCE))
        for file in given:
            try:
                picture = await photos.take_in(file.content, ticket=self._ticket, workshop_only=self._workshop_only)
            except EfiError as error:
                faults = error.extra.get("errors")
                if not faults:
                    raise
                raise Invalid.field(FIELD, f"{file.name} {faults[0]['rule']}") from None
            self._pictures.append(picture)

    async def attach(self, ticket: Ticket, *, caption: str = "") -> list[Photo]:
        return [
            await photos.attach(ticket, picture, caption=caption, workshop_only=self._workshop_only)
            for picture in self._pictures
        ]
