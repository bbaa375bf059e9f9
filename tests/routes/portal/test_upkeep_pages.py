"""What the pages that look after the knowledge refuse, and what they make of much and of hostile data."""

import html

import httpx
import pytest

from app.security import Role, acting_as, system
from models.account import User
from models.failure_card import FailureCard
from models.governance import CardHealth, ProposalStatus
from models.symptom import SymptomContent
from models.symptom_candidate import CandidateStatus
from services.accounts.sessions import actor_of
from services.knowledge import candidates, cards, flags, proposals, symptoms
from services.knowledge.content import content_of
from services.workflows.patterns import incidents
from tests.routes.portal import care
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api


class Expert:
    """An expert without a browser."""

    def __init__(self, client: httpx.AsyncClient, user: User, token: str) -> None:
        self.client, self.user, self._token = client, user, token

    async def page(self, path: str) -> str:
        return html.unescape((await self.client.get(path)).text)

    async def send(self, path: str, **fields: object) -> tuple[int, str]:
        sent = await self.client.post(path, data={"csrf_token": self._token, **fields})
        return sent.status_code, html.unescape(sent.text)


@pytest.fixture
async def technician(api: Api) -> User:
    return await api.add_user(Role.technician)


@pytest.fixture
async def expert(api: Api) -> Expert:
    user = await api.add_user(Role.expert)
    client = await visitor(api, user)
    return Expert(client, user, await csrf_token(client))


async def edited(card: FailureCard, expert: Expert, **changes: object) -> FailureCard:
    with acting_as(actor_of(expert.user)):
        present = await flags.present_card(card.id)
        return await cards.edit(present, content_of(present).model_copy(update=changes), edition=present.edition)


async def test_a_card_that_was_changed_meanwhile_is_not_confirmed(expert: Expert):
    card = await care.approved()
    await edited(card, expert, root_cause="The board is wet")
    status, page = await expert.send(f"/health/due/{card.id}", revision=card.edition)
    assert status == 412
    assert "The board is wet" in page
    with acting_as(system("test")):
        assert (await flags.present_card(card.id)).last_reviewed_at is None


async def test_due_cards_come_in_pages(expert: Expert):
    with acting_as(system("test")):
        rows = [
            CardHealth(title=f"Card {n:02}", due=True, due_reasons=["age"], slot=n / 50)
            for n in range(45)
        ]  # fmt: skip
        await CardHealth.insert_many(rows)
    first = await expert.page("/health/due?reason=age")
    assert (first.count("/health/due/fc_"), "Card 44" in first) == (30, False)
    more = first.split('class="button" href="/health/due?')[1].split('"')[0]
    assert "reason=age" in more
    assert "Card 44" in await expert.page(f"/health/due?{more}")


async def test_hostile_words_stay_words(expert: Expert, technician: User):
    proposal = await care.proposed(await care.approved(), technician, root_cause=care.HOSTILE)
    flag = await care.flagged(await care.approved(title=care.HOSTILE), technician, care.HOSTILE)
    paths = ("/health/flags", f"/health/flags/{flag.id}", "/health/proposals", f"/health/proposals/{proposal.id}")
    for path in (*paths, f"/health/due/{flag.card_id}"):
        page = (await expert.client.get(path)).text
        assert "<script>alert" not in page, path
        assert "&lt;script&gt;alert" in page or path == "/health/proposals", path


async def test_a_flag_is_settled_by_a_version_or_dismissed_with_a_reason(expert: Expert, technician: User):
    card = await care.approved()
    flag = await care.flagged(card, technician)
    path = f"/health/flags/{flag.id}"
    assert "must be a whole number" in (await expert.send(path, step="resolve", version="two"))[1]
    status, page = await expert.send(path, step="dismiss", reason=" ")
    assert (status, "is needed" in page) == (422, True)
    await edited(card, expert, root_cause="R14 is missing")
    assert (await expert.send(path, step="resolve", version=2, text="Names the new board"))[0] == 303
    status, page = await expert.send(path, step="dismiss", reason="too late")
    assert (status, "is resolved already" in page, "Names the new board" in page) == (409, True, True)


async def test_a_proposal_is_decided_once(expert: Expert, technician: User):
    proposal = await care.proposed(await care.approved(), technician, severity="critical")
    path = f"/health/proposals/{proposal.id}"
    assert (await expert.send(path, decision="decline", reason="It was whole"))[0] == 303
    status, page = await expert.send(path, decision="accept")
    assert (status, "is declined already" in page, "It was whole" in page) == (409, True, True)


