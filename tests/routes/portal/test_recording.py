"""The record of the work, filled from the guided diagnosis, and the check that was missed before it."""

import re

import pytest

from app.security import acting_as, system
from models.failure_card import FailureCard
from models.part import PartContent
from services.accounts.sessions import actor_of
from services.diagnosis.guided.identity import identity
from services.repairs import stock
from services.repairs.visibility import load_visible
from tests.routes.portal.desk import SAG, SPREAD, Desk, card, costly, know, new_desk, uneven
from tests.routes.portal.support import BUDGET_BYTES
from tests.services.diagnosis.guided_samples import chain, leaf
from tests.support import Api


@pytest.fixture
async def desk(api: Api) -> Desk:
    return await new_desk(api)


@pytest.fixture
async def cards(api: Api) -> dict[str, FailureCard]:
    return await know(costly())


async def test_an_unknown_failure_is_captured(api: Api, desk: Desk):
    page = await desk.begin()
    assert "No known failure explains this" in page
    link = re.findall(r'href="(/tickets/\w+/action\?session=[^"]+)"', page)[0]

    page = await desk.open(link)

    assert re.search(r'name="new_failure_discovered" value="yes" checked', page)
    assert re.search(r"<textarea[^>]*name=\"new_failure_description\"[^>]*>\s*Range is short</textarea>", page)
    fields = {"resolution_outcome": "failed", "new_failure_discovered": "yes", "new_failure_description": "Odd"}
    await desk.send(link, **fields)
    [action] = await desk.recorded()
    assert (action.new_failure_discovered, action.suggest_new_card) == (True, True)


async def test_the_record_is_filled_from_the_session(api: Api, cards, desk: Desk):
    await desk.begin()
    await desk.answer("measured", value="90", unit="mV")
    await desk.send(f"{desk.session_path}/acknowledge")
    await desk.answer("yes", note="Group 7")
    path = f"/tickets/{desk.ticket.id}/action"

    page = await desk.open(path)

    session_id, weak = desk.session_id, cards["weak"].id
    assert f'name="diagnosis_session_id" value="{session_id}"' in page
    assert re.search(rf'name="failure_card_used" value="{weak}" checked', page)
    assert re.search(r'name="diagnostic_time_minutes" type="text" value="20"', page)
    fields = {"resolution_outcome": "success", "failure_card_used": weak, "resolution_steps_followed": "New group"}
    await desk.send(path, **fields, diagnosis_session_id=session_id, resolve="yes")
    [action] = await desk.recorded()
    assert action.diagnosis_session_id == session_id
    assert len(action.attempted_diagnostics) == 2
    assert [one.card_id for one in action.rejected_hypotheses] == [cards["charger"].id]
    with acting_as(actor_of(desk.user)):
        assert (await load_visible(desk.ticket.id)).status == "resolved"


async def test_the_record_leaves_out_what_was_unticked_and_is_filled_once(api: Api, cards, desk: Desk):
    await desk.begin()
    await desk.answer(uneven(desk))
    path = f"/tickets/{desk.ticket.id}/action"
    fields = {"resolution_outcome": "partial", "diagnosis_session_id": desk.session_id}
    await desk.open(path)
    await desk.send(path, **fields, without_diagnosis="yes")
    [action] = await desk.recorded()
    assert (action.diagnosis_session_id, action.attempted_diagnostics) == (None, [])
    await desk.open(path)
    await desk.send(path, **fields)
    assert [len(action.attempted_diagnostics) for action in await desk.recorded()] == [1, 0]

    page = await desk.open(path)

    assert "diagnosis_session_id" not in page
    foreign = await desk.client.get(f"{path}?session=dgs_00000000000000000000")
    assert foreign.status_code == 404


async def test_a_resolved_ticket_is_not_diagnosed(api: Api, cards, desk: Desk):
    await desk.begin()
    path = f"/tickets/{desk.ticket.id}/action"
    await desk.open(path)
    await desk.send(path, resolution_outcome="failed", resolution_steps_followed="Sent away", resolve="yes")

    page = await desk.begin()

    assert desk.status == 409
    assert "cannot be diagnosed" in page
    assert "Start another diagnosis" not in page
    page = await desk.open(desk.session_path)
    assert "The ticket is resolved" in page
    assert not re.search(r'action="[^"]*/(answers|repairs|undo|stop)"', page)


