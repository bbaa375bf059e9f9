"""Credit is shown to the person it belongs to, and to nobody else."""

import inspect

import pytest

from app import clock
from app.errors import Forbidden, NotFound
from app.security import Actor, ActorKind, Role, acting_as, agent, system
from models.account import Site, User
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from services.knowledge import credit, flags, merging, proposals
from services.knowledge.credit import FEWEST, Credit
from tests.services.knowledge.samples import EXPERT, OTHER_TECHNICIAN, TECHNICIAN, a_card, person, stored_card
from tests.services.knowledge.test_flags import approved, flagged
from tests.services.knowledge.test_health import used


async def figures(of: Actor) -> Credit:
    with acting_as(of):
        return await credit.mine()


async def written(by: Actor = TECHNICIAN, **fields: object) -> FailureCard:
    return await stored_card(**{"created_by": by.id, "approved_at": clock.now()} | fields)


async def test_nothing_yet(as_system):
    assert await figures(TECHNICIAN) == Credit()


async def test_cards_written_and_how_often_they_helped_others(as_system):
    card = await written()
    await written(status=FailureCardStatus.draft, approved_at=None)
    await written(OTHER_TECHNICIAN)
    for site, helped in (("site_1", "usr_ravi"), ("site_1", "usr_mina"), ("site_2", "usr_ravi")):
        await used(card, 0, technician_id=helped, site_id=site)
    await used(card, 0, technician_id=TECHNICIAN.id, site_id="site_9")
    await used(card, 0, technician_id="usr_ravi", site_id="site_8", worked=False)
    await used(card, 0, technician_id="usr_ravi", site_id="site_7", taken_back_at=clock.now())
    assert await figures(TECHNICIAN) == Credit(cards_authored=2, cards_approved=1, times_helped=3, places_helped=2)


async def test_an_accepted_proposal_and_a_flag_that_led_to_a_fix(as_system):
    card = await approved()
    await used(card, 5, technician_id="usr_x", site_id="site_1")
    flag = await flagged(card, by=OTHER_TECHNICIAN)
    with acting_as(TECHNICIAN):
        proposal = await proposals.propose(flag, a_card(root_cause="A blown fuse"), "measured")
    assert await figures(OTHER_TECHNICIAN) == Credit()
    with acting_as(EXPERT):
        await proposals.accept(proposal)
    dismissed = await flagged(card, by=OTHER_TECHNICIAN)
    with acting_as(EXPERT):
        await flags.dismiss(dismissed, "right")
    assert await figures(OTHER_TECHNICIAN) == Credit(flags_that_led_to_a_fix=1)
    assert await figures(TECHNICIAN) == Credit(proposals_accepted=1), "what worked before is not theirs"
    await used(card, -1, technician_id="usr_x", site_id="site_1")
    assert await figures(TECHNICIAN) == Credit(proposals_accepted=1, times_helped=1, places_helped=1)


async def test_a_merged_card_goes_on_helping_from_the_merge_on(as_system):
    mine, kept = await written(), await approved()
    await used(kept, 3, technician_id="usr_x", site_id="site_1")
    await used(mine, 0, technician_id="usr_x", site_id="site_1")
    with acting_as(EXPERT):
        await merging.merge(await flags.present_card(mine.id), kept.id, reason="one failure")
    await used(kept, -1, technician_id="usr_x", site_id="site_2")
    assert await figures(TECHNICIAN) == Credit(1, 1, times_helped=2, places_helped=2)


async def test_nobody_can_ask_for_somebody_elses(as_system):
    """There is nothing to pass a name to; who is no person has no credit."""
    assert not inspect.signature(credit.mine).parameters
    public = [name for name, value in vars(credit).items() if inspect.iscoroutinefunction(value) and name[0] != "_"]
    assert sorted(public) == ["mine", "of_site"]
    for nobody in (system("timer"), agent("learning"), Actor(ActorKind.user, "usr_1", roles=frozenset({Role.service}))):
        with pytest.raises(Forbidden):
            await figures(nobody)
    await written()
    for role in (Role.admin, Role.expert, Role.technician):
        assert await figures(person("nosy", role)) == Credit()


async def test_a_site_is_shown_only_where_nobody_stands_out(as_system):
    site = await Site(name="Pune").insert()
    people = [await _works_at(site, number) for number in range(FEWEST)]
    await _works_at(site, FEWEST + 1)  # contributes nothing
    cards = [await stored_card(created_by=user.id, approved_at=clock.now()) for user in people[:-1]]
    assert (await credit.of_site(site.id)).figures is None
    cards.append(await stored_card(created_by=people[-1].id))
    for card in cards:
        await used(card, 0, technician_id="usr_x", site_id="site_far")
    shown = (await credit.of_site(site.id)).figures
    assert shown == Credit(cards_authored=5, cards_approved=4, times_helped=5, places_helped=1)
    with pytest.raises(NotFound):
        await credit.of_site("site_none")


async def _works_at(site: Site, number: int) -> User:
    roles = [Role.technician]
    user = User(email=f"p{number}@example.com", name="P", roles=roles, site_ids=[site.id], password_hash="-")
    return await user.insert()