async def test_an_edit_of_the_card_meanwhile_is_not_overwritten(expert: Expert, technician: User):
    card = await care.approved()
    proposal = await care.proposed(card, technician, severity="critical")
    await edited(card, expert, root_cause="The board is wet")
    path = f"/health/proposals/{proposal.id}"
    status, page = await expert.send(path, decision="accept", revision=card.edition)
    assert (status, "The card has moved on" in page) == (412, True)
    with acting_as(system("test")):
        present = await flags.present_card(card.id)
    assert (await expert.send(path, decision="accept", revision=present.edition))[0] == 303
    with acting_as(actor_of(expert.user)):
        assert (await proposals.get(proposal.id)).status is ProposalStatus.accepted
        after = await flags.present_card(card.id)
    assert (after.severity, after.root_cause) == ("critical", "The board is wet")


async def test_a_phrase_is_added_to_a_symptom_or_dropped(expert: Expert):
    first, second = await care.phrase(), await care.phrase("horn croaks", "croak horn")
    path = f"/health/phrases/{first.id}"
    status, page = await expert.send(path, step="merge", into="SYM_NONE_001")
    assert (status, "is no code of the library" in page, 'value="SYM_NONE_001"' in page) == (422, True, True)
    with acting_as(system("test")):
        await symptoms.create(SymptomContent(symptom_code="SYM_BRAK_001", name="Brake noise", category="brakes"))
    assert (await expert.send(path))[0] == 422
    assert (await expert.send(path, step="merge", into="sym_brak_001"))[0] == 303
    assert (await expert.send(f"/health/phrases/{second.id}", step="drop", reason="too vague"))[0] == 303
    assert "too vague" in await expert.page(f"/health/phrases/{second.id}")
    with acting_as(system("test")):
        assert (await symptoms.get("SYM_BRAK_001")).synonyms == ["brake squeals"]
        assert (await candidates.get(second.id)).status is CandidateStatus.dropped
    assert (await expert.send(path, step="drop"))[0] == 409


async def test_an_incident_is_dismissed_with_a_reason_and_gives_up_only_its_own_tickets(expert: Expert):
    made, other = await care.incident(), await care.incident("Horn croaks")
    path = f"/health/incidents/{made.id}"
    status, page = await expert.send(f"{path}/dismiss", reason="")
    assert (status, "is needed" in page) == (422, True)
    with acting_as(system("test")):
        [foreign, *_] = await incidents.tickets_of(other)
    assert (await expert.send(f"{path}/remove", ticket=foreign))[0] == 404
    assert (await expert.send(f"{path}/dismiss", reason="One fleet"))[0] == 303
    assert "One fleet" in await expert.page(path)


async def test_an_incidents_tickets_come_in_pages(expert: Expert):
    made = await care.incident(tickets=40)
    first = await expert.page(f"/health/incidents/{made.id}")
    assert ("Speed drops in rain (0)" in first, "Speed drops in rain (39)" in first) == (True, False)
    after = first.split("?after=")[1].split('"')[0]
    assert "Speed drops in rain (39)" in await expert.page(f"/health/incidents/{made.id}?after={after}")


async def test_a_refused_model_cannot_be_put_into_service(expert: Expert):
    await care.trainings()
    assert "/decisions-2/activate" not in await expert.page("/confidence/models")
    status, page = await expert.send("/confidence/models/decisions-2/activate")
    assert (status, "decisions-2 was refused" in page) == (409, True)
    assert (await expert.send("/confidence/models/decisions-9/activate"))[0] == 404


async def test_reports_say_when_there_is_nothing_to_report(expert: Expert):
    said = {
        "/health": "0 of 0 resolved",
        "/confidence": "no approved cards long enough",
        "/confidence/calibration": "Too little to judge by: 0 tickets, 50 are needed.",
        "/confidence/coverage": "There are no tickets in this period.",
        "/confidence/models": "The shipped prior.",
        "/health/due": "No card is due for review.",
        "/health/phrases": "The library knows what people say.",
        "/health/incidents": "Nothing unusual has been seen.",
    }
    for path, text in said.items():
        assert text in await expert.page(path), path
