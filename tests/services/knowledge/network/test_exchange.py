"""What travels, and what becomes of it at the other side."""

import json
from datetime import timedelta

import pytest

from app import clock
from app.errors import Invalid
from models.enums import ReviewStatus
from models.event import EfiEvent, EventType
from models.failure_card import CardVersion, FailureCard
from models.network import CardShare, NetworkIdentity, PeerContent, Trust
from models.symptom import Symptom, SymptomContent
from services.knowledge import cards, confidence, lifecycle, loading, merging, symptoms
from services.knowledge.content import content_of
from services.knowledge.network import bundles, changes, conflicts, identity, importing, peers
from tests.services.knowledge.network.conftest import Found
from tests.services.knowledge.samples import a_card


async def test_an_approved_card_travels_and_stays_approved(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    draft = await one.do(lambda: cards.create(a_card(title="A draft")))

    assert await other.pull(one) == 1

    there = await other.card(card.id)
    assert (there.status, there.version, there.title) == ("approved", 1, card.title)
    assert there.created_by == there.approved_by == one.node_id
    assert draft.id not in await other.lineages()
    assert await other.pull(one) == 0
    with other:
        assert (await CardVersion.find_one({"card_id": card.id, "version": 1})).content == content_of(there)
        told = await EfiEvent.find({"subject_id": card.id}).sort("_id").to_list()
        done = await EfiEvent.find({"event_type": EventType.sync_completed.value}).to_list()
    assert [event.event_type for event in told] == ["card.created", "card.approved"]
    assert [event.data for event in done] == [{"peer_id": one.node_id, "received": 1, "sent": 0}]


async def test_a_bundle_names_no_person_ticket_or_place(found_sites: Found):
    (one,) = await found_sites(1)
    card = await one.approved(required_parts=[{"part_name": "Board", "part_number": "B-1", "part_id": "prt_1"}])
    ticket = await one.outcome(card.id, success=True)
    with one:
        stored = await FailureCard.find_one({"_id": card.id})
        raw = b"".join(await one.bundles_for(0)).decode()
    for secret in (stored.created_by, stored.approved_by, one.expert.name, ticket.id, ticket.title, "prt_1"):
        assert secret
        assert json.dumps(secret)[1:-1] not in raw


async def test_a_card_that_seems_to_name_a_person_is_held_back_until_it_is_edited(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved(description="Ask 98765 43210")

    assert await other.pull(one) == 0
    held = (await one.do(peers.status)).held_back
    assert [(row.card_id, row.held_back) for row in held] == [(card.id, "description seems to hold a telephone number")]

    await one.edit(card.id, description="Ask the maker")
    await other.pull(one)
    assert (await other.card(card.id)).description == "Ask the maker"
    assert (await one.do(peers.status)).held_back == []


async def test_edits_and_deprecation_travel(found_sites: Found):
    one, other = await found_sites(2)
    successor, card = await one.approved("The better card"), await one.approved("The old card")
    await other.pull(one)
    await one.edit(card.id, root_cause="seen more closely")
    await other.pull(one)
    there = await other.card(card.id)
    assert (there.version, there.root_cause) == (2, "seen more closely")
    assert there.version_history[-1].summary == "from Site 0"

    await other.deprecate(card.id, "there is a better one", successor_id=successor.id)
    await one.pull(other)
    back = await one.card(card.id)
    assert (back.status, back.deprecation_reason, back.successor_id) == (
        "deprecated",
        "there is a better one",
        successor.id,
    )
    assert (await one.open_reviews(), await other.open_reviews()) == ([], [])


async def test_symptoms_come_with_the_cards_that_name_them(found_sites: Found):
    one, other = await found_sites(2)
    content = SymptomContent(symptom_code="SYM_BATT_777", name="Swells when warm", category="battery")
    await one.do(lambda: symptoms.create(content))
    await one.approved(symptom_codes=["SYM_BATT_777"])

    await other.pull(one)

    with other:
        assert (await Symptom.find_one({"symptom_code": "SYM_BATT_777"})).name == "Swells when warm"


async def test_what_both_have_loaded_from_one_file_is_one_card(found_sites: Found):
    one, other = await found_sites(2)
    for site in (one, other):
        await site.do(lambda: loading.upsert_by_natural_key([("starter:hall", a_card(title="Hall sensor"))]))
    with one:
        mine = await FailureCard.find_one({"natural_key": "starter:hall"})
    await one.edit(mine.id, root_cause="corroded")

    await other.pull(one)
    await one.pull(other)

    for site in (one, other):
        with site:
            found = await FailureCard.find({"natural_key": "starter:hall"}).to_list()
            assert [(card.root_cause, card.version) for card in found] == [("corroded", 2)]
        assert await site.open_reviews() == []


async def test_evidence_is_added_up_once(found_sites: Found):
    one, other, third = await found_sites(3)
    card = await one.approved()
    for site in (other, third):
        await site.pull(one)
    earlier = clock.now() - timedelta(days=365)
    await one.outcome(card.id, success=True, when=earlier)
    await one.outcome(card.id, success=True)
    regretted = await other.outcome(card.id, success=True, vehicle_model="Rizta")
    await other.outcome(card.id, success=False)

    for _ in range(2):
        for site, source in ((other, one), (third, other), (third, one), (one, third), (other, third), (one, other)):
            await site.pull(source)
    for site in (one, other, third):
        there = await site.card(card.id)
        assert (there.usage_count, there.success_count, there.failure_count) == (4, 3, 1)
        assert there.confidence_score == pytest.approx(0.5 + 3 * 0.01 - 0.02)
        assert there.evidence_n == pytest.approx(3.5, abs=1e-3)
        with site:
            pooled, variants = await confidence.evidence_of(card.id)
            on = (await confidence.evidence_on([card.id], "ather|rizta|"))[card.id]
        assert (pooled.outcomes, {one.variant: one.outcomes for one in variants}) == (
            4,
            {"ather|450x|": 3, "ather|rizta|": 1},
        )
        assert on.outcomes == 1

    await other.take_back(regretted)
    for site in (third, one):
        await site.pull(other)
        there = await site.card(card.id)
        assert (there.usage_count, there.success_count, there.failure_count) == (4, 2, 2)
        assert there.confidence_score == pytest.approx(0.5 + 2 * 0.01 - 2 * 0.02)
    assert (await third.card(card.id)).confidence_history[-1].change_reason == "outcomes at other services, from Site 1"


async def test_a_merge_travels_with_what_repairs_said_of_both(found_sites: Found):
    """What others have seen of the retired card counts for the survivor everywhere, and once."""
    one, other = await found_sites(2)
    kept, retired = await one.approved("Cell group drifts"), await one.approved("A cell group is drifting")
    await other.pull(one)
    await one.outcome(kept.id, success=True)
    await one.outcome(retired.id, success=True)
    await other.outcome(retired.id, success=False)
    await one.pull(other)

    retired_there = await one.card(retired.id)
    await one.do(lambda: merging.merge(retired_there, kept.id, reason="one failure"))
    for _ in range(2):
        await other.pull(one)
        await one.pull(other)

    for site in (one, other):
        gone, there = await site.card(retired.id), await site.card(kept.id)
        assert (gone.status, gone.merged_into, gone.successor_id) == ("deprecated", kept.id, kept.id)
        assert (there.status, there.usage_count, there.success_count, there.failure_count) == ("approved", 3, 2, 1)
        assert there.confidence_score == pytest.approx(0.5 + 2 * 0.01 - 0.02)
        assert there.evidence_n == pytest.approx(3, abs=1e-3)
        assert await site.open_reviews() == []

    # Whoever still works with the old card there works for the survivor.
    await other.outcome(retired.id, success=True)
    await one.pull(other)
    assert [(await site.card(kept.id)).success_count for site in (one, other)] == [3, 3]
    assert [(await site.card(retired.id)).usage_count for site in (one, other)] == [2, 2]


async def test_a_conflict_ends_in_the_queue_with_a_three_way_diff(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved(description="as it was")
    await other.pull(one)
    await one.edit(card.id, root_cause="resistor", description="as it was")
    await other.edit(card.id, root_cause="connector", description="clearer")

    await other.pull(one)

    (review,) = await other.open_reviews()
    assert (review.card_id, review.submitted_by.id) == (card.id, "agent:network")
    with other:
        found = await conflicts.comparison_of(review)
    lines = {line.field: (line.base, line.ours, line.theirs, line.conflict) for line in found.lines}
    assert lines["root_cause"] == (card.root_cause, "connector", "resistor", True)
    assert lines["description"] == ("as it was", "clearer", "as it was", False)
    assert (await other.card(card.id)).root_cause == "connector"

    await other.decide(review)
    decided = await other.card(card.id)
    assert (decided.root_cause, decided.description, decided.version) == ("resistor", "clearer", 3)
    await one.pull(other)
    await other.pull(one)
    assert content_of(await one.card(card.id)) == content_of(decided)
    assert (await one.open_reviews(), await other.open_reviews()) == ([], [])


async def test_an_expert_may_keep_ours_or_write_a_third_version(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    await other.pull(one)
    for number, (approve, written, expected) in enumerate(
        [(False, None, "here 0"), (True, "both", "both")],
    ):
        await one.edit(card.id, root_cause=f"there {number}")
        await other.edit(card.id, root_cause=f"here {number}")
        await other.pull(one)
        (review,) = await other.open_reviews()
        ours = content_of(await other.card(card.id))
        content = {"content": ours.model_copy(update={"root_cause": written})} if written else {}
        await other.decide(review, approve=approve, **content)
        await one.pull(other)
        await other.pull(one)
        assert (await one.card(card.id)).root_cause == (await other.card(card.id)).root_cause == expected


async def test_a_review_loses_its_matter_when_the_other_side_decides(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    await other.pull(one)
    await one.edit(card.id, root_cause="resistor")
    await other.edit(card.id, root_cause="connector")
    await other.pull(one)
    await one.pull(other)
    (here,), (there,) = await one.open_reviews(), await other.open_reviews()

    await one.decide(here)
    await other.pull(one)

    assert await other.open_reviews() == []
    with other:
        closed = await lifecycle.reviews.get(there.id)
    assert (closed.status, closed.decision_reason) == (ReviewStatus.withdrawn, "the versions have come together")


async def test_the_same_edit_at_both_sides_is_no_conflict(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    await other.pull(one)
    for site in (one, other):
        await site.edit(card.id, root_cause="resistor")

    await other.pull(one)
    await one.pull(other)

    assert (await one.open_reviews(), await other.open_reviews()) == ([], [])
    assert len({str((await site.lineages())[card.id].vector) for site in (one, other)}) == 1


async def test_a_peer_whose_cards_are_reviewed_first(found_sites: Found):
    one, other = await found_sites(2, Trust.review_first)
    card = await one.approved()
    await other.pull(one)
    waiting = await other.card(card.id)
    (review,) = await other.open_reviews()
    assert (waiting.status, review.incoming_id) == ("pending_review", None)

    await one.edit(card.id, root_cause="newer")
    await other.pull(one)
    assert (await other.card(card.id)).root_cause == "newer"
    await other.decide(review)
    assert (await other.card(card.id)).status == "approved"
    assert await one.pull(other) == 1  # the approval is known there as the same version
    assert await one.open_reviews() == []

    await one.edit(card.id, root_cause="newest")
    await other.pull(one)
    assert (await other.card(card.id)).root_cause == "newer"
    (update,) = await other.open_reviews()
    await other.decide(update)
    assert (await other.card(card.id)).root_cause == "newest"
    assert (await other.lineages())[card.id].vector == (await one.lineages())[card.id].vector


async def test_content_is_only_for_versions_from_elsewhere(found_sites: Found):
    (one,) = await found_sites(1)
    with one:
        card = await lifecycle.submit(await cards.create(a_card()))
        review = await lifecycle.reviews.open_review(card.id)
        with pytest.raises(Invalid):
            await lifecycle.decide(review, ReviewStatus.approved, "", a_card())


async def test_a_card_is_synced_when_a_peer_has_it_and_not_before(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    (raw,) = await one.bundles_for(0)
    assert not (await one.card(card.id)).synced_to_network

    until = bundles.parts(raw)[0]["until"]
    await one.do(lambda: peers.acknowledge(other.node_id, until))
    there = await one.card(card.id)
    assert there.synced_to_network
    assert there.last_sync_at is not None
    assert (await one.peer(other)).acknowledged == until
    with one:
        done = await EfiEvent.find({"event_type": EventType.sync_completed.value}).to_list()
    assert [event.data for event in done] == [{"peer_id": other.node_id, "received": 0, "sent": until}]

    assert not (await one.edit(card.id, root_cause="newer")).synced_to_network
    await other.pull(one)
    assert (await other.card(card.id)).synced_to_network


async def test_a_service_set_back_to_a_backup_is_heard_again(found_sites: Found):
    """Its peer knows a later state of its evidence than it does itself."""
    one, other = await found_sites(2)
    card = await one.approved()
    await one.outcome(card.id, success=True)
    await other.pull(one)
    with other:  # as if more had arrived before the backup was put back
        ours = {"_id": f"{card.id}|{one.node_id}"}
        await CardShare.get_pymongo_collection().update_one(ours, {"$set": {"stamp": 7, "sequence": 1000}})
        await NetworkIdentity.get_pymongo_collection().update_one({}, {"$set": {"sequence": 1000}})

    await one.pull(other)
    await one.outcome(card.id, success=True)
    await other.pull(one)

    assert (await one.card(card.id)).usage_count == (await other.card(card.id)).usage_count == 2


async def test_a_file_takes_the_same_way(found_sites: Found, tmp_path):
    one, other = await found_sites(2)
    made = [await one.approved(f"Failure {number}") for number in range(3)]
    file = tmp_path / "cards.jsonl"

    assert await one.do(lambda: changes.write_file(file, 0)) == 3
    first = await other.do(lambda: importing.import_file(file))
    again = await other.do(lambda: importing.import_file(file))

    assert first.startswith("1 bundles taken in, 0 known already: 3 cards added")
    assert again.startswith("0 bundles taken in, 1 known already")
    assert (await other.card(made[1].id)).title == "Failure 1"


async def test_peers_are_kept_by_admins(found_sites: Found):
    one, other = await found_sites(2)
    key = (await other.do(lambda: identity.own())).public_key
    with one:
        with pytest.raises(Invalid):
            await peers.add(one.node_id, PeerContent(name="me", public_key=key))
        with pytest.raises(Exception, match="is a peer already"):
            await peers.add(other.node_id, PeerContent(name="twice", public_key=key))
        assert [peer.id for peer in (await peers.list_peers()).items] == [other.node_id]
