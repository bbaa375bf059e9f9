"""A workshop network on the starter knowledge: tickets in the words of its cards and symptoms, worked and resolved.

Every fifth card is kept out of the store: a ticket about such a failure is one that no known card explains.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import clock
from models.enums import FailureCardStatus, ResolutionOutcome, TicketStatus
from models.failure_card import CardContent, FailureCard
from models.learning import CardOutcome
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from seeds.starter import StarterKnowledge, load_starter
from services.knowledge.loading import upsert_by_natural_key, upsert_symptoms

UNKNOWN_EVERY = 5
WINDOW = timedelta(days=30)
LONG_AGO = timedelta(days=90)
SHOWN = "fc_shown"
"""Stands for whatever had been suggested."""


@dataclass(frozen=True)
class Network:
    """Ids of the cards in the store by natural key, and all the knowledge that tickets are made from."""

    starter: StarterKnowledge
    card_ids: dict[str, str]

    def wordings(self, card: CardContent) -> list[str]:
        """What owners and technicians say of this failure."""
        library = {symptom.symptom_code: symptom for symptom in self.starter.symptoms}
        said = [sentence.strip() for sentence in card.symptom_text.split(". ") if sentence.strip()]
        said += [symptom.description for symptom in card.symptoms]
        return said + [word for code in card.symptom_codes for word in (library[code].name, *library[code].synonyms)]


async def network() -> Network:
    """The starter knowledge, approved long ago, without every fifth card."""
    starter = load_starter()
    await upsert_symptoms(starter.symptoms)
    await upsert_by_natural_key([entry for n, entry in enumerate(starter.cards) if n % UNKNOWN_EVERY])
    long_ago = clock.now() - timedelta(days=1000)
    cards = FailureCard.get_pymongo_collection()
    await cards.update_many({}, {"$set": {"created_at": long_ago, "approved_at": long_ago}})
    known = {card["natural_key"]: card["_id"] async for card in cards.find({}, {"natural_key": 1, "status": 1})}
    assert await cards.count_documents({"status": FailureCardStatus.approved}) == len(known)
    return Network(starter, known)


async def work_tickets(
    made: Network, count: int, *, seed: int = 0, noise: float = 0.0, at: datetime | None = None
) -> int:
    """`count` tickets, resolved long ago; `noise` is the share of them with an answer that was drawn at random."""
    draw = random.Random(seed)
    tickets, actions, outcomes = [], [], []
    resolved_at = at or clock.now() - LONG_AGO
    for ticket, truth in _tickets(made, count, draw):
        if draw.random() < noise:
            truth = draw.choice([*made.card_ids.values(), *[None] * (len(made.card_ids) // 4)])
        ticket.resolved_at = resolved_at = resolved_at + timedelta(minutes=1)
        tickets.append(ticket)
        actions.append(action_on(ticket, truth))
        if truth is not None:
            outcomes.append(outcome_of(ticket, truth))
    await Ticket.insert_many(tickets)
    await TechnicianAction.insert_many(actions)
    await CardOutcome.insert_many(outcomes)
    return count


def _tickets(made: Network, count: int, draw: random.Random) -> Iterator[tuple[Ticket, str | None]]:
    for _ in range(count):
        key, card = draw.choice(made.starter.cards)
        said = made.wordings(card)
        vehicle = draw.choice(card.vehicle_models) if card.vehicle_models else None
        yield (
            resolved_ticket(
                draw.choice(said)[:200].ljust(3, "."),
                ". ".join(draw.sample(said, min(2, len(said)))),
                vehicle_make=vehicle.make if vehicle else "",
                vehicle_model=vehicle.model if vehicle else "",
            ),
            made.card_ids.get(key),
        )


def resolved_ticket(title: str, description: str = "", **fields: object) -> Ticket:
    then = clock.now() - LONG_AGO
    return Ticket(
        **{
            "title": title,
            "description": description,
            "status": TicketStatus.closed,
            "suggested_failure_cards": [SHOWN],
            "resolution_successful": True,
            "resolution_count": 1,
            "resolved_at": then,
            "created_at": then - timedelta(days=1),
            **fields,
        }
    )


def action_on(ticket: Ticket, card_id: str | None, **fields: object) -> TechnicianAction:
    return TechnicianAction(
        **{
            "ticket_id": ticket.id,
            "technician_id": "usr_asha",
            "failure_card_used": card_id,
            "resolution_outcome": ResolutionOutcome.success,
            **fields,
        }
    )


def outcome_of(ticket: Ticket, card_id: str, **fields: object) -> CardOutcome:
    return CardOutcome(
        **{
            "card_id": card_id,
            "ticket_id": ticket.id,
            "resolution_round": 1,
            "action_ids": [],
            "variant": "||",
            "success": True,
            "reason": "the repair succeeded",
            "occurred_at": ticket.resolved_at,
            "event_id": "evt_1",
            **fields,
        }
    )