@pytest.fixture
async def guess(desk: Desk) -> dict[str, FailureCard]:
    """Two costly repairs; one cheap look decides."""
    fuse = "Is the main charger fuse in the junction box open?"
    pack = "Does one cell group of the pack sag on full throttle?"
    return await know(
        [
            ("pack", card("Weak pack", leaf(pack, duration_minutes=10), cost="30000")),
            ("fuse", card("Charger fuse blown", leaf(fuse, duration_minutes=10), cost="14000")),
        ]
    )


async def test_resolving_on_a_guess_names_the_check_that_was_missed(api: Api, guess, desk: Desk):
    path = f"/tickets/{desk.ticket.id}/action"
    await desk.open(path)
    fields = {"resolution_outcome": "success", "failure_card_used": guess["pack"].id, "resolve": "yes"}
    fields |= {"resolution_steps_followed": "Replaced the pack"}

    page = await desk.send(path, **fields)

    assert desk.status == 409
    assert "A cheap check would decide this first" in page
    assert "Replaced the pack" in page
    assert await desk.recorded() == []
    check = re.findall(r'name="check" value="([^"]+)"', page)[0]
    question = re.findall(r'<div class="missed">\s*<p><strong><bdi>(.*?)</bdi>', page)[0]
    refused = dict(desk.hidden)

    page = await desk.begin(check=check)
    assert f"<h1><bdi>{question}" in page
    first = desk.session_id
    await desk.begin(check=check)
    assert desk.session_id == first

    desk.hidden = refused
    page = await desk.send(path, **fields, missed_checks_reason="other", missed_checks_note=" ")
    assert desk.status == 409
    assert 'id="missed_checks_note-error"' in page
    await desk.send(path, **fields, missed_checks_reason="other", missed_checks_note="The supplier confirmed the batch")
    assert len(await desk.recorded()) == 1
    told = desk.page[desk.page.index("Gone on without a check") :]
    assert question in told
    assert "The supplier confirmed the batch" in told
    assert desk.user.name in told


async def test_an_expensive_part_waits_for_the_check(api: Api, guess, desk: Desk):
    with acting_as(system("test")):
        content = PartContent(part_name="Weak pack", part_number="Weak pack", unit_cost="25000")
        part = await stock.add_part(content, site_id=api.site.id, quantity=2)
    path = f"/tickets/{desk.ticket.id}/action"
    await desk.open(path)
    await desk.send(path, resolution_outcome="partial", failure_card_used=guess["pack"].id)
    await desk.open(f"/tickets/{desk.ticket.id}")

    page = await desk.send(f"/tickets/{desk.ticket.id}/parts", part_id=part.id, quantity="1")

    assert desk.status == 409
    assert "A cheap check would decide this first" in page
    assert re.search(r'form="take-part" name="missed_checks_reason"', page)
    await desk.send(
        f"/tickets/{desk.ticket.id}/parts", part_id=part.id, quantity="1", missed_checks_reason="not_possible"
    )
    assert "× 1" in desk.page


async def test_pages_with_many_suspects_load_quickly(api: Api, desk: Desk):
    many = [
        (
            f"n{n}",
            card(f"Failure number {n} of the pack and its wiring", chain(SPREAD, SAG, f"Is {n} odd?"), cost="9000"),
        )
        for n in range(20)
    ]
    await know([*costly(), *many])
    with acting_as(system("test")):
        for n in range(20):
            content = PartContent(part_name=f"Part {n}", part_number=many[n][1].required_parts[0].part_number)
            await stock.add_part(content, site_id=api.site.id, quantity=2)
    known = await know([])
    test_id, _ = identity(known["weak"].diagnostic_tree.nodes[0])
    await desk.begin()
    check = f"{desk.session_path}?check={test_id}"
    assert "<h1><bdi>Is the resting spread" in await desk.open(check)
    sizes = {check: 0, f"/tickets/{desk.ticket.id}/action?session={desk.session_id}": 0}
    for path in sizes:
        raw = await desk.client.get(path)
        files = [
            await desk.client.get(address, headers={"accept-encoding": "gzip"})
            for address in re.findall(r'(?:href|src)="(/static/portal[^"]+)"', raw.text)
        ]
        sizes[path] = len(raw.content) + sum(int(one.headers["content-length"]) for one in files)
        assert len(files) == 2
    assert max(sizes.values()) <= BUDGET_BYTES, sizes
