"""Photos over HTTP: who may send and see them, what is kept of them, and what is refused."""

import io
from datetime import timedelta
from typing import Any

import httpx
import pytest
from PIL import Image

from app.security import Role, acting_as, system
from models.account import Organisation, Site
from models.photo import LoosePhotoFile, Photo, PhotoChunk, PhotoFile, PhotoThumbnail
from services.repairs import photo_files, photos
from tests import pictures as samples
from tests.support import Api


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


@pytest.fixture
async def ticket(technician: httpx.AsyncClient) -> str:
    return await new_ticket(technician)


async def new_ticket(client: httpx.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/api/tickets", json={"title": "Dashboard shows a lamp"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket_id"]


async def send(
    client: httpx.AsyncClient, ticket: str, content: bytes, *, name: str = "photo.jpg", key: str = "", **fields: str
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(
        f"/api/tickets/{ticket}/photos", files={"file": (name, content, "image/jpeg")}, data=fields, headers=headers
    )


async def stored() -> dict[str, int]:
    """How many documents each collection of photos holds."""
    with acting_as(system("test")):
        kinds = (Photo, PhotoThumbnail, PhotoFile, PhotoChunk, LoosePhotoFile)
        return {kind.Settings.name: await kind.get_pymongo_collection().count_documents({}) for kind in kinds}


async def test_is_sent_listed_shown_and_removed(technician: httpx.AsyncClient, ticket: str):
    sent = samples.jpeg(samples.noise(600, 450), orientation=6)
    answer = await send(technician, ticket, sent, name="../../evil.exe", caption=" Lamp under the speed ")

    assert answer.status_code == 201, answer.text
    photo = answer.json()
    assert (photo["caption"], photo["media_type"]) == ("Lamp under the speed", "image/jpeg")
    assert (photo["width"], photo["height"]) == (450, 600)
    assert photo["uploaded_by"]["kind"] == "user"
    listed = (await technician.get(f"/api/tickets/{ticket}/photos")).json()
    assert listed == {"items": [photo], "next": None}

    shown = await technician.get(f"/api/photos/{photo['photo_id']}")
    assert (shown.status_code, len(shown.content)) == (200, photo["size_bytes"])
    assert samples.SECRET.encode() not in shown.content
    assert Image.open(io.BytesIO(shown.content)).size == (450, 600)
    small = await technician.get(f"/api/photos/{photo['photo_id']}/thumbnail")
    assert Image.open(io.BytesIO(small.content)).size == (240, 320)
    for one in (shown, small):
        assert one.headers["content-type"] == "image/jpeg"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["content-disposition"] == f'inline; filename="{photo["photo_id"]}.jpg"'
        assert one.headers["cache-control"].startswith("private")
        assert one.headers["content-security-policy"].startswith("default-src 'none'")
        again = await technician.get(one.url.path, headers={"If-None-Match": one.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", one.headers["etag"])
    assert shown.headers["etag"] != small.headers["etag"]

    assert (await technician.delete(shown.url.path)).status_code == 204
    assert (await technician.get(shown.url.path)).status_code == 404
    assert (await technician.delete(shown.url.path)).status_code == 404
    with acting_as(system("test")):
        await photo_files.sweep(timedelta(hours=-1))
    assert set((await stored()).values()) == {0}


async def test_large_pictures_come_back_whole(technician: httpx.AsyncClient, ticket: str):
    drawing = samples.png(samples.noise(800, 700))
    photo = (await send(technician, ticket, drawing, name="scope.png")).json()
    assert photo["media_type"] == "image/png"
    assert (await stored())["photo_files.chunks"] > 4
    shown = await technician.get(f"/api/photos/{photo['photo_id']}")
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).tobytes() == samples.noise(800, 700).tobytes()


async def test_the_same_file_is_kept_once_for_a_ticket(technician: httpx.AsyncClient, ticket: str):
    other = await new_ticket(technician)
    first = (await send(technician, ticket, samples.jpeg())).json()
    again = await send(technician, ticket, samples.jpeg(), caption="another")
    assert (again.status_code, again.json()) == (201, first)
    assert (await send(technician, other, samples.jpeg())).json()["photo_id"] != first["photo_id"]
    counts = await stored()
    assert (counts["photos"], counts["photo_files.files"], counts["loose_photo_files"]) == (2, 2, 0)


async def test_a_repeated_request_gets_its_answer_and_a_changed_one_none(technician: httpx.AsyncClient, ticket: str):
    first = await send(technician, ticket, samples.jpeg(), key="k1", caption="one")
    again = await send(technician, ticket, samples.jpeg(), key="k1", caption="one")
    assert first.request.headers["content-type"] != again.request.headers["content-type"]  # another boundary
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    for content, caption in ((samples.jpeg(), "two"), (samples.png(), "one")):
        other = await send(technician, ticket, content, key="k1", caption=caption)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert (await stored())["photos"] == 1


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 422, "is empty"),
        (samples.SVG, 422, "is not a picture"),
        (samples.HTML, 422, "is not a picture"),
        (samples.HEIC, 422, "HEIC"),
        (samples.jpeg()[:-100], 422, "is damaged"),
        (samples.png_bomb(), 422, "pixels"),
        (samples.text_bomb(), 422, "is damaged"),
        (samples.jpeg() + bytes(10 * 2**20), 413, "larger than 10 MB"),
        (bytes(20 * 2**20), 413, "bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refuses_what_is_no_sound_picture(
    technician: httpx.AsyncClient, ticket: str, content: bytes, status: int, said: str
):
    answer = await send(technician, ticket, content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert set((await stored()).values()) == {0}


async def test_a_wrong_name_or_type_changes_nothing_and_a_page_within_is_cut_off(
    technician: httpx.AsyncClient, ticket: str
):
    photo = (await send(technician, ticket, samples.polyglot(), name="page.html")).json()
    shown = await technician.get(f"/api/photos/{photo['photo_id']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert b"<script" not in shown.content


@pytest.mark.parametrize(
    ("options", "status", "field"),
    [
        ({"json": {"file": "x"}}, 415, None),
        ({"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, None),
        ({"files": {"picture": ("a.jpg", samples.jpeg())}}, 422, "file"),
        ({"files": [("file", ("a.jpg", b"1")), ("file", ("b.jpg", b"2"))]}, 400, None),
        ({"files": {"file": ("a.jpg", samples.jpeg())}, "data": {"caption": "x" * 201}}, 422, "caption"),
        ({"files": {"file": ("a.jpg", samples.jpeg())}, "data": {"colour": "red"}}, 422, "colour"),
        ({"files": {"file": ("a.jpg", samples.jpeg())}, "data": {"workshop_only": "perhaps"}}, 422, "workshop_only"),
    ],
)
async def test_forms_are_read_strictly(
    technician: httpx.AsyncClient, ticket: str, options: dict[str, Any], status: int, field: str | None
):
    answer = await technician.post(f"/api/tickets/{ticket}/photos", **options)
    assert answer.status_code == status, answer.text
    if field:
        assert answer.json()["errors"][0]["field"] == field
    assert (await stored())["photos"] == 0


async def test_tenancy(api: Api, technician: httpx.AsyncClient):
    with acting_as(system("test")):
        other_fleet = await Organisation(name="Fleet Two").insert()
        other_site = await Site(name="Workshop Two").insert()
    customer = await api.as_role(Role.fleet_customer)
    stranger = await api.as_role(Role.fleet_customer, organisation_id=other_fleet.id)
    elsewhere = await api.as_role(Role.technician, site_ids=[other_site.id])
    admin, expert = await api.as_role(Role.admin), await api.as_role(Role.expert)
    ticket = await new_ticket(admin, site_id=api.site.id, organisation_id=api.organisation.id)
    shared = (await send(customer, ticket, samples.jpeg())).json()
    own = (await send(technician, ticket, samples.png(), workshop_only="true")).json()
    assert own["workshop_only"] is True

    seen = {customer: [200, 404], stranger: [404, 404], elsewhere: [404, 404], technician: [200, 200]}
    seen |= {expert: [200, 200], admin: [200, 200]}
    for client, expected in seen.items():
        for path in ("", "/thumbnail"):
            found = [(await client.get(f"/api/photos/{one['photo_id']}{path}")).status_code for one in (shared, own)]
            assert found == expected
        listed = await client.get(f"/api/tickets/{ticket}/photos")
        assert len(listed.json().get("items", [])) == expected.count(200)
    for client in (stranger, elsewhere):
        assert (await send(client, ticket, samples.webp())).status_code == 404
    assert (await send(customer, ticket, samples.jpeg(), workshop_only="true")).status_code == 403
    for role in (Role.oem, Role.manufacturer):
        assert (await (await api.as_role(role)).get(f"/api/photos/{shared['photo_id']}")).status_code == 403

    path = f"/api/photos/{shared['photo_id']}"
    removed = [(await client.delete(path)).status_code for client in (stranger, technician, expert, customer)]
    assert removed == [404, 403, 403, 204]
    assert (await admin.delete(f"/api/photos/{own['photo_id']}")).status_code == 204


async def test_a_ticket_has_its_limit_and_a_closed_one_takes_none(
    technician: httpx.AsyncClient, ticket: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(photos.limits, "per_ticket", 2)
    answers = [await send(technician, ticket, samples.jpeg(samples.noise(9, 9, n))) for n in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[2].json()["code"] == "too_many_photos"
    closed = await new_ticket(technician)
    for verb, body in (("progress", {"status": "in_progress"}), ("resolve", {"resolution": "Done"}), ("close", {})):
        assert (await technician.post(f"/api/tickets/{closed}/{verb}", json=body)).status_code == 200
    assert (await send(technician, closed, samples.jpeg())).json()["code"] == "ticket_closed"
    counts = await stored()
    assert (counts["photos"], counts["photo_files.files"], counts["loose_photo_files"]) == (2, 2, 0)


async def test_an_action_names_photos_of_its_ticket(technician: httpx.AsyncClient, ticket: str):
    mine = (await send(technician, ticket, samples.jpeg())).json()["photo_id"]
    foreign = (await send(technician, await new_ticket(technician), samples.jpeg())).json()["photo_id"]
    body = {"ticket_id": ticket, "resolution_outcome": "partial"}

    async def record(*named: str) -> httpx.Response:
        return await technician.post("/api/efi/technician-actions", json=body | {"photos": list(named)})

    refused = await record(mine, foreign)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "photos.1")
    taken = await record(mine, "shelf 3, album B")
    assert (taken.status_code, taken.json()["photos"]) == (201, [mine, "shelf 3, album B"])
