"""Phrases are gathered, shown when enough customers have used them, and decided on once."""

import asyncio
from typing import Any

import pytest

from app import clock
from app.database import connect, disconnect, in_transaction
from app.errors import IllegalMove, Invalid, NotFound
from models import ALL_DOCUMENTS
from models.enums import SubsystemCategory
from models.symptom import SymptomContent
from models.symptom_candidate import CandidateStatus, SymptomCandidate
from models.ticket import Ticket
from services.knowledge import candidates, symptoms
from services.knowledge.candidates import MIN_VOICES
from services.knowledge.phrases import Phrase, Wordings, phrases
from tests.query_plans import watched
from tests.services.knowledge.samples import a_ticket

pytestmark = pytest.mark.usefixtures("as_system")

LIBRARY = Wordings(["brake lever loose", "horn silent"])


async def told(*found: Phrase, ticket: Ticket | None = None, **fields: Any) -> int:
    ticket = ticket or await a_ticket(**fields)
    return await in_transaction(lambda: candidates.gather(found, ticket, SubsystemCategory.brakes, ticket.created_at))


async def said(text: str, times: int = MIN_VOICES) -> None:
    for _ in range(times):
        await told(*phrases(text, LIBRARY))


async def listed(known: Wordings = LIBRARY, **page: Any) -> list[tuple[str, int]]:
    found = await candidates.list_candidates(known, **page)
    return [(one.text, one.candidate.tickets) for one in found.items]


async def only() -> SymptomCandidate:
    [one] = (await candidates.list_candidates(LIBRARY)).items
    return one.candidate


async def test_a_phrase_is_shown_when_enough_have_used_it_and_kept_as_a_hash_until_then():
    await said("brake squeals", MIN_VOICES - 1)
    assert await listed() == []
    [hidden] = await SymptomCandidate.get_pymongo_collection().find({}).to_list()
    assert "squeal" not in str(hidden)
    assert hidden["expires_at"] is not None
    with pytest.raises(NotFound):
        await candidates.get(hidden["_id"])
    await said("squealing brakes", 2)
    [shown] = (await candidates.list_candidates(LIBRARY)).items
    assert (shown.text, shown.candidate.tickets, shown.subsystem) == ("squealing brakes", MIN_VOICES + 1, "brakes")
    assert shown.surprise > 0
    assert (shown.candidate.key, shown.candidate.voices) == ("brak squeal", [])


async def test_one_customer_alone_makes_no_candidate_and_one_ticket_counts_once():
    phrase = phrases("brake squeals", LIBRARY)
    for _ in range(2 * MIN_VOICES):
        await told(*phrase, customer_name="Fleet One")
    assert await listed() == []
    ticket = await a_ticket()
    assert [await told(*phrase, ticket=ticket) for _ in range(2)] == [1, 0]


async def test_the_list_is_by_count_in_pages_without_what_longer_ones_cover():
    for text, times in (("brake squeals badly", 9), ("brake squeals", 1), ("horn rattles", 7), ("lever creaks", 6)):
        await said(text, times)
    assert await listed() == [("brake squeals badly", 9), ("horn rattles", 7), ("lever creaks", 6)]
    seen, after = [], None
    while True:
        page = await candidates.list_candidates(LIBRARY, limit=1, after=after)
        seen += [one.text for one in page.items]
        if (after := page.next) is None:
            break
    assert seen == ["brake squeals badly", "horn rattles", "lever creaks"]
    assert await listed(Wordings(["horn rattles", "lever creaking"])) == [("brake squeals badly", 9)]
    # Said often enough without the longer one, it stands for itself.
    await said("brake squeals", 6)
    assert ("brake squeals", 16) in await listed()
    with pytest.raises(Invalid):
        await candidates.list_candidates(LIBRARY, after="nonsense")


async def test_an_accepted_candidate_becomes_a_symptom_with_its_spellings():
    await said("brake squeals")
    await said("squealing of the brakes", 1)
    candidate = await only()
    content = SymptomContent(symptom_code="SYM_BRAK_009", name="Brakes squeal", category="brakes", synonyms=["screech"])
    await in_transaction(lambda: candidates.accept(candidate, content))
    symptom = await symptoms.get("SYM_BRAK_009")
    assert symptom.synonyms == ["screech", "brake squeals", "squealing of the brakes"]
    decided = await candidates.get(candidate.id)
    assert (decided.status, decided.symptom_code, decided.decided_by) == ("accepted", "SYM_BRAK_009", "system:test")
    assert await listed() == []
    for decision in (candidates.drop(decided), candidates.merge(decided, "SYM_BRAK_009")):
        with pytest.raises(IllegalMove):
            await decision


async def test_a_merged_candidate_becomes_a_wording():
    await symptoms.create(SymptomContent(symptom_code="SYM_BRAK_001", name="Noise", category="brakes"))
    await said("brake squeals")
    with pytest.raises(NotFound):
        await candidates.merge(await only(), "SYM_BRAK_404")
    candidate = await only()
    await in_transaction(lambda: candidates.merge(candidate, "SYM_BRAK_001"))
    assert (await symptoms.get("SYM_BRAK_001")).synonyms == ["brake squeals"]
    assert await listed() == []


async def test_a_full_symptom_takes_no_more_wordings():
    full = [f"wording {number}" for number in range(50)]
    await symptoms.create(SymptomContent(symptom_code="SYM_BRAK_001", name="Noise", category="brakes", synonyms=full))
    await said("brake squeals")
    with pytest.raises(Invalid):
        await candidates.merge(await only(), "SYM_BRAK_001")
    assert (await only()).status is CandidateStatus.open


async def test_what_was_dropped_never_comes_back():
    await said("brake squeals")
    dropped = await candidates.drop(await only(), "every brake does")
    await said("brake squeals", 2 * MIN_VOICES)
    assert await listed() == []
    found = await candidates.get(dropped.id)
    assert (found.status, found.tickets, found.reason, found.expires_at) == (
        "dropped", MIN_VOICES, "every brake does", None,
    )  # fmt: skip


async def expire() -> None:
    past = {"$set": {"expires_at": clock.now()}}
    await SymptomCandidate.get_pymongo_collection().update_many({"expires_at": {"$ne": None}}, past)


async def test_what_has_expired_is_gone_before_it_is_swept():
    await said("brake squeals badly", MIN_VOICES)
    covered = await only()
    await said("brake squeals", 1)
    await expire()
    assert await listed() == []
    with pytest.raises(NotFound):
        await candidates.get(covered.id)
    await said("brake squeals", MIN_VOICES)
    assert await listed() == [("brake squeals", MIN_VOICES)]
    fresh = await only()
    assert fresh.created_at > covered.created_at


async def test_tickets_that_speak_at_once_are_all_counted():
    await asyncio.gather(*(said("brake squeals", 2) for _ in range(4)))
    assert await listed() == [("brake squeals", 8)]


async def test_every_query_has_its_index(database_url: str, database_name: str):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await said("brake squeals badly")
        page = await candidates.list_candidates(LIBRARY)
        await candidates.drop(page.items[0].candidate)
    scans = {scan for scan in await queries.scans(database) if not scan.startswith("count tickets")}
    assert scans == set()
    assert clock.now() >= page.items[0].candidate.last_seen
