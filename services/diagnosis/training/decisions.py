"""Which resolved tickets say what explained them.

A passage decides for a card if a repair by it worked, the return window has passed and the vehicle has not come back;
for "no known failure" if a new failure was discovered, or if the technician recorded work without a card although cards
had been suggested. Everything else, such as a card that did not help, decides nothing.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from app import clock
from matching.training import Decision, Row
from models.enums import RelationType, TicketStatus
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from models.learning import CardOutcome
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis.translate import ticket_case

MOST = 5_000
"""Decisions that are learnt from, the latest ones: vehicles and words change, and training takes minutes at most."""
BATCH = 200
SATISFIED_FROM = 3
"""Of five. Below, a repair does not count as a success whatever the technician says."""
DECIDED = (TicketStatus.resolved, TicketStatus.closed)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """A ticket's decision. `asked_at` is when the ticket came in, `decided_at` when it was resolved."""

    ticket_id: str
    decision: Decision
    asked_at: datetime
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Since when a card could be matched, and the ticket that it was born from, if one."""

    since: datetime
    born_from: str | None


async def read(return_window: timedelta, *, most: int = MOST) -> list[Decided]:
    """The latest decisions, `most` of them, oldest first.

    A card that has been merged stands for the one it was merged into. Cards drawn as similar to the right one are
    ignored. Left out is a ticket whose own text became the card that it was decided for.
    """
    found: list[Decided] = []
    settled_by = clock.now() - return_window
    async for tickets in _tickets(settled_by):
        outcomes = await _by_ticket(CardOutcome, tickets)
        actions = await _by_ticket(TechnicianAction, tickets)
        answers = {ticket.id: _answer(ticket, outcomes[ticket.id], actions[ticket.id]) for ticket in tickets}
        named = {card_id for cards in answers.values() for card_id in cards or ()}
        heirs, born, similar = await _cards(named)
        for ticket in tickets:
            cards = answers[ticket.id]
            if cards is None or any(born.get(card_id) == ticket.id for card_id in cards):
                continue
            relevant = frozenset(heirs.get(card_id, card_id) for card_id in cards)
            ignored = frozenset(twin for card_id in relevant for twin in similar.get(card_id, ())) - relevant
            group = min(relevant, default=ticket.vehicle_id or ticket.id)
            decision = Decision(ticket_case(ticket), relevant, group, ignored)
            found.append(Decided(ticket.id, decision, ticket.created_at, ticket.resolved_at or ticket.updated_at))
        if len(found) >= most:
            break
    return sorted(found, key=lambda one: (one.decided_at, one.ticket_id))[-most:]


def fingerprint(decided: Iterable[Decided]) -> str:
    """Changes with any decision: tickets, what they say, and what was decided."""
    told = hashlib.sha256()
    for one in decided:
        told.update(repr((one.ticket_id, one.decision.case, sorted(one.decision.relevant))).encode())
    return told.hexdigest()


async def facts(card_ids: Iterable[str]) -> dict[str, CardFacts]:
    """Facts of the cards that exist."""
    wanted, known = sorted(set(card_ids)), {}
    fields = {"created_at": 1, "approved_at": 1, "source_ticket_id": 1}
    for start in range(0, len(wanted), BATCH):
        query = {"_id": {"$in": wanted[start : start + BATCH]}}
        async for card in FailureCard.get_pymongo_collection().find(query, fields):
            since = card.get("approved_at") or card["created_at"]
            known[card["_id"]] = CardFacts(since, card.get("source_ticket_id"))
    return known


def fair(decided: Sequence[Decided], rows: Sequence[Row], cards: Mapping[str, CardFacts]) -> list[tuple[Decided, Row]]:
    """The decisions that may be learnt from, with what they were taken among.

    A card that came after the ticket was not among the answers: it is ignored. If it was born from this very ticket, it
    repeats its words, and the whole decision is left out. So is one whose right card cannot be matched any more.
    """
    kept = []
    for one, row in zip(decided, rows, strict=True):
        known = [cards.get(card_id) for card_id in row.ids]
        if any(card is not None and card.born_from == one.ticket_id for card in known):
            continue
        if one.decision.relevant and not row.relevant.any():
            continue
        later = np.array([card is not None and card.since > one.asked_at for card in known], dtype=bool)
        kept.append((one, replace(row, ignored=(row.ignored | later) & ~row.relevant)))
    return kept


def _answer(ticket: Ticket, outcomes: Sequence[Document], actions: Sequence[Document]) -> frozenset[str] | None:
    """The cards that explained the last passage, empty if the failure was unknown; None if that is undecided."""
    unhappy = ticket.customer_satisfaction is not None and ticket.customer_satisfaction < SATISFIED_FROM
    if not ticket.resolution_successful or ticket.revisit_required or unhappy:
        return None
    passage = ticket.resolution_count
    own = [action for action in actions if action["resolution_round"] == passage]
    worked = frozenset(
        outcome["card_id"]
        for outcome in outcomes
        if outcome["resolution_round"] == passage and outcome["success"] and outcome["taken_back_at"] is None
    )
    # The ticket's mark outlasts its passage, the actions' do not.
    discovered = any(action["new_failure_discovered"] for action in own) or (
        ticket.new_failure_discovered and passage == 1
    )
    used = {action["failure_card_used"] for action in own} - {None}
    if not used and ticket.selected_failure_card is not None:
        worked = frozenset({ticket.selected_failure_card})
    if worked and not discovered:
        return worked
    if discovered and not worked:
        return frozenset()
    nothing_fitted = own and not used and not worked and ticket.suggested_failure_cards
    return frozenset() if nothing_fitted and not discovered else None


async def _tickets(settled_by: datetime) -> AsyncIterator[list[Ticket]]:
    """Batches of tickets that were resolved so long ago that a revisit would have been one already, latest first."""
    settled: list[tuple[datetime, str]] = []
    for status in DECIDED:
        # Imported history is closed without ever having been resolved here, and may be much: only its dates are read.
        tickets = Ticket.get_pymongo_collection().find({"status": status}, {"resolved_at": 1, "resolution_count": 1})
        async for ticket in tickets:
            resolved_at = ticket.get("resolved_at")
            if resolved_at is not None and resolved_at <= settled_by and ticket.get("resolution_count"):
                settled.append((resolved_at, ticket["_id"]))
    settled.sort(reverse=True)
    for start in range(0, len(settled), BATCH):
        ids = [ticket_id for _, ticket_id in settled[start : start + BATCH]]
        yield await Ticket.find({"_id": {"$in": ids}}).to_list()


async def _by_ticket(
    model: type[CardOutcome] | type[TechnicianAction], tickets: Sequence[Ticket]
) -> defaultdict[str, list[Document]]:
    found: defaultdict[str, list[Document]] = defaultdict(list)
    async for document in model.get_pymongo_collection().find({"ticket_id": {"$in": [t.id for t in tickets]}}):
        found[document["ticket_id"]].append(document)
    return found


async def _cards(card_ids: set[str]) -> tuple[dict[str, str], dict[str, str | None], dict[str, set[str]]]:
    """Of these cards: what they were merged into, the ticket they were born from, and cards drawn as similar to what
    stands for them now."""
    heirs: dict[str, str] = {}
    born: dict[str, str | None] = {}
    fields = {"merged_into": 1, "source_ticket_id": 1}
    async for card in FailureCard.get_pymongo_collection().find({"_id": {"$in": sorted(card_ids)}}, fields):
        born[card["_id"]] = card.get("source_ticket_id")
        if card.get("merged_into"):
            heirs[card["_id"]] = card["merged_into"]
    standing = sorted({heirs.get(card_id, card_id) for card_id in card_ids})
    similar: defaultdict[str, set[str]] = defaultdict(set)
    for end in ("source_id", "target_id"):
        async for edge in KnowledgeRelation.get_pymongo_collection().find({end: {"$in": standing}}):
            if edge["relation_type"] == RelationType.similar_to:
                similar[edge["source_id"]].add(edge["target_id"])
                similar[edge["target_id"]].add(edge["source_id"])
    return heirs, born, similar
