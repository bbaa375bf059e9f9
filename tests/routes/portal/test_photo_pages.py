"""Photos on pages, seen without a browser: who is shown what, and what is said about what is refused."""

from typing import Any

import httpx
import pytest

from app.database import transaction
from app.security import Role, acting_as, system
from models.account import Organisation
from models.photo import Photo
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.repairs import photos, tickets
from tests import pictures as samples
from tests.routes.portal.test_http import csrf_token, visitor
from tests.support import Api

Files = list[tuple[str, tuple[str, bytes]]]


@pytest.fixture
async def ticket(api: Api) -> Ticket:
    with acting_as(actor_of(await api.add_user(Role.admin))):
        content = TicketContent(title="A lamp is on")
        return await tickets.create(content, site_id=api.site.id, organisation_id=api.organisation.id)


async def post(client: httpx.AsyncClient, path: str, files: Files, **typed: Any) -> httpx.Response:
    data = {"csrf_token": await csrf_token(client), "once": "one-key", **typed}
    return await client.post(path, data=data, files=files or [("photos", ("", b""))])


def jpegs(count: int) -> Files:
    return [("photos", (f"{n}.jpg", samples.jpeg(samples.noise(9, 9, n)))) for n in range(count)]


async def kept() -> list[Photo]:
    with acting_as(system("test")):
        return await Photo.find_all().to_list()


async def test_each_is_shown_what_they_may_see(api: Api, ticket: Ticket):
    with acting_as(system("test")):
        other = await Organisation(name="Fleet Two").insert()
        pictures = [await photos.take_in(content) for content in (samples.jpeg(), samples.png())]
        async with transaction():
            shared = await photos.attach(ticket, pictures[0])
            own = await photos.attach(ticket, pictures[1], workshop_only=True)
    people = [
        (await api.add_user(Role.technician), [200, 200]),
        (await api.add_user(Role.fleet_customer), [200, 404]),
        (await api.add_user(Role.fleet_customer, organisation_id=other.id), [404, 404]),
        (await api.add_user(Role.technician, site_ids=[]), [404, 404]),
    ]
    for user, expected in people:
        client = await visitor(api, user)
        for path in ("", "/thumbnail"):
            answers = [await client.get(f"/photos/{one.id}{path}") for one in (shared, own)]
            assert [answer.status_code for answer in answers] == expected
            for answer in answers:
                if answer.status_code == 200:
                    assert answer.headers["content-type"] in ("image/jpeg", "image/png")
                    assert answer.headers["cache-control"].startswith("private")
                    assert "Cookie" in answer.headers["vary"]
    stranger = await visitor(api)
    assert (await stranger.get(f"/photos/{shared.id}")).status_code == 303


@pytest.mark.parametrize(
    ("files", "typed", "said"),
    [
        ([], {}, "is needed"),
        ([("photos", ("nothing.jpg", b""))], {}, "nothing.jpg is empty"),
        ([("photos", ("<b>lamp</b>.svg", samples.SVG))], {}, "&lt;b&gt;lamp&lt;/b&gt;.svg is not a picture"),
        ([("photos", ("IMG.HEIC", samples.HEIC))], {}, "IMG.HEIC is a HEIC or AVIF picture"),
        ([("photos", ("big.jpg", samples.jpeg() + bytes(10 * 2**20)))], {}, "big.jpg is larger than 10 MB"),
        (jpegs(6), {}, "at most 5 at a time"),
        (jpegs(1), {"caption": "x" * 201}, "at most 200 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_says_beside_the_field_what_is_wrong(
    api: Api, ticket: Ticket, files: Files, typed: dict[str, str], said: str
):
    client = await visitor(api, await api.add_user(Role.fleet_customer))
    sent = await post(client, f"/tickets/{ticket.id}/photos", files, **typed)
    assert sent.status_code == 422
    assert said in sent.text
    assert 'aria-invalid="true"' in sent.text
    assert 'id="photos-error"' in sent.text or 'id="caption-error"' in sent.text
    assert await kept() == []


async def test_a_form_with_photos_takes_effect_once(api: Api, ticket: Ticket):
    client = await visitor(api, await api.add_user(Role.technician))
    for _ in range(2):
        sent = await post(client, f"/tickets/{ticket.id}/photos", jpegs(2), caption="Lamp", workshop_only="yes")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/tickets/{ticket.id}")
    assert [(one.caption, one.workshop_only) for one in await kept()] == [("Lamp", True)] * 2
    changed = await post(client, f"/tickets/{ticket.id}/photos", jpegs(1), caption="Lamp", workshop_only="yes")
    assert changed.status_code == 409


async def test_a_customer_keeps_nothing_from_themselves_and_removes_only_their_own(api: Api, ticket: Ticket):
    customer = await visitor(api, await api.add_user(Role.fleet_customer))
    technician = await visitor(api, await api.add_user(Role.technician))
    await post(customer, f"/tickets/{ticket.id}/photos", jpegs(1), workshop_only="yes")
    (photo,) = await kept()
    assert photo.workshop_only is False
    assert f'value="{photo.id}"' not in (await technician.get(f"/tickets/{ticket.id}")).text
    refused = await post(technician, f"/tickets/{ticket.id}/photos/remove", [], photo=photo.id)
    assert (refused.status_code, len(await kept())) == (403, 1)
    assert f'value="{photo.id}"' in (await customer.get(f"/tickets/{ticket.id}")).text
    removed = await post(customer, f"/tickets/{ticket.id}/photos/remove", [], photo=photo.id)
    assert (removed.status_code, await kept()) == (303, [])


async def test_photos_are_refused_without_the_token(api: Api, ticket: Ticket):
    client = await visitor(api, await api.add_user(Role.technician))
    sent = await client.post(f"/tickets/{ticket.id}/photos", data={"csrf_token": "x"}, files=jpegs(1))
    assert sent.status_code == 403
    assert await kept() == []


async def test_a_refused_ticket_leaves_no_photo(api: Api):
    client = await visitor(api, await api.add_user(Role.fleet_customer))
    sent = await post(client, "/tickets/new", jpegs(1), title="ab")
    assert sent.status_code == 422
    assert await kept() == []
    sent = await post(client, "/tickets/new", jpegs(1), title="A lamp is on")
    assert sent.status_code == 303
    assert [f"/tickets/{one.ticket_id}" for one in await kept()] == [sent.headers["location"]]
