"""Guided diagnosis as pages, seen without a browser: every state and every refusal."""

import re

import pytest

from app.security import Role, acting_as
from models.failure_card import FailureCard
from models.ticket import TicketContent
from services.accounts.sessions import actor_of
from services.diagnosis.guided import sessions
from services.diagnosis.guided.identity import identity
from services.repairs import tickets
from tests.routes.portal.desk import SAG, WARNING, Desk, card, costly, desk_at, know, new_desk, uneven
from tests.routes.portal.support import visitor
from tests.services.diagnosis.guided_samples import leaf
from tests.support import Api


@pytest.fixture
async def desk(api: Api) -> Desk:
    return await new_desk(api)


@pytest.fixture
async def cards(api: Api) -> dict[str, FailureCard]:
    return await know(costly())


async def test_the_first_step_comes_with_its_reason(api: Api, cards, desk: Desk):
    page = await desk.begin()

    assert desk.status == 200
    assert re.search(r"<h1><bdi>Is the resting spread", page)
    assert re.search(r"Costs about [\d,]+ \(\d+ min\) and saves about [\d,]+", page)
    assert "2 suspects ask for it" in page
    assert page.count('<svg class="shift"') == 3 + 2 * 3  # the suspects, and what each answer would do to them
    assert "Charger ends early" in page
    assert "Weak cell group" in page


async def test_sessions_are_listed_and_gone_on_with(api: Api, cards, desk: Desk):
    await desk.begin(tools_missing="Oscilloscope, Lift")
    first = desk.session_path
    await desk.answer(uneven(desk))
    await desk.begin()
    second = desk.session_path

    page = await desk.open(f"/tickets/{desk.ticket.id}")

    assert page.index(second) < page.index(first)
    assert "steps: 1" in page
    with acting_as(actor_of(desk.user)):
        assert (await sessions.get(first.rpartition("/")[2])).tools_missing == ["Oscilloscope", "Lift"]
    colleague = await desk_at(api, await api.add_user(Role.technician), desk.ticket)
    assert WARNING in await colleague.open(first)


async def test_a_reading_answers_and_rules_out(api: Api, cards, desk: Desk):
    await desk.begin()

    page = await desk.answer("measured", value="0,09", unit="V")

    assert "(0.09 V)" in page
    ruled_out = page[page.index("<h2>Ruled out</h2>") :]
    assert "Charger ends early" in ruled_out
    assert re.search(r"spread.*?0\.09 V", ruled_out, re.DOTALL)
    [step] = await desk.steps()
    assert (step.measurement.value, step.measurement.unit) == (0.09, "V")


@pytest.mark.parametrize(
    ("fields", "name", "rule"),
    [
        ({"answer": "measured"}, "value", "is needed"),
        ({"answer": "measured", "value": "many", "unit": "mV"}, "value", "valid number"),
        ({"answer": "measured", "value": "90", "unit": ""}, "unit", "Field required"),
        ({"answer": "measured", "value": "90", "unit": "A"}, "answer", "cannot be answered by this measurement"),
        ({"answer": "measured", "value": "−40", "unit": "V"}, "value", "cannot be: this kind of voltage"),
        ({"answer": "yes", "value": "1e12", "unit": "V"}, "value", "cannot be: "),
        ({"answer": "measured", "value": "nan", "unit": "V"}, "value", "should be a finite number"),
        ({"answer": "both", "value": "20", "unit": "mV"}, "answer", "contradicts the measurement"),
        ({"answer": ""}, "answer", "is needed"),
        ({"answer": "maybe"}, "answer", "is needed"),
        ({"answer": "yes", "note": "x" * 501}, "note", "at most 500"),
    ],
)
async def test_what_is_wrong_stands_beside_the_field_and_the_rest_is_kept(
    api: Api, cards, desk: Desk, fields: dict[str, str], name: str, rule: str
):
    await desk.begin()
    if fields["answer"] == "both":
        fields = fields | {"answer": uneven(desk)}

    page = await desk.answer(**({"note": "Pack is warm", "value": "", "unit": "mV"} | fields))

    assert desk.status == 422
    assert re.search(rf'<span class="error" id="{name}-error">[^<]*{rule}', page)
    assert fields.get("note", "Pack is warm") in page
    assert f'value="{fields.get("value", "")}"' in page
    assert await desk.steps() == []


