"""What a card that survives a merge takes over: outcomes, evidence, ratings and rejections of the retired one."""

from app import clock
from models.failure_card import ConfidenceChange, FailureCard
from models.learning import CardEvidence, CardOutcome
from services.knowledge import learning
from services.knowledge.confidence import HISTORY_KEPT, worked
from services.knowledge.evidence_rows import POOLED, EvidenceRow, half_life, row_of, write_rows
from services.knowledge.learning import Decayed
from services.knowledge.network import shares
from services.writing import update


async def inherit(kept: FailureCard, retired: FailureCard) -> FailureCard:
    """Count for `kept` everything that repairs said of `retired`, whose own figures and ledger stay as they are.

    Where both were used in one passage of a ticket, they were one card used twice: the later outcome counts, and the
    other is marked as superseded. The score moves as if the outcomes had been recorded here, with one entry in the
    history. Belongs in the transaction of the merge, which must write `retired` as well: by that an outcome that is
    recorded for it at the same time conflicts, and is repeated for the survivor.
    """
    superseded = await _supersede(kept, retired)
    lost = sum(map(worked, superseded))
    used = kept.usage_count + retired.usage_count - len(superseded)
    succeeded = kept.success_count + retired.success_count - lost
    failed = kept.failure_count + retired.failure_count - (len(superseded) - lost)
    gained = learning.SUCCESS_STEP * (succeeded - kept.success_count)
    lost_score = learning.FAILURE_STEP * (failed - kept.failure_count)
    here = learning.shifted(shares.score_here(kept), gained - lost_score)
    score = learning.shifted(here, kept.confidence_elsewhere)
    rows = await _rows(kept.id, retired.id, superseded)
    await write_rows(list(rows.values()))
    elsewhere = shares.ledgers((await shares.foreign([kept.id]))[kept.id], POOLED)
    rate = learning.fix_rate(learning.together([rows[POOLED].sums, *elsewhere], half_life()))
    change = ConfidenceChange(
        timestamp=clock.now(),
        previous_score=kept.confidence_score,
        new_score=score,
        change_reason=f"{retired.id} was merged into this card with the outcomes of its {retired.usage_count} uses",
    )
    return await update(
        kept,
        {
            "usage_count": used,
            "success_count": succeeded,
            "failure_count": failed,
            "effectiveness_score": learning.effectiveness(succeeded, used),
            "confidence_score": score,
            "confidence_level": learning.level_of(score),
            "confidence_here": here,
            "evidence_mean": rate.mean,
            "evidence_low": rate.low,
            "evidence_high": rate.high,
            "evidence_n": rate.n,
            "rejected_count": kept.rejected_count + retired.rejected_count,
            "ratings_count": kept.ratings_count + retired.ratings_count,
            "ratings_sum": kept.ratings_sum + retired.ratings_sum,
            "last_used_at": max(filter(None, (kept.last_used_at, retired.last_used_at)), default=None),
        },
        push={"confidence_history": {"$each": [change], "$slice": -HISTORY_KEPT}},
    )


async def _supersede(kept: FailureCard, retired: FailureCard) -> list[CardOutcome]:
    """Mark, in every passage in which both cards were used, the outcome of the one that was used first."""
    cards = [kept.id, *kept.merged_from, retired.id, *retired.merged_from]
    by_passage: dict[tuple[str, int], list[CardOutcome]] = {}
    async for outcome in CardOutcome.find({"card_id": {"$in": cards}}):
        if outcome.superseded_at is None:
            by_passage.setdefault((outcome.ticket_id, outcome.resolution_round), []).append(outcome)
    # One for each of both cards at most: earlier merges have left one. Ids of actions are in the order of recording.
    first = [
        min(both, key=lambda one: max(one.action_ids, default="")) for both in by_passage.values() if len(both) > 1
    ]
    return [await update(outcome, {"superseded_at": clock.now()}) for outcome in first]


async def _rows(kept_id: str, retired_id: str, superseded: list[CardOutcome]) -> dict[str, EvidenceRow]:
    """The survivor's evidence as it is to be, by variant; variants that stay as they are are left out."""
    stored = [row_of(row) for row in await CardEvidence.find({"card_id": {"$in": [kept_id, retired_id]}}).to_list()]
    # What other services saw of the retired card is ours from now on, as its counts are.
    elsewhere = (await shares.foreign([retired_id]))[retired_id]
    taken = [row for row in stored if row.card_id == retired_id]
    taken += [
        EvidenceRow(retired_id, part.variant, shares.ledger(part), part.outcomes, part.ruled_out)
        for share in elsewhere
        for part in share.variants
    ]
    changing = {POOLED, *(row.variant for row in taken), *(outcome.variant for outcome in superseded)}
    rows = {variant: EvidenceRow(kept_id, variant, Decayed(clock.now())) for variant in changing}
    rows |= {row.variant: row for row in stored if row.card_id == kept_id and row.variant in changing}
    for row in taken:
        rows[row.variant].take_over(row)
    for outcome in superseded:
        success = worked(outcome)
        for variant in (outcome.variant, POOLED):
            rows[variant].add(outcome.occurred_at, successes=-success, failures=-(not success), outcomes=-1)
    return rows
