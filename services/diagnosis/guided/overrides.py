"""Going on without a check that was missed: done and noted together, and what is known of it afterwards."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.database import in_transaction
from models.diagnosis import CheckOverride, OverrideReason, PassedCheck
from models.failure_card import FailureCard
from models.part import PartUsage
from models.record import ActorRef
from models.ticket import Resolution, Ticket
from services.diagnosis.guided import guard
from services.diagnosis.guided.guard import Override, Passed
from services.repairs import ticket_moves, usage
from services.repairs.ticket_moves import round_of

MOST_SHOWN = 50
COUNTED = 1000
"""The latest overrides of a card that are counted."""


async def resolve(ticket: Ticket, resolution: Resolution, override: Override | None) -> Ticket:
    """Resolve the ticket. Raises CheckMissed without an override, else as `ticket_moves.resolve` does."""
    successful = resolution.resolution_successful
    passed = await guard.before_resolving(
        ticket, resolution.selected_failure_card, successful=successful, override=override
    )

    async def work() -> Ticket:
        resolved = await ticket_moves.resolve(ticket, resolution)
        await note(passed)
        return resolved

    return await in_transaction(work)


async def allocate(
    ticket_id: str, part_id: str, quantity: int, override: Override | None, *, substitute_for: str = ""
) -> PartUsage:
    """Take pieces from stock. Raises CheckMissed without an override, else as `usage.allocate` does."""
    passed = await guard.before_allocating(ticket_id, part_id, quantity, override=override)

    async def work() -> PartUsage:
        taken = await usage.allocate(ticket_id, part_id, quantity, substitute_for=substitute_for)
        await note(passed, usage_id=taken.id)
        return taken

    return await in_transaction(work)


async def note(passed: Passed | None, *, usage_id: str | None = None) -> None:
    """Keep who went on without which checks, when and why. Belongs into the transaction of what was done."""
    if passed is None:
        return
    await CheckOverride(
        ticket_id=passed.ticket.id,
        site_id=passed.ticket.site_id,
        resolution_round=round_of(passed.ticket),
        card_id=passed.card_id,
        checks=[
            PassedCheck(test_id=check.test_id, card_id=check.card_id, question=check.question)
            for check in passed.checks
        ],
        usage_id=usage_id,
        reason=passed.override.reason,
        note=passed.override.note,
        by=ActorRef.current(),
    ).insert()


async def on_ticket(ticket_id: str) -> list[CheckOverride]:
    """What was passed over on a ticket that the caller may see, oldest first."""
    return await CheckOverride.find({"ticket_id": ticket_id}).sort([("_id", 1)]).limit(MOST_SHOWN).to_list()


@dataclass(frozen=True, slots=True)
class QuestionPassed:
    """How often people relied on a card without asking this question of it."""

    question: str
    times: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """How often people relied on a card without a check that would decide, why, and without which: counts, never
    names. `reasons` has "" where none was given. The most frequent come first."""

    times: int
    reasons: dict[OverrideReason | str, int]
    questions: Sequence[QuestionPassed]


async def on_card(card: FailureCard) -> PassedOver:
    """The latest COUNTED of a card, those of the cards merged into it included."""
    query = {"card_id": {"$in": [card.id, *card.merged_from]}}
    found = await CheckOverride.find(query).sort([("_id", -1)]).limit(COUNTED).to_list()
    reasons = Counter(one.reason or "" for one in found)
    questions = Counter(question for one in found for question in {check.question for check in one.checks})
    return PassedOver(
        times=len(found),
        reasons=dict(reasons.most_common()),
        questions=[QuestionPassed(question, times) for question, times in questions.most_common()],
    )
