"""Several services in one process: each has a database of its own on the one server, and one at a time is open."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app import database
from app.security import Actor, Role, acting_as, system
from models import ALL_DOCUMENTS
from models.enums import ReviewStatus
from models.failure_card import CardContent, FailureCard, Review
from models.network import CardLineage, CardShare, Peer, PeerContent, Trust
from models.ticket import Ticket
from services.knowledge import cards, confidence, lifecycle, reviews
from services.knowledge.content import content_of
from services.knowledge.network import changes, identity, importing, peers
from services.knowledge.network.bundles import parts
from services.knowledge.survivors import survivor
from tests.services.knowledge.samples import a_card, person


class Site:
    """One service. `with site:` opens its store, as its expert."""

    def __init__(self, name: str, place: dict[str, Any], client: Any) -> None:
        self.name = name
        self.node_id = ""
        self.expert: Actor = person(f"expert{name}", Role.expert)
        self._place, self._client = place, client
        self._stack: list[Any] = []

    @classmethod
    async def open(cls, name: str, url: str, database_name: str) -> "Site":
        await database.connect(url, database_name, ALL_DOCUMENTS)
        place = {model.__name__: model._document_settings for model in ALL_DOCUMENTS}
        site = cls(name, place, database._client)
        with site:
            site.node_id = (await identity.own()).node_id
        return site

    def __enter__(self) -> "Site":
        for model in ALL_DOCUMENTS:
            model._document_settings = self._place[model.__name__]
        database._client = self._client
        acting = acting_as(self.expert)
        acting.__enter__()
        self._stack.append(acting)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.pop().__exit__(*error)

    async def close(self) -> None:
        await self._client.close()

    async def trusts(self, other: "Site", trust: Trust = Trust.approve_automatically) -> None:
        with other:
            key = (await identity.own()).public_key
        with self:
            await peers.add(other.node_id, PeerContent(name=other.name, public_key=key, trust=trust))

    async def bundles_for(self, since: int, limit: int = 200) -> list[bytes]:
        with self:
            found = []
            while True:
                raw = await changes.changes(since, limit)
                payload, _ = parts(raw)
                if payload["until"] == since:
                    return found
                found.append(raw)
                since = payload["until"]

    async def pull(self, other: "Site", limit: int = 200, pages: int | None = None) -> int:
        """As `pulling.pull`, without the wire: `pages` bundles at most, then the line breaks. Returns their number."""
        with self:
            cursor = (await peers.get(other.node_id)).cursor
        found = (await other.bundles_for(cursor, limit))[:pages]
        for raw in found:
            with self:
                await importing.import_bundle(raw)
        return len(found)

    async def approved(self, title: str = "BMS cell balancing circuit failure", **fields: Any) -> FailureCard:
        with self:
            card = await cards.create(a_card(title=title, **fields))
            return await lifecycle.approve(await lifecycle.submit(card))

    async def card(self, card_id: str) -> FailureCard:
        with self:
            found = await FailureCard.find_one({"_id": card_id})
        assert found is not None, f"{card_id} is not at {self.name}"
        return found

    async def edit(self, card_id: str, **fields: Any) -> FailureCard:
        card = await self.card(card_id)
        with self:
            content = CardContent.model_validate(content_of(card).model_dump() | fields)
            return await cards.edit(card, content, edition=card.edition)

    async def deprecate(self, card_id: str, reason: str = "outdated", **more: Any) -> FailureCard:
        card = await self.card(card_id)
        with self:
            return await lifecycle.deprecate(card, reason, **more)

    async def outcome(self, card_id: str, *, success: bool, when: Any = None, **vehicle: Any) -> Ticket:
        """One repair by the card, or by the one that it was merged into."""
        ticket = Ticket(**{"title": "Charging stops", "vehicle_make": "Ather", "vehicle_model": "450X"} | vehicle)
        with self, acting_as(system("learning")):
            await ticket.insert()

            async def work() -> None:
                at = when or ticket.created_at
                present = await survivor(card_id)
                await confidence.record_outcome(present, ticket, 1, [], success, "a repair", at, "evt_test")

            await database.in_transaction(work)
        return ticket

    async def take_back(self, ticket: Ticket) -> None:
        with self, acting_as(system("learning")):
            await database.in_transaction(lambda: confidence.take_back(ticket.id, 1, "it is back", "evt_test"))

    async def open_reviews(self) -> list[Review]:
        with self:
            return (await reviews.list_reviews(limit=200)).items

    async def decide(self, review: Review, approve: bool = True, **content: Any) -> Review:
        with self:
            status = ReviewStatus.approved if approve else ReviewStatus.rejected
            return await lifecycle.decide(await reviews.get(review.id), status, "decided", **content)

    async def lineages(self) -> dict[str, CardLineage]:
        with self:
            return {lineage.id: lineage for lineage in await CardLineage.find_all().to_list()}

    async def shares(self) -> dict[tuple[str, str], CardShare]:
        with self:
            return {(one.network_id, one.origin): one for one in await CardShare.find_all().to_list()}

    async def peer(self, other: "Site") -> Peer:
        with self:
            return await peers.get(other.node_id)

    async def do(self, work: Callable[[], Awaitable[Any]]) -> Any:
        with self:
            return await work()


@contextmanager
def failing(module: Any, name: str, error: Exception) -> Iterator[None]:
    """The named function of a module fails, as a process that dies at this point would leave it undone."""
    original = getattr(module, name)

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    setattr(module, name, fail)
    try:
        yield
    finally:
        setattr(module, name, original)
