"""Guided diagnosis as pages, seen without a browser: every state and every refusal."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.security import Role, acting_as, system
from models.account import User
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, DiagnosticTree, FailureCard
from models.part import PartContent
from models.technician_action import TechnicianAction
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.diagnosis.guided import sessions
from services.diagnosis.guided.identity import identity
from services.knowledge.loading import upsert_by_natural_key
from services.repairs import actions, stock, tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.support import BUDGET_BYTES, csrf_token, visitor
from tests.services.diagnosis.guided_samples import chain, leaf
from tests.support import Api

WARNING = "Cells cannot be switched off: insulated tools, no rings."
SPREAD = "Is the resting spread between the cell groups above 50 mV?"
SAG = "Does one group sag more than the others on full throttle?"
HIDDEN = re.compile(r'<input type="hidden" name="(revision|once|test_id)" value="([^"]*)"')


def card(title: str, tree: DiagnosticTree, *, cost: str) -> CardContent:
    return CardContent(
        title=title,
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.degradation,
        symptom_text="Charging stops at 80 percent, range is short",
        error_codes=["P0A80"],
        diagnostic_tree=tree,
        required_parts=[{"part_name": title, "part_number": title}],
        estimated_total_cost=cost,
        universal_failure=True,
    )


def costly() -> list[tuple[str, CardContent]]:
    """Two suspects that are too dear to be repaired on trial, and told apart by one reading."""
    weak = chain(SPREAD, SAG, minutes=10)
    weak.nodes[1].safety_warnings = [WARNING]
    end = leaf(SPREAD.replace("above", "below"), duration_minutes=10)
    return [
        ("weak", card("Weak cell group", weak, cost="40000")),
        ("charger", card("Charger ends early", end, cost="50000")),
    ]


@dataclass
class Desk:
    """A technician at a ticket, and the page before them."""

    api: Api
    user: User
    client: httpx.AsyncClient
    token: str
    ticket: Ticket
    session_id: str = ""
    page: str = ""
    status: int = 0
    hidden: dict[str, str] = field(default_factory=dict)

    async def open(self, path: str) -> str:
        self._take(await self.client.get(path))
        return self.page

    async def send(self, path: str, **fields: Any) -> str:
        """Send a form as the page holds it, and follow where it leads."""
        sent = await self.client.post(path, data={"csrf_token": self.token} | self.hidden | fields)
        if sent.status_code == 303:
            return await self.open(sent.headers["location"])
        self._take(sent)
        return self.page

    async def begin(self, **fields: Any) -> str:
        return await self.send(f"/tickets/{self.ticket.id}/diagnosis", **fields)

    async def answer(self, answer: str, **fields: Any) -> str:
        return await self.send(f"{self.session_path}/answers", answer=answer, **fields)

    @property
    def session_path(self) -> str:
        return f"/tickets/{self.ticket.id}/diagnosis/{self.session_id}"

    def _take(self, answer: httpx.Response) -> None:
        self.status, self.page = answer.status_code, html.unescape(answer.text)
        if found := re.search("/diagnosis/([^/]+)", answer.url.path):
            self.session_id = found[1]
        self.hidden = dict(HIDDEN.findall(answer.text))

    async def steps(self) -> list[Any]:
        with acting_as(actor_of(self.user)):
            return (await sessions.get(self.session_id)).steps

    async def recorded(self) -> list[TechnicianAction]:
        with acting_as(actor_of(self.user)):
            return (await actions.list_actions(ticket_id=self.ticket.id)).items


async def know(cards: list[tuple[str, CardContent]]) -> dict[str, FailureCard]:
    with acting_as(system("test")):
        await upsert_by_natural_key(cards)
        return {found.natural_key or "": found async for found in FailureCard.find()}


async def desk_at(api: Api, user: User, ticket: Ticket) -> Desk:
    client = await visitor(api, user)
    return Desk(api, user, client, await csrf_token(client), ticket)


@pytest.fixture
async def desk(api: Api) -> Desk:
    user = await api.add_user(Role.technician)
    with acting_as(actor_of(user)):
        content = TicketContent(
            title="Charging stops at 80 percent",
            description="Range is short",
            error_codes_reported=["P0A80"],
            vehicle_make="Ather",
        )
        ticket = await tickets.create(content)
    return await desk_at(api, user, ticket)


@pytest.fixture
async def cards() -> dict[str, FailureCard]:
    return await know(costly())


def uneven(desk: Desk) -> str:
    """The answer that says the groups are far apart, whichever way the question is put."""
    return "yes" if "above 50 mV" in re.findall(r"<h1>(.*?)</h1>", desk.page)[0] else "no"


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
    await know([("fuse", card("Fuse blown", leaf("Is the fuse open?", duration_minutes=60), cost="150"))])

    page = await desk.begin()

    assert "Try this repair now:" in page
    assert "cheaper to try than to test further" in page
    page = await desk.send(f"{desk.session_path}/repairs", card_id=re.findall(r"/cards/(fc_\w+)", page)[0], worked="no")
    assert "No known failure explains this" in page


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
    assert "One cheap check would decide this" in page
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
    await desk.send(path, **fields, acknowledge_missed_checks="yes")
    assert len(await desk.recorded()) == 1


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
    assert "One cheap check would decide this" in page
    assert re.search(r'form="take-part" name="acknowledge_missed_checks"', page)
    await desk.send(f"/tickets/{desk.ticket.id}/parts", part_id=part.id, quantity="1", acknowledge_missed_checks="yes")
    assert "× 1" in desk.page


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
