"""Cards learn from repairs: outcomes, revisits, rejections and ratings, each within the caller's transaction.

Every function here reads a card and writes it back under its revision, so concurrent outcomes conflict in the store and
`app.database.in_transaction` repeats the loser: none is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pymongo import UpdateOne

from app import clock
from models.event import ConfidenceUpdated, EffectivenessRecalculated
from models.failure_card import ConfidenceChange, FailureCard
from models.learning import CardEvidence, CardOutcome
from models.network import CardShare
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.events.record import record_all
from services.knowledge import learning
from services.knowledge.changes import announce
from services.knowledge.evidence_rows import POOLED, EvidenceRow, half_life, row_of, rows_on, write_rows
from services.knowledge.learning import Decayed, Posterior
from services.knowledge.network import shares
from services.knowledge.survivors import survivor, survivors
from services.writing import update

HISTORY_KEPT = 200
"""Entries of the confidence history that stay on the card; all of them are in the event log."""
MAX_VARIANTS = 500


async def record_outcome(
    card_id: str,
    ticket: Ticket,
    resolution_round: int,
    action_ids: list[str],
    success: bool,
    reason: str,
    occurred_at: datetime,
    event_id: str,
    technician_id: str | None = None,
) -> ConfidenceChange | None:
    """Count whether the card's fix worked in one passage of a ticket. Returns what it did to the score.

    `technician_id` is who repaired by the card last. Counts once per card, ticket and passage: called again it changes
    nothing and returns None, as it does when there is no such card.
    """
    passage = {"ticket_id": ticket.id, "resolution_round": resolution_round}
    card = await FailureCard.find_one({"_id": card_id})
    known = {outcome.card_id for outcome in await CardOutcome.find(passage).to_list()}
    if card is None or known & {card.id, *card.merged_from}:
        return None
    here = shares.score_here(card)
    score = learning.stepped(here, success=success)
    outcome = CardOutcome(
        **passage,
        card_id=card.id,
        action_ids=action_ids,
        variant=variant_of(ticket),
        technician_id=technician_id,
        site_id=ticket.site_id,
        firmware=ticket.vehicle_firmware,
        success=success,
        reason=reason,
        score_change=score - here,
        occurred_at=occurred_at,
        event_id=event_id,
    )
    await outcome.insert()
    return await _learn(
        card, outcome, score, reason, event_id, ticket, successes=int(success), failures=int(not success)
    )


async def take_back(ticket_id: str, resolution_round: int, reason: str, event_id: str) -> list[ConfidenceChange]:
    """A revisit showed that the passage had not solved the problem: its successes become failures.

    Undoes what each success did to the score, then takes the step of a failure; in counts and evidence the failure
    stands at the time of the repair. Returns the changes, none if there is no success left to take back.
    """
    passage = await CardOutcome.find({"ticket_id": ticket_id, "resolution_round": resolution_round}).to_list()
    outcomes = [outcome for outcome in passage if worked(outcome) and outcome.superseded_at is None]
    if not outcomes:
        return []
    present = await survivors(outcome.card_id for outcome in outcomes)
    ticket = await Ticket.find_one({"_id": ticket_id})
    changes = []
    # In the order of ids, so that two of these never wait for each other crosswise.
    by_card = {present.get(outcome.card_id, outcome.card_id): outcome for outcome in outcomes}
    for card_id, outcome in sorted(by_card.items()):
        card = await FailureCard.find_one({"_id": card_id})
        if card is None:
            continue
        outcome = await update(outcome, {"taken_back_at": clock.now()})
        score = learning.stepped(learning.shifted(shares.score_here(card), -outcome.score_change), success=False)
        changes.append(
            await _learn(card, outcome, score, reason, event_id, ticket, successes=-1, failures=1, again=True)
        )
    return changes


async def _learn(
    card: FailureCard,
    outcome: CardOutcome,
    score: float,
    reason: str,
    event_id: str,
    ticket: Ticket | None,
    *,
    successes: int,
    failures: int,
    again: bool = False,
) -> ConfidenceChange:
    """Write score, counts and evidence of a card, with their events. `score` is the one after this service's own
    outcomes; `again`: the use has been counted before."""
    shown = learning.shifted(score, card.confidence_elsewhere)
    change = ConfidenceChange(
        timestamp=clock.now(),
        previous_score=card.confidence_score,
        new_score=shown,
        change_reason=reason,
        ticket_id=outcome.ticket_id,
        event_id=event_id,
    )
    used = card.usage_count + (not again)
    worked = card.success_count + successes
    effectiveness = learning.effectiveness(worked, used)
    rows = await rows_on([card.id], outcome.variant)
    for row in rows.values():
        row.add(outcome.occurred_at, successes=successes, failures=failures, outcomes=int(not again))
    elsewhere = shares.ledgers((await shares.foreign([card.id]))[card.id], POOLED)
    last_used_at = max(outcome.occurred_at, card.last_used_at or outcome.occurred_at)
    everywhere = learning.together([rows[card.id, POOLED].sums, *elsewhere], half_life())
    rate = learning.fix_rate(everywhere)
    card = await update(
        card,
        {
            "usage_count": used,
            "success_count": worked,
            "failure_count": card.failure_count + failures,
            "effectiveness_score": effectiveness,
            "confidence_score": shown,
            "confidence_level": learning.level_of(shown),
            "confidence_here": score,
            "evidence_mean": rate.mean,
            "evidence_low": rate.low,
            "evidence_high": rate.high,
            "evidence_n": rate.n,
            "last_used_at": last_used_at,
        },
        push={"confidence_history": {"$each": [change], "$slice": -HISTORY_KEPT}},
    )
    await write_rows(list(rows.values()))
    await record_all(
        [
            ConfidenceUpdated(
                card_id=card.id,
                ticket_id=outcome.ticket_id,
                previous_score=change.previous_score,
                new_score=change.new_score,
                reason=reason,
            ),
            EffectivenessRecalculated(
                card_id=card.id,
                usage_count=card.usage_count,
                success_count=card.success_count,
                failure_count=card.failure_count,
                effectiveness_score=effectiveness,
            ),
        ],
        site_id=ticket.site_id if ticket else None,
        organisation_id=ticket.organisation_id if ticket else None,
    )
    announce(card.id)
    return change


async def record_rejections(action: TechnicianAction, ticket: Ticket) -> list[str]:
    """Count the cards that the action ruled out, each once, for the ticket's vehicle variant; returns their ids.

    A card that the same action went on to use was not ruled out. What it says of a card that has been merged counts for
    the survivor. Not idempotent by itself: call it under the receipt of the event that reports the action.
    """
    rejected = {one.card_id for one in action.rejected_hypotheses if one.card_id is not None}
    used = action.failure_card_used or ""
    present = await survivors({*rejected, used} - {""})
    named = {present.get(card_id, card_id) for card_id in rejected} - {present.get(used, used)}
    cards = await FailureCard.find({"_id": {"$in": sorted(named)}}).to_list() if named else []
    if not cards:
        return []
    card_ids = [card.id for card in cards]
    now = clock.now()
    bump = {"$inc": {"rejected_count": 1, "revision": 1}, "$set": {"updated_at": now}}
    await FailureCard.get_pymongo_collection().bulk_write([UpdateOne({"_id": card_id}, bump) for card_id in card_ids])
    rows = await rows_on(card_ids, variant_of(ticket))
    for row in rows.values():
        row.add(action.created_at, rejections=1)
    await write_rows(list(rows.values()))
    announce(*card_ids)
    return card_ids


async def record_rating(card_id: str, rating: int) -> None:
    """Add a technician's rating (1 to 5) of the card's accuracy, or of the card that it was merged into.

    Call it under a receipt, as `record_rejections`.
    """
    card_id = await survivor(card_id)
    await FailureCard.get_pymongo_collection().update_one(
        {"_id": card_id},
        {"$inc": {"ratings_count": 1, "ratings_sum": rating, "revision": 1}, "$set": {"updated_at": clock.now()}},
    )
    announce(card_id)


def worked(outcome: CardOutcome) -> bool:
    """Whether the outcome stands as a success: recorded as one and not taken back since."""
    return outcome.success and outcome.taken_back_at is None


def variant_of(ticket: Ticket) -> str:
    """The vehicle variant that a ticket is about."""
    return learning.variant_of(ticket.vehicle_make, ticket.vehicle_model, ticket.vehicle_year)


@dataclass(frozen=True)
class Evidence:
    """What is known of a card on one variant, or on all (`variant` is then "*"), decayed to now.

    `outcomes` is the plain number of repairs and `ruled_out` that of times it was ruled out, `sums` the decayed ones.
    """

    variant: str
    outcomes: int
    fix_rate: Posterior
    ruled_out: int
    sums: Decayed

    @property
    def rejections(self) -> float:
        return self.sums.rejections

    @cached_property
    def acceptance(self) -> Posterior:
        """Worked out for those who ask: a match, which may show many cards, does not."""
        return learning.acceptance(self.sums)


async def evidence_of(card_id: str) -> tuple[Evidence, list[Evidence]]:
    """The card's evidence over all variants, and on each (the MAX_VARIANTS with most outcomes), as of now: what was
    learned here and elsewhere."""
    now = clock.now()
    found = await CardEvidence.find({"card_id": card_id}).to_list()
    rows = {row.variant: row_of(row) for row in found}
    elsewhere = (await shares.foreign([card_id]))[card_id]
    for variant in {part.variant for share in elsewhere for part in share.variants} - rows.keys():
        rows[variant] = EvidenceRow(card_id, variant, Decayed(now))
    rows = {variant: _with(row, elsewhere, now) for variant, row in rows.items()}
    pooled = rows.pop(POOLED, None) or EvidenceRow(card_id, POOLED, Decayed(now))
    variants = sorted(rows.values(), key=lambda row: (-row.outcomes, row.variant))[:MAX_VARIANTS]
    return _shown(pooled, pooled.sums), [_shown(row, pooled.sums) for row in variants]


async def evidence_on(card_ids: list[str], variant: str) -> dict[str, Evidence]:
    """What is known of several cards on one variant, here and elsewhere, by card id, decayed to this minute.

    Within it the same outcomes weigh the same, so that what was worked out for one match serves the next.
    """
    now = clock.now().replace(second=0, microsecond=0)
    rows = await rows_on(card_ids, variant)
    elsewhere = await shares.foreign(card_ids) if await shares.any_foreign() else {}
    return {
        card_id: _shown(
            _with(rows[card_id, variant], elsewhere.get(card_id, ()), now),
            _with(rows[card_id, POOLED], elsewhere.get(card_id, ()), now).sums,
        )
        for card_id in card_ids
    }


def _with(row: EvidenceRow, elsewhere: Sequence[CardShare], now: datetime) -> EvidenceRow:
    """Our own row and what other services say of the same variant, as of now."""
    parts = [part for share in elsewhere for part in share.variants if part.variant == row.variant]
    sums = learning.together([row.sums.at(now, half_life()), *map(shares.ledger, parts)], half_life())
    return EvidenceRow(
        row.card_id,
        row.variant,
        sums.at(now, half_life()),
        row.outcomes + sum(part.outcomes for part in parts),
        row.ruled_out + sum(part.ruled_out for part in parts),
    )


def _shown(row: EvidenceRow, pooled: Decayed) -> Evidence:
    rate = learning.variant_fix_rate(row.sums, pooled, half_life())
    return Evidence(row.variant, row.outcomes, rate, row.ruled_out, row.sums)
