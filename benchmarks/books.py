"""Compares the books of a store with each other: acknowledged writes, events, receipts, outcomes, counts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from models.enums import EventStatus
from models.event import EfiEvent, EventReceipt, EventType
from models.failure_card import FailureCard, Review
from models.learning import CardEvidence, CardOutcome
from models.notification import Notification
from models.record import Record
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.knowledge.confidence import POOLED
from services.workflows import HANDLERS


@dataclass
class Books:
    """What does not agree. `lost` are acknowledged writes; `twice` and `missing` effects that events should have had
    once."""

    events: int = 0
    dead_letters: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        return [*self.lost, *self.twice, *self.missing]

    @property
    def clean(self) -> bool:
        return not (self.findings or self.dead_letters)

    def expect(self, what: str, found: float, expected: float) -> None:
        """More than expected was done twice, less is missing."""
        if found != expected:
            (self.twice if found > expected else self.missing).append(f"{what}: {found}, expected {expected}")


async def compare(data_dir: Path, acknowledged: Iterable[tuple[str, str]]) -> Books:
    """Open the embedded store of `data_dir`, which no service may be using, and compare."""
    books = Books()
    settings = Settings(_env_file=None, data_dir=data_dir, mongo_url="")
    async with open_store(settings):
        with acting_as(system("benchmark")):
            events = [event async for event in EfiEvent.find()]
            books.events = len(events)
            books.dead_letters = sum(event.status is EventStatus.dead for event in events)
            await _compare_acknowledged(books, list(acknowledged), events)
            await _compare_receipts(books, events)
            await _compare_learning(books, events)
            await _compare_discoveries(books, events)
    return books


async def _compare_acknowledged(books: Books, acknowledged: list[tuple[str, str]], events: list[EfiEvent]) -> None:
    tickets, actions = await _by_id(Ticket), await _by_id(TechnicianAction)
    resolved = {(e.data["ticket_id"], e.data["resolution_round"]) for e in events if _is(e, EventType.ticket_resolved)}
    for kind, identifier in acknowledged:
        match kind.split():
            case ["ticket"]:
                there = identifier in tickets
            case ["action"]:
                there = identifier in actions
            case ["revisit"]:
                there = identifier in tickets and tickets[identifier].revisit_count == 1
            case ["resolution", passage]:
                there = (identifier, int(passage)) in resolved and tickets[identifier].resolution_count >= int(passage)
            case _:
                raise ValueError(kind)
        if not there:
            books.lost.append(f"acknowledged and gone: {kind} {identifier}")


async def _compare_receipts(books: Books, events: list[EfiEvent]) -> None:
    """Every handler of every event has left one receipt, and nothing else has left any."""
    expected = {f"{event.id}:{handler.name}" for event in events for handler in HANDLERS.get(event.event_type, ())}
    found = {receipt.id async for receipt in EventReceipt.find()}
    books.missing += [f"no receipt {receipt}" for receipt in expected - found]
    books.twice += [f"receipt of nothing: {receipt}" for receipt in found - expected]
    books.missing += [f"not finished: {event.id}" for event in events if event.status is not EventStatus.processed]


async def _compare_learning(books: Books, events: list[EfiEvent]) -> None:
    """Counts on cards and evidence against the ledger, the ledger against what was recorded."""
    outcomes = [outcome async for outcome in CardOutcome.find()]
    actions = [action async for action in TechnicianAction.find()]
    resolved = {(e.data["ticket_id"], e.data["resolution_round"]) for e in events if _is(e, EventType.ticket_resolved)}
    due = {
        (action.failure_card_used, action.ticket_id, action.resolution_round)
        for action in actions
        if action.failure_card_used and (action.ticket_id, action.resolution_round) in resolved
    }
    ledger = Counter((outcome.card_id, outcome.ticket_id, outcome.resolution_round) for outcome in outcomes)
    for passage in due | ledger.keys():
        books.expect(f"outcomes of {passage}", ledger[passage], passage in due)

    revisited = {
        (event.data["ticket_id"], event.data["revisit_of_round"])
        for event in events
        if _is(event, EventType.ticket_in_progress) and event.data["within_return_window"]
    }
    for outcome in outcomes:
        if outcome.success and outcome.taken_back_at is None and _passage(outcome) in revisited:
            books.missing.append(f"a revisit did not take {outcome.id} back")

    used, worked = Counter(), Counter()
    for outcome in outcomes:
        used[outcome.card_id] += 1
        worked[outcome.card_id] += outcome.success and outcome.taken_back_at is None
    rejected = Counter(no.card_id for action in actions for no in action.rejected_hypotheses if no.card_id)
    ratings = Counter(action.failure_card_used for action in actions if action.failure_card_accuracy_rating)
    changes = Counter(event.subject_id for event in events if _is(event, EventType.confidence_updated))
    back = Counter(outcome.card_id for outcome in outcomes if outcome.taken_back_at is not None)
    pooled = {row.card_id: row async for row in CardEvidence.find({"variant": POOLED})}
    async for card in FailureCard.find():
        books.expect(f"uses of {card.id}", card.usage_count, used[card.id])
        books.expect(f"successes of {card.id}", card.success_count, worked[card.id])
        books.expect(f"failures of {card.id}", card.failure_count, used[card.id] - worked[card.id])
        books.expect(f"rejections of {card.id}", card.rejected_count, rejected[card.id])
        books.expect(f"ratings of {card.id}", card.ratings_count, ratings[card.id])
        books.expect(f"changes of confidence of {card.id}", changes[card.id], used[card.id] + back[card.id])
        books.expect(f"evidence on {card.id}", pooled[card.id].outcomes if card.id in pooled else 0, used[card.id])


async def _compare_discoveries(books: Books, events: list[EfiEvent]) -> None:
    drafts = Counter([card.source_action_id async for card in FailureCard.find({"source_action_id": {"$ne": None}})])
    discovered = {event.data["action_id"] for event in events if _is(event, EventType.failure_discovered)}
    for action_id in discovered | drafts.keys():
        books.expect(f"drafts of {action_id}", drafts[action_id], action_id in discovered)
    reviews = await Review.find().count()
    books.expect("reviews", reviews, len(discovered))
    # One admin is there to be told, and no expert.
    books.expect("messages", await Notification.find().count(), len(discovered))
    matched = Counter(event.data["ticket_id"] for event in events if _is(event, EventType.match_completed))
    async for ticket in Ticket.find():
        books.expect(f"matches of {ticket.id}", matched[ticket.id], 1)


def _passage(outcome: CardOutcome) -> tuple[str, int]:
    return outcome.ticket_id, outcome.resolution_round


def _is(event: EfiEvent, kind: EventType) -> bool:
    return event.event_type is kind


async def _by_id(model: type[Record]) -> dict[str, Any]:
    return {document.id: document async for document in model.find()}
