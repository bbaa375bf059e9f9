"""Saying what is the matter with a card, and proposing how it should read; finding every place on a phone."""

import html
import re

import pytest
from playwright.async_api import expect

from app.security import Role
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.governance import FlagStatus, ProposalStatus
from routes.portal.editor import TEXTS
from routes.portal.render import NAVIGATION
from services.engagement import notifications
from services.knowledge import cards, flags, proposals
from services.knowledge.access import load_visible
from services.knowledge.content import content_of
from tests.routes.portal import care
from tests.routes.portal.support import WIDTHS, Portal, csrf_token, look, visitor
from tests.support import PASSWORD

HIDDEN = re.compile(r'<input type="hidden" name="([\w.]+)" value="([^"]*)"')

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_a_technician_flags_a_card_and_proposes_how_it_should_read(portal: Portal, script: bool):
    technician = await portal.person(Role.technician)
    card = await care.approved(title=f"Horn silent since the rain ({script})")
    page = await portal.browser_of(technician, java_script_enabled=script)
    await page.goto(f"/cards/{card.id}")
    await page.get_by_text("Say what is the matter").click()
    await page.get_by_label("incomplete").check()
    await page.get_by_label("What is the matter?").fill(care.HOSTILE)
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_text("Your flag waits for an expert.")).to_be_visible()
    await expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    if script:
        await look(page, "card-flagged")
    await page.get_by_role("link", name="Propose an edit").click()
    await page.get_by_label("Cause", exact=True).fill("The plug is wet")
    await page.get_by_label("Why should it read so?").fill("Measured it twice")
    if script:
        await look(page, "proposing")
    await page.get_by_role("button", name="Propose").last.click()
    await expect(page.get_by_text("Your proposed edit waits for an expert.")).to_be_visible()
    with portal.as_actor(technician):
        made = (await proposals.list_proposals(card_id=card.id)).items
        assert [(one.content.root_cause, one.reason) for one in made] == [("The plug is wet", "Measured it twice")]
        assert content_of(await load_visible(card.id)).root_cause != "The plug is wet"


async def test_what_is_missing_or_too_long_is_said_beside_the_field(portal: Portal):
    technician = await portal.person(Role.technician)
    card = await care.approved(title="Horn croaks")
    client = await visitor(portal.api, technician)
    token = await csrf_token(client)
    sent = {"csrf_token": token, "revision": card.version}
    refused = await client.post(f"/cards/{card.id}/flags", data=sent | {"text": "Boards of 2025 lack R14"})
    assert (refused.status_code, "Boards of 2025 lack R14" in refused.text) == (422, True)
    assert beside(refused.text, "kind") == "is needed"
    long = "x" * 100_000
    refused = await client.post(f"/cards/{card.id}/flags", data=sent | {"kind": "wrong", "text": long})
    assert beside(refused.text, "text") == "should have at most 500 characters"
    assert long in refused.text
    with portal.as_actor(technician):
        assert (await flags.list_flags(card_id=card.id)).items == []


async def test_a_reason_that_is_too_long_is_said_beside_the_field(portal: Portal):
    expert = await portal.person(Role.expert)
    card = await care.approved(title="Horn whistles")
    flag = await care.flagged(card, expert)
    client = await visitor(portal.api, expert)
    sent = {"csrf_token": await csrf_token(client), "step": "dismiss", "reason": "x" * 501}
    refused = await client.post(f"/health/flags/{flag.id}", data=sent)
    assert (refused.status_code, beside(refused.text, "reason")) == (422, "should have at most 500 characters")


async def test_an_account_without_a_role_is_refused_in_plain_words(portal: Portal):
    client = await visitor(portal.api, await portal.person(Role.admin))
    typed = {"csrf_token": await csrf_token(client), "name": "Asha", "email": "asha.rao@efi.example.com"}
    refused = await client.post("/users/new", data=typed | {"password": PASSWORD})
    assert (refused.status_code, beside(refused.text, "roles")) == (422, "is needed")


async def test_a_proposal_keeps_the_version_that_it_began_with(portal: Portal):
    technician, expert = await portal.person(Role.technician), await portal.person(Role.expert)
    card = await care.approved(title="Horn crackles")
    flag = await care.flagged(card, technician)
    with portal.as_actor(expert):
        card = await load_visible(card.id)
        wet = content_of(card).model_copy(update={"description": "After washing"})
        await cards.edit(card, wet, edition=card.edition)
    client = await visitor(portal.api, technician)
    path = f"/cards/{card.id}/flags/{flag.id}/propose"
    typed = fields_of(card, csrf_token=await csrf_token(client), revision=card.version, root_cause="Wet plug")
    drawn = await client.post(path, data=typed | {"step": "draw"})
    assert 'name="revision" value="1"' in drawn.text
    nothing = await client.post(path, data=typed | {"step": "save"})
    assert beside(nothing.text, "reason") == "is needed"
    assert (await client.post(path, data=typed | {"step": "save", "reason": "Saw it"})).status_code == 303
    with portal.as_actor(expert):
        (made,) = (await proposals.list_proposals(card_id=card.id)).items
        decided, after = await proposals.accept(made)
    assert (made.base_version, decided.status, after.root_cause) == (1, ProposalStatus.accepted, "Wet plug")


