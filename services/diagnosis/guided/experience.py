"""What confirmed repairs taught about tests: an outcome for each test and passage, summed up by card and variant.

Both functions that write belong in the transaction of an event's receipt; the ledger (`test_outcomes`, one entry per
ticket, passage and test) keeps a test from counting twice, and lets a revisit take its outcomes back.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo import UpdateOne

from app import clock
from models.diagnosis import CheckLikelihood, CheckOutcome
from models.failure_card import DiagnosticTree, FailureCard
from models.technician_action import AttemptedDiagnostic
from models.ticket import Ticket
from services.diagnosis.guided.identity import identity
from services.diagnosis.guided.likelihoods import ANY_CARD, Counts, Learnt, borrowed
from services.knowledge.confidence import POOLED, variant_of
from services.knowledge.learning import Decayed
from services.writing import update


class _Policy:
    half_life = timedelta(days=365)


def configure(*, half_life_days: float) -> None:
    """Set after how many days an outcome counts half (Settings.evidence_half_life_days)."""
    _Policy.half_life = timedelta(days=half_life_days)


@dataclass(frozen=True, slots=True)
class Said:
    """A test and its answer, in the test's own sense."""

    test_id: str
    yes: bool


async def outcomes_in(diagnostics: Iterable[AttemptedDiagnostic]) -> list[Said]:
    """The tests that were answered: diagnostics that name a card, a node of its tree and an answer.

    A test answered twice counts by its last answer. Nodes that the tree does not have any more are left out.
    """
    answered = [done for done in diagnostics if done.card_id and done.step_id and done.answer is not None]
    wanted = sorted({done.card_id for done in answered if done.card_id})
    cards = FailureCard.get_pymongo_collection().find({"_id": {"$in": wanted}}, {"diagnostic_tree": 1})
    nodes = {
        (card["_id"], node.node_id): node
        async for card in cards
        if card.get("diagnostic_tree")
        for node in DiagnosticTree.model_validate(card["diagnostic_tree"]).nodes
    }
    said: dict[str, Said] = {}
    for done in answered:
        node = nodes.get((done.card_id or "", done.step_id))
        if node is not None:
            test_id, inverted = identity(node)
            said[test_id] = Said(test_id, done.answer is not inverted)
    return [said[test_id] for test_id in sorted(said)]


async def learn(
    card_id: str, ticket: Ticket, resolution_round: int, said: list[Said], occurred_at: datetime, event_id: str
) -> int:
    """Count the answers for the card that turned out to be the cause. Returns how many were new."""
    passage = {"ticket_id": ticket.id, "resolution_round": resolution_round}
    known = {outcome.test_id for outcome in await CheckOutcome.find(passage).to_list()}
    outcomes = [
        CheckOutcome(
            **passage,
            test_id=one.test_id,
            card_id=card_id,
            variant=variant_of(ticket),
            said_yes=one.yes,
            occurred_at=occurred_at,
            event_id=event_id,
        )
        for one in said
        if one.test_id not in known
    ]
    if outcomes:
        await CheckOutcome.insert_many(outcomes)
        await _count(outcomes, 1)
    return len(outcomes)


async def take_back(ticket_id: str, resolution_round: int) -> int:
    """The repair had not solved the problem, so its card was not the cause: forget what the answers seemed to say."""
    found = await CheckOutcome.find({"ticket_id": ticket_id, "resolution_round": resolution_round}).to_list()
    outcomes = [outcome for outcome in found if outcome.taken_back_at is None]
    for outcome in outcomes:
        await update(outcome, {"taken_back_at": clock.now()})
    await _count(outcomes, -1)
    return len(outcomes)


async def learnt(
    card_ids: Iterable[str], variant: str, *, merged: Mapping[str, Collection[str]] | None = None
) -> Learnt:
    """What is known of the cards' tests, and of all cards' together, on one variant; decayed to now.

    `merged` names the cards that were merged into a card: what their repairs showed counts for it.
    """
    now, none = clock.now(), Counts()
    owners: dict[str, list[str]] = {card_id: [card_id] for card_id in (*card_ids, ANY_CARD)}
    for card_id, retired in (merged or {}).items():
        for former in retired:
            owners.setdefault(former, []).append(card_id)
    rows = await CheckLikelihood.find(
        {"card_id": {"$in": list(owners)}, "variant": {"$in": [variant, POOLED]}}
    ).to_list()
    counts: dict[tuple[str, str], dict[str, Counts]] = {}
    for row in rows:
        sums = Decayed(row.as_of, row.yes, row.no).at(now, _Policy.half_life)
        for owner in owners[row.card_id]:
            kinds = counts.setdefault((owner, row.test_id), {})
            kinds[row.variant] = kinds.get(row.variant, none).plus(Counts(sums.successes, sums.failures))
    return {key: borrowed(kinds.get(variant, none), kinds.get(POOLED, none)) for key, kinds in counts.items()}


async def _count(outcomes: list[CheckOutcome], sign: int) -> None:
    """Add outcomes to the sums of their card and of all cards, on their variant and on all; or take them away."""
    keys = {
        f"{card_id}|{outcome.test_id}|{variant}": (card_id, outcome.test_id, variant)
        for outcome in outcomes
        for card_id in (outcome.card_id, ANY_CARD)
        for variant in (outcome.variant, POOLED)
    }
    if not keys:
        return
    stored = {row.id: row for row in await CheckLikelihood.find({"_id": {"$in": sorted(keys)}}).to_list()}
    now = clock.now()
    writes = []
    for row_id, (card_id, test_id, variant) in sorted(keys.items()):
        row = stored.get(row_id)
        sums = Decayed(row.as_of, row.yes, row.no) if row else Decayed(now)
        number = row.outcomes if row else 0
        for outcome in outcomes:
            if outcome.test_id == test_id and card_id in (outcome.card_id, ANY_CARD):
                yes, no = sign * outcome.said_yes, sign * (not outcome.said_yes)
                sums = sums.plus(outcome.occurred_at, _Policy.half_life, successes=yes, failures=no)
                number += sign
        values = {"yes": sums.successes, "no": sums.failures, "as_of": sums.as_of, "outcomes": number}
        first = {"card_id": card_id, "test_id": test_id, "variant": variant, "created_at": now}
        change = {"$set": {**values, "updated_at": now}, "$inc": {"revision": 1}, "$setOnInsert": first}
        writes.append(UpdateOne({"_id": row_id}, change, upsert=True))
    await CheckLikelihood.get_pymongo_collection().bulk_write(writes)
