import pytest

from app.errors import Forbidden, Invalid, NotFound, Stale
from app.security import acting_as
from models.event import EventType
from models.failure_card import CardContent, FailureCard
from models.governance import CardFlag, CardProposal, FlagStatus, ProposalStatus
from services.knowledge import cards, flags, merging, proposals, versions
from services.knowledge.flags import FlagClosed
from services.knowledge.proposals import CardMovedOn, ProposalDecided
from tests.services.knowledge.samples import EXPERT, OTHER_EXPERT, OTHER_TECHNICIAN, TECHNICIAN, a_card, events_of
from tests.services.knowledge.test_flags import approved, flagged

FUSE = a_card(root_cause="The fuse is blown")


async def proposed(content: CardContent = FUSE) -> tuple[FailureCard, CardFlag, CardProposal]:
    card = await approved()
    flag = await flagged(card)
    with acting_as(TECHNICIAN):
        return card, flag, await proposals.propose(flag, content, "measured it")


async def edited(card: FailureCard, **fields: object) -> FailureCard:
    present = await flags.present_card(card.id)
    with acting_as(EXPERT):
        return await cards.edit(present, a_card(**fields), edition=present.edition)


async def test_an_accepted_proposal_is_the_next_version_in_the_proposers_name(as_system):
    card, flag, proposal = await proposed()
    with acting_as(EXPERT):
        seen = await proposals.compare(proposal)
        assert [(one.field, one.new) for one in seen.differences if one.field == "root_cause"] == [
            ("root_cause", FUSE.root_cause)
        ]
        assert not seen.moved_on
        decided, after = await proposals.accept(proposal, reason="right")
    assert (decided.status, decided.resulting_version) == (ProposalStatus.accepted, 2)
    assert (after.version, after.root_cause, after.open_flags, after.updated_by) == (2, FUSE.root_cause, 0, EXPERT.id)
    line, version = after.version_history[-1], await versions.get_version(card.id, 2)
    for one in (line, version):
        assert one.proposed_by is not None
        assert one.proposed_by.id == TECHNICIAN.id
    assert (line.updated_by.id, line.summary) == (EXPERT.id, "measured it")
    settled = await flags.get(flag.id)
    assert (settled.status, settled.resolution_version) == (FlagStatus.resolved, 2)
    with acting_as(EXPERT), pytest.raises(ProposalDecided):
        await proposals.decline(decided, "too late")
    told = [event.data["change"] for event in await events_of(EventType.card_updated)]
    assert told == ["flagged", "proposed", "edited", "flag_resolved", "proposal_accepted"]


async def test_a_card_that_moved_on_elsewhere_takes_the_change_over(as_system):
    card, _, proposal = await proposed()
    await edited(card, severity="critical")
    with acting_as(EXPERT):
        seen = await proposals.compare(proposal)
        assert (seen.moved_on, seen.conflicts, seen.present_version) == (True, [], 2)
        _, after = await proposals.accept(proposal)
    assert (after.version, after.severity, after.root_cause) == (3, "critical", FUSE.root_cause)


async def test_a_conflict_asks_for_what_is_to_stand(as_system):
    card, _, proposal = await proposed()
    present = await edited(card, root_cause="The board is wet")
    with acting_as(EXPERT):
        seen = await proposals.compare(proposal)
        assert seen.conflicts == ["root_cause"]
        disputed = next(line for line in seen.lines if line.field == "root_cause")
        assert (disputed.base, disputed.present, disputed.proposed) == (
            a_card().root_cause,
            "The board is wet",
            FUSE.root_cause,
        )
        with pytest.raises(CardMovedOn) as refused:
            await proposals.accept(proposal)
        assert refused.value.extra["fields"] == ["root_cause"]
        with pytest.raises(Stale):
            await proposals.accept(proposal, content=FUSE, edition=present.edition - 1)
        both = a_card(root_cause="The wet board blows the fuse")
        decided, after = await proposals.accept(proposal, content=both, edition=present.edition)
    assert (after.root_cause, decided.resulting_version) == (both.root_cause, 3)
    assert after.version_history[-1].proposed_by is not None


