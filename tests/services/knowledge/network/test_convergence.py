"""Whatever happens at each service and in whatever order they hear of each other: once they have come to rest, they
know the same. Random histories from fixed seeds; a failing seed is a history that can be run again."""

import random
from typing import Any

import pytest

from app import clock
from app.errors import EfiError
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from services.knowledge import confidence, loading
from services.knowledge.content import content_of
from services.knowledge.network import importing, public
from tests.services.knowledge.network.conftest import Found
from tests.services.knowledge.network.sites import Site, failing
from tests.services.knowledge.samples import a_card

STEPS = 60
SEEDS = 3
TITLES = ["Cell group drifts", "Hall sensor open", "Contactor welded", "Coolant pump silent"]
CAUSES = ["open resistor", "wet connector", "worn gasket", "cold solder joint", "firmware 1.2"]
ROUNDS = 60


class Lost(Exception):
    """The process died here."""


class History:
    """What happens at random at some services."""

    def __init__(self, sites: list[Site], chance: random.Random) -> None:
        self.sites, self.chance = sites, chance
        self.repairs: list[tuple[Site, Any]] = []

    async def step(self) -> None:
        doings = [self.write, self.edit, self.edit, self.give_up, self.repair, self.repair, self.repair, self.regret]
        await self.chance.choice([*doings, self.load, self.exchange, self.exchange, self.exchange, self.decide])()

    async def _known(self, site: Site) -> list[FailureCard]:
        with site:
            return await FailureCard.find({"status": FailureCardStatus.approved}).sort([("_id", 1)]).to_list()

    async def write(self) -> None:
        site = self.chance.choice(self.sites)
        await site.approved(f"{self.chance.choice(TITLES)} {self.chance.randrange(1000)}")

    async def load(self) -> None:
        """The same file at every service, now and then in a newer edition."""
        site, edition = self.chance.choice(self.sites), self.chance.randrange(2)
        entry = ("file:1", a_card(title="Loaded everywhere", root_cause=f"edition {edition}"))
        await site.do(lambda: loading.upsert_by_natural_key([entry]))

    async def edit(self) -> None:
        site = self.chance.choice(self.sites)
        if known := await self._known(site):
            field = self.chance.choice(["root_cause", "description", "symptom_text"])
            await site.edit(self.chance.choice(known).id, **{field: self.chance.choice(CAUSES)})

    async def give_up(self) -> None:
        site = self.chance.choice(self.sites)
        if len(known := await self._known(site)) > 2:
            card, successor = self.chance.sample(known, 2)
            await site.deprecate(card.id, "replaced", successor_id=self.chance.choice([None, successor.id]))

    async def repair(self) -> None:
        site = self.chance.choice(self.sites)
        if known := await self._known(site):
            card = self.chance.choice(known)
            model = self.chance.choice(["450X", "Rizta"])
            ticket = await site.outcome(card.id, success=self.chance.random() < 0.6, vehicle_model=model)
            self.repairs.append((site, ticket))
            await site.do(lambda: confidence.record_rating(card.id, self.chance.randint(1, 5)))

    async def regret(self) -> None:
        if self.repairs:
            site, ticket = self.repairs.pop(self.chance.randrange(len(self.repairs)))
            await site.take_back(ticket)

    async def exchange(self) -> None:
        """A pull that goes through, breaks off between bundles, or dies in the midst of one."""
        one, other = self.chance.sample(self.sites, 2)
        limit, ending = self.chance.choice([1, 3, 200]), self.chance.random()
        if ending < 0.3:
            with failing(importing.conflicts, "settle", Lost()), pytest.raises(Lost):
                if not await one.pull(other, limit=limit):
                    raise Lost
        await one.pull(other, limit=limit, pages=2 if ending < 0.6 else None)

    async def decide(self) -> None:
        site = self.chance.choice(self.sites)
        for review in (await site.open_reviews())[:1]:
            await self._decide(site, review)

    async def _decide(self, site: Site, review: Any) -> None:
        written = {}
        if review.incoming_id and self.chance.random() < 0.3:
            ours = content_of(await site.card(review.card_id))
            written = {"content": ours.model_copy(update={"description": f"both, {self.chance.random()}"})}
        await site.decide(review, approve=bool(written) or self.chance.random() < 0.5, **written)

    async def come_to_rest(self) -> None:
        """Everybody asks everybody until there is nothing new; then one open question is settled, and again."""
        for _ in range(ROUNDS):
            moved = sum([await one.pull(other) for one in self.sites for other in self.sites if one is not other])
            if moved:
                continue
            asked = [(site, review) for site in self.sites for review in await site.open_reviews()]
            if not asked:
                return
            await self._decide(*asked[0])
        raise AssertionError("it does not come to rest")


async def knowledge(site: Site) -> dict[str, Any]:
    """What a service knows, without what is its own: local ids, people, times of writing."""
    lineages = await site.lineages()
    found = {}
    for network_id, lineage in lineages.items():
        card = await site.card(lineage.card_id)
        with site:
            pooled, variants = await confidence.evidence_of(card.id)
        shown = public.public_card(content_of(card), card.status, card.deprecation_reason)
        found[network_id] = {
            "content": public.as_json(shown),
            "version": (card.version, lineage.version),
            "vector": lineage.vector,
            "successor": lineage.successor_id,
            "counts": {name: getattr(card, name) for name in importing.shares.COUNTS},
            "score": (card.confidence_score, card.confidence_level),
            "used": card.last_used_at,
            "summary": [round(value, 9) for value in (card.evidence_mean, card.evidence_low, card.evidence_n)],
            "evidence": {
                one.variant: (one.outcomes, one.ruled_out, round(one.fix_rate.mean, 6)) for one in (pooled, *variants)
            },
        }
    return found


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_all_services_end_with_the_same_knowledge(
    found_sites: Found, count: int, seed: int, monkeypatch: pytest.MonkeyPatch
):
    sites = await found_sites(count)
    history = History(sites, random.Random(seed * 10 + count))
    for _ in range(STEPS):
        try:
            await history.step()
        except EfiError as refused:
            assert refused.code in {"illegal_move", "card_deprecated", "stale", "invalid"}, refused
    await history.come_to_rest()

    asked_at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: asked_at)  # evidence loses weight from one question to the next
    first = await knowledge(sites[0])
    assert len(first) > 1
    for site in sites[1:]:
        other = await knowledge(site)
        assert other.keys() == first.keys()
        apart = {
            (card, what): (first[card][what], other[card][what])
            for card in first
            for what in first[card]
            if first[card][what] != other[card][what]
        }
        assert not apart