async def test_warnings_are_read_before_the_check_is_shown(api: Api, cards, desk: Desk):
    await desk.begin()
    page = await desk.answer(uneven(desk))
    assert WARNING in page
    assert SAG not in page

    page = await desk.send(f"{desk.session_path}/acknowledge")

    assert f"<h1><bdi>{SAG}" in page
    page = await desk.answer("yes")
    assert "Cause confirmed:" in page


async def test_an_answer_without_having_read_the_warnings_is_not_taken(api: Api, cards, desk: Desk):
    await desk.begin()
    await desk.answer(uneven(desk))

    page = await desk.answer("yes")

    assert desk.status == 409
    assert "Safety first" in page
    assert len(await desk.steps()) == 1
    # What cannot be done endangers nobody.
    await desk.answer("cannot_do")
    assert (await desk.steps())[-1].answer == "cannot_do"


async def test_a_form_that_is_sent_twice_counts_once(api: Api, cards, desk: Desk):
    await desk.begin()
    form = dict(desk.hidden)
    await desk.answer("skipped")
    desk.hidden = form

    await desk.answer("skipped")

    assert desk.status == 200
    assert len(await desk.steps()) == 1


async def test_what_happened_on_another_device_is_told(api: Api, cards, desk: Desk):
    await desk.begin()
    colleague = await desk_at(api, await api.add_user(Role.technician), desk.ticket)
    await colleague.open(desk.session_path)
    await colleague.answer(uneven(colleague), note="Rested for an hour")

    page = await desk.answer("skipped", note="No <b>time</b>")

    assert desk.status == 412
    assert "has gone on since that page was shown" in page
    assert colleague.user.name in page
    assert "What you sent was not taken: skipped · No <b>time</b>" in page
    assert "Safety first" in page
    assert [step.note for step in await desk.steps()] == ["Rested for an hour"]
    # Sent again it applies to the step that is shown now.
    await desk.send(f"{desk.session_path}/acknowledge")
    assert f"<h1><bdi>{SAG}" in desk.page


async def test_what_was_typed_stays_if_the_check_is_still_the_same(api: Api, cards, desk: Desk):
    await desk.begin()
    await desk.answer(uneven(desk))
    colleague = await desk_at(api, await api.add_user(Role.technician), desk.ticket)
    await colleague.open(desk.session_path)
    await colleague.send(f"{desk.session_path}/acknowledge")

    page = await desk.answer("yes", note="Group 7 sags")

    assert desk.status == 412
    assert f"<h1><bdi>{SAG}" in page
    assert re.search(r"<textarea[^>]*>\s*Group 7 sags</textarea>", page)


async def test_undo_takes_the_last_answer_back(api: Api, cards, desk: Desk):
    first = await desk.begin()
    await desk.answer("no")

    page = await desk.send(f"{desk.session_path}/undo")

    assert re.findall(r"<h1>.*?</h1>", page) == re.findall(r"<h1>.*?</h1>", first)
    assert re.search(r"<del>.*?</del>", page)
    await desk.send(f"{desk.session_path}/undo")
    assert desk.status == 409
    assert "Nothing has been answered yet" in desk.page


async def test_a_stopped_diagnosis_says_what_is_next(api: Api, cards, desk: Desk):
    await desk.begin()
    open_form = dict(desk.hidden)

    page = await desk.send(f"{desk.session_path}/stop", reason="Towed <away>")

    assert "This diagnosis was stopped" in page
    assert "Towed <away>" in page
    assert f"/tickets/{desk.ticket.id}/action?session={desk.session_id}" in page
    desk.hidden = open_form | {"revision": ""}
    await desk.answer("yes")
    assert desk.status == 409
    assert await desk.steps() == []


