"""Evidence of several services about one card, added up without counting anything twice.

Each service has a share of its own for each card, which only it changes: a grow-only counter's replica vector with a
register per service, since a revisit may turn a success into a failure. A stamp orders the states of a register. What a
card shows is its own service's numbers and everybody else's shares, added.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app import clock
from models.failure_card import ConfidenceChange, FailureCard
from models.learning import CardEvidence
from models.network import CardShare, ShareContent, VariantShare
from services.knowledge import learning
from services.knowledge.learning import Decayed
from services.remembered import Remembered

POOLED = "*"
COUNTS = ("usage_count", "success_count", "failure_count", "rejected_count", "ratings_count", "ratings_sum")
_NOT_YET = Decayed(datetime(1970, 1, 1, tzinfo=clock.UTC))


async def of_cards(card_ids: Sequence[str]) -> dict[str, list[CardShare]]:
    """All shares of these cards, our own too, in the order of their origins."""
    found: defaultdict[str, list[CardShare]] = defaultdict(list)
    if card_ids:
        for share in await CardShare.find({"card_id": {"$in": sorted(card_ids)}}).to_list():
            found[share.card_id].append(share)
    return defaultdict(list, {card: sorted(some, key=lambda share: share.origin) for card, some in found.items()})


async def foreign(card_ids: Sequence[str]) -> dict[str, list[CardShare]]:
    """The shares of other services in these cards; an empty list where there is none."""
    found = await of_cards(card_ids)
    return {card_id: [share for share in found[card_id] if not share.own] for card_id in card_ids}


_exist: Remembered[bool] = Remembered(CardShare.Settings.name)


async def any_foreign() -> bool:
    """Whether another service has told of any card, as of a second ago at most: most services are in no network, and
    then nobody who only shows evidence need look card by card."""

    async def look() -> bool:
        return await CardShare.find_one({"own": False}) is not None

    return await _exist.answer(None, look)


def ledger(part: VariantShare) -> Decayed:
    return Decayed(part.as_of, part.successes, part.failures, part.rejections)


def ledgers(shares: Iterable[ShareContent], variant: str) -> list[Decayed]:
    """What these shares say of one variant."""
    return [ledger(part) for share in shares for part in share.variants if part.variant == variant]


def score_here(card: FailureCard) -> float:
    """The confidence score after this service's own outcomes alone."""
    return card.confidence_score if card.confidence_here is None else card.confidence_here


def own_content(
    card: FailureCard,
    network_id: str,
    origin: str,
    rows: Sequence[CardEvidence],
    shares: Sequence[CardShare],
    base_score: float,
) -> ShareContent | None:
    """Our share as the card and its `rows` now stand, with the stamp that it must have; None if it says nothing.

    The card's counts are everybody's, so the others' `shares` are taken off.
    """
    before = next((share for share in shares if share.own), None)
    others = [share for share in shares if not share.own]
    counts = {name: getattr(card, name) - sum(getattr(share, name) for share in others) for name in COUNTS}
    score = score_here(card)
    if before is None and not any(counts.values()) and not rows and score == base_score:
        return None
    # The card's is the latest of all; if another service reported that instant, ours is what it was.
    heard = {share.last_used_at for share in others}
    last_used_at = card.last_used_at if card.last_used_at not in heard else before and before.last_used_at
    content = ShareContent(
        network_id=network_id,
        origin=origin,
        stamp=before.stamp if before else 1,
        **counts,
        score=score,
        last_used_at=last_used_at,
        variants=sorted(
            (
                VariantShare(
                    variant=row.variant,
                    successes=row.successes,
                    failures=row.failures,
                    rejections=row.rejections,
                    ruled_out=row.ruled_out,
                    outcomes=row.outcomes,
                    as_of=row.as_of,
                )
                for row in rows
            ),
            key=lambda part: part.variant,
        ),
    )
    if before is None or content == content_of(before):
        return content
    return content.model_copy(update={"stamp": before.stamp + 1})


def content_of(share: ShareContent) -> ShareContent:
    return ShareContent(**{name: getattr(share, name) for name in ShareContent.model_fields})


def restated(
    card: FailureCard,
    base_score: float,
    own_pooled: Decayed | None,
    before: Sequence[ShareContent],
    after: Sequence[ShareContent],
    half_life: timedelta,
) -> dict[str, Any]:
    """What changes on a card when others' shares go from `before` to `after`; empty if nothing does.

    The score is our own plus what each other service's outcomes made of the score that the card was published with,
    clamped once at the end: every service reckons the same, in whatever order it heard of it.
    """
    change: dict[str, Any] = {
        name: getattr(card, name) + sum(getattr(s, name) for s in after) - sum(getattr(s, name) for s in before)
        for name in COUNTS
    }
    change["effectiveness_score"] = learning.effectiveness(change["success_count"], change["usage_count"])
    elsewhere = math.fsum(share.score - base_score for share in after)
    here = score_here(card)
    score = learning.shifted(here, elsewhere)
    change |= {
        "confidence_here": here,
        "confidence_elsewhere": elsewhere,
        "confidence_score": score,
        "confidence_level": learning.level_of(score),
    }
    uses = [card.last_used_at, *(share.last_used_at for share in after)]
    last_used_at = change["last_used_at"] = max(filter(None, uses), default=None)
    if last_used_at is not None:
        everywhere = learning.together([own_pooled or _NOT_YET, *ledgers(after, POOLED)], half_life)
        rate = learning.fix_rate(everywhere)
        change |= {
            "evidence_mean": rate.mean,
            "evidence_low": rate.low,
            "evidence_high": rate.high,
            "evidence_n": rate.n,
        }
    return {name: value for name, value in change.items() if getattr(card, name) != value}


def score_line(card: FailureCard, changes: Mapping[str, Any], reason: str) -> ConfidenceChange | None:
    """The entry of the confidence history for a score that moved because of others; None if it did not."""
    score = changes.get("confidence_score", card.confidence_score)
    if score == card.confidence_score:
        return None
    return ConfidenceChange(
        timestamp=clock.now(), previous_score=card.confidence_score, new_score=score, change_reason=reason
    )