async def test_the_editors_own_buttons_do_not_hide_that_somebody_saved_meanwhile(portal: Portal):
    expert = await portal.person(Role.expert)
    card = await care.approved(title="Horn rattles")
    with portal.as_actor(expert):
        wet = content_of(card).model_copy(update={"description": "After washing"})
        await cards.edit(card, wet, edition=card.edition)
    client = await visitor(portal.api, expert)
    typed = fields_of(card, csrf_token=await csrf_token(client), revision=card.edition)
    page = await client.post(f"/cards/{card.id}/edit", data=typed | {"step": "add"})
    assert f'name="revision" value="{card.edition}"' in page.text


async def test_an_edit_kept_over_a_sign_in_is_saved_if_nobody_else_saved_meanwhile(portal: Portal):
    expert = await portal.person(Role.expert)
    card = await care.approved(title="Horn groans")
    client = await portal.api.anonymous(accept="text/html")
    typed = fields_of(card, revision=card.edition, step="save", title="Horn groans when wet")
    signing_in = {"csrf_token": await csrf_token(client, "/sign-in"), "email": expert.email, "password": PASSWORD}
    kept = {"kept_name": list(typed), "kept_value": list(typed.values()), "next": f"/cards/{card.id}/edit"}
    offered = await client.post("/sign-in", data=signing_in | kept)
    assert "<dt>title</dt>" in offered.text
    assert "<dt>revision</dt>" not in offered.text
    form = offered.text.partition("data-kept")[2]
    again = {name: html.unescape(value) for name, value in HIDDEN.findall(form)}
    assert again["revision"] == str(card.edition)
    assert (await client.post(f"/cards/{card.id}/edit", data=again)).status_code == 303
    with portal.as_actor(expert):
        assert (await load_visible(card.id)).title == "Horn groans when wet"


async def test_who_may_flag_what(portal: Portal):
    card, other = await care.approved(title="Horn hums"), await care.approved(title="Horn beeps")
    technician, maker = await portal.person(Role.technician), await portal.person(Role.oem)
    flag = await care.flagged(card, technician)
    colleague = await visitor(portal.api, await portal.person(Role.technician))
    stranger = await visitor(portal.api, maker)
    assert (await colleague.get(f"/cards/{card.id}/flags/{flag.id}/propose")).status_code == 200
    assert (await colleague.get(f"/cards/{other.id}/flags/{flag.id}/propose")).status_code == 404
    assert (await stranger.get(f"/cards/{card.id}/flags/{flag.id}/propose")).status_code == 404
    assert "Boards of 2025 lack R14" not in (await stranger.get(f"/cards/{card.id}")).text
    sent = {"csrf_token": await csrf_token(stranger), "kind": "wrong", "text": "R14 is there", "step": "propose"}
    led = await stranger.post(f"/cards/{card.id}/flags", data=sent)
    assert (await stranger.get(led.headers["location"])).status_code == 200
    customer = await visitor(portal.api, await portal.person(Role.fleet_customer))
    sent = {"csrf_token": await csrf_token(customer), "kind": "wrong", "text": "No"}
    assert (await customer.post(f"/cards/{card.id}/flags", data=sent)).status_code == 403
    with portal.as_actor(technician):
        raised = (await flags.list_flags(card_id=card.id, status=FlagStatus.open)).items
        assert sorted(one.kind for one in raised) == ["outdated", "wrong"]
        assert (await load_visible(card.id)).status is FailureCardStatus.approved


@pytest.mark.parametrize("role", [Role.technician, Role.expert, Role.admin])
async def test_every_place_is_in_sight_on_a_phone(portal: Portal, role: Role):
    person = await portal.person(role)
    with portal.as_actor(person):
        await notifications.notify([person.id], subject="Read me", body="", link="", dedupe_key=f"in sight {role}")
    page = await portal.browser_of(person, width="phone")
    await page.goto("/account")
    links = page.get_by_role("navigation").get_by_role("link")
    assert await links.count() == sum(role in whose for *_, whose in NAVIGATION)
    width = WIDTHS["phone"][0]
    for link in await links.all():
        box = await link.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 40
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


def fields_of(card: FailureCard, **typed: object) -> dict[str, str]:
    """What the editor's form sends for a card without a diagnosis."""
    content = content_of(card)
    shown = {name: getattr(content, name) for name in TEXTS}
    shown |= {"error_codes": " ".join(content.error_codes), "secondary_causes": "\n".join(content.secondary_causes)}
    shown |= {"resolution_steps": "\n".join(step.action for step in content.resolution_steps)}
    return {name: str(value) for name, value in (shown | typed).items()}


def beside(page: str, field: str) -> str:
    """What the page says is wrong with the field."""
    said = re.search(rf'<span class="error" id="{field}-error">([^<]*)</span>', page)
    return html.unescape(said[1]) if said else ""