async def test_a_repair_in_vain_goes_on_and_one_that_helped_ends(api: Api, cards, desk: Desk):
    await desk.begin()
    weak, charger = cards["weak"].id, cards["charger"].id
    await desk.send(f"{desk.session_path}/repairs", worked="no")
    assert desk.status == 422
    assert 'id="card_id-error"' in desk.page

    page = await desk.send(f"{desk.session_path}/repairs", card_id=weak, worked="no")
    assert "it did not help" in page
    page = await desk.send(f"{desk.session_path}/repairs", card_id=charger, worked="yes")

    assert "Cause confirmed:" in page
    assert f"/tickets/{desk.ticket.id}/action?session={desk.session_id}" in page
    await desk.send(f"{desk.session_path}/repairs", card_id=weak, worked="perhaps")
    assert desk.status == 422


async def test_a_repair_that_is_cheaper_to_try_is_proposed(api: Api, desk: Desk):
    fuse = card("Fuse blown", leaf("Is the fuse open?", duration_minutes=60), cost="150")
    # Without the code that the vehicle reports it is likely, and not sure.
    await know([("fuse", fuse.model_copy(update={"error_codes": []}))])

    page = await desk.begin()

    assert "Try this repair now:" in page
    assert "cheaper to try than to test further" in page
    page = await desk.send(f"{desk.session_path}/repairs", card_id=re.findall(r"/cards/(fc_\w+)", page)[0], worked="no")
    # However cheap doing it once more would be: what kept it from helping is still there.
    assert "Try this repair now:" not in page


async def test_sessions_stay_with_their_ticket_and_site(api: Api, cards, desk: Desk):
    await desk.begin()
    with acting_as(actor_of(desk.user)):
        other = await tickets.create(TicketContent(title="Another ticket"))
    assert (await desk.client.get(f"/tickets/{other.id}/diagnosis/{desk.session_id}")).status_code == 404
    assert (await desk.client.get(f"/tickets/{other.id}/action?session={desk.session_id}")).status_code == 404
    elsewhere = await visitor(api, await api.add_user(Role.technician, site_ids=[]))
    assert (await elsewhere.get(desk.session_path)).status_code == 404
    customer = await visitor(api, await api.add_user(Role.fleet_customer))
    assert (await customer.get(desk.session_path)).status_code == 403


async def test_hostile_text_is_text(api: Api, desk: Desk):
    hostile = "<script>alert(1)</script>"
    await know([(key, one.model_copy(update={"title": f"{hostile} {key}"})) for key, one in costly()])
    await desk.begin()
    await desk.client.post(
        f"{desk.session_path}/answers",
        data={"csrf_token": desk.token, "answer": uneven(desk), "note": hostile} | desk.hidden,
    )
    raw = (await desk.client.get(desk.session_path)).text
    assert hostile not in raw
    assert "&lt;script&gt;" in raw


async def test_any_other_open_check_may_be_made_instead(api: Api, cards, desk: Desk):
    other, _ = identity(cards["weak"].diagnostic_tree.nodes[1])
    await desk.begin()
    proposed = re.findall(r"<h1>.*?</h1>", desk.page)

    page = await desk.open(f"{desk.session_path}?check={other}")
    assert WARNING in page
    page = await desk.send(f"{desk.session_path}/acknowledge")
    assert f"<h1><bdi>{SAG}" in page
    assert "You chose this check" in page
    page = await desk.open(f"{desk.session_path}?check=tst_unknown")
    assert "This check has been answered, or no suspect asks for it any more" in page
    assert re.findall(r"<h1>.*?</h1>", page) == proposed
    await desk.open(f"{desk.session_path}?check={other}")
    await desk.answer("yes")

    [step] = await desk.steps()
    assert (step.check.test_id, step.reason) == (other, "")