async def test_a_declined_proposal_leaves_the_flag_open(as_system):
    card, flag, proposal = await proposed()
    with acting_as(EXPERT):
        decided = await proposals.decline(proposal, "the fuse was whole")
    assert (decided.status, decided.decision_reason) == (ProposalStatus.declined, "the fuse was whole")
    assert (await flags.get(flag.id)).status is FlagStatus.open
    assert (await flags.present_card(card.id)).version == 1


async def test_who_decides_and_who_sees(as_system):
    _, flag, proposal = await proposed()
    with acting_as(TECHNICIAN):
        for decide in (proposals.accept(proposal), proposals.decline(proposal, "no")):
            with pytest.raises(Forbidden):
                await decide
        assert (await proposals.get(proposal.id)).id == proposal.id
        assert [one.id for one in (await proposals.list_proposals()).items] == [proposal.id]
    with acting_as(OTHER_TECHNICIAN):
        with pytest.raises(NotFound):
            await proposals.get(proposal.id)
        with pytest.raises(Forbidden):
            await proposals.withdraw(proposal)
        assert (await proposals.list_proposals(flag_id=flag.id)).items == []
    with acting_as(OTHER_EXPERT):
        assert [one.id for one in (await proposals.list_proposals(status=ProposalStatus.open)).items] == [proposal.id]
    with acting_as(TECHNICIAN):
        assert (await proposals.withdraw(proposal)).status is ProposalStatus.withdrawn


async def test_the_end_of_a_flag_overtakes_its_proposals(as_system):
    _, flag, proposal = await proposed()
    with acting_as(EXPERT):
        await flags.dismiss(await flags.get(flag.id), "it is right")
    with acting_as(TECHNICIAN):
        assert (await proposals.get(proposal.id)).status is ProposalStatus.superseded
        with pytest.raises(FlagClosed):
            await proposals.propose(await flags.get(flag.id), FUSE, "still")


async def test_what_changes_nothing_or_breaks_a_rule_is_not_proposed(as_system):
    flag = await flagged(await approved())
    with acting_as(TECHNICIAN):
        for content in (a_card(), a_card(error_codes=["?!"]), a_card(symptom_codes=["SYM_NONE_001"])):
            with pytest.raises(Invalid):
                await proposals.propose(flag, content, "because")
        with pytest.raises(NotFound):
            await proposals.propose(flag, FUSE, "because", base_version=7)


async def test_a_proposal_for_a_merged_card_needs_an_experts_own_words(as_system):
    retired, flag, proposal = await proposed()
    kept = await approved(title="The same, written twice")
    with acting_as(EXPERT):
        await merging.merge(await flags.present_card(retired.id), kept.id, reason="one failure")
        moved = await proposals.get(proposal.id)
        assert (moved.card_id, moved.base_card_id) == (kept.id, retired.id)
        with pytest.raises(CardMovedOn):
            await proposals.accept(moved)
        _, after = await proposals.accept(moved, content=a_card(title=kept.title, root_cause="The fuse is blown"))
    assert (after.id, after.root_cause) == (kept.id, "The fuse is blown")
    assert (await flags.get(flag.id)).status is FlagStatus.resolved


async def test_disputed_fields_can_be_settled_one_by_one(as_system):
    card, _, proposal = await proposed(a_card(root_cause="The fuse is blown", severity="critical", tags=["fuse"]))
    present = await edited(card, root_cause="The board is wet", severity="low")
    with acting_as(EXPERT):
        assert (await proposals.compare(proposal)).conflicts == ["severity", "root_cause"]
        content = await proposals.combined(proposal, {"root_cause", "tags"})
        assert (content.root_cause, content.severity, content.tags) == ("The board is wet", "critical", ["fuse"])
        decided, after = await proposals.accept(proposal, content=content, edition=present.edition)
    assert (after.root_cause, after.severity, decided.status) == (
        "The board is wet",
        "critical",
        ProposalStatus.accepted,
    )
