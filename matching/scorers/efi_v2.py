"""The spec's ensemble (5.1), to the letter.

    final = (0.4 exact + 0.3 keyword + 0.2 semantic + 0.1 vehicle bonus) × (0.5 + 0.5 effectiveness)

exact     0.95 if the card carries one of the case's codes, however many are shared.
keyword   0.3 + 0.1 per shared keyword, at most 0.8; 0 without a shared keyword.
semantic  0.85 × cosine; a negative cosine counts as 0.
vehicle   +0.1 if make, model and (where both sides know it) year agree, −0.2 if the card is for other vehicles.

Where the spec leaves a choice:
- "If exact_match.confidence > 0.95 return exact_match": a shared code has confidence 0.95 and never passes that bar;
  an equal FailureSignature, the spec's primary key, has confidence 1 and does. Then the later stages are skipped
  and the confidence itself is the score.
- Universal cards, cards or cases without a vehicle, and a neighbouring year, variant or firmware get neither boost
  nor penalty.
- A code counts as shared when it is equal after normalisation and the failure types do not contradict each other.
- Scores are kept within [0, 1]: an incompatible vehicle alone would make a card negative.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from matching.channels import Hits, VehicleFit
from matching.results import MatchType
from matching.scorers.base import Sheet, Verdict

EXACT_SCORE = 0.95
FAST_PATH_ABOVE = 0.95
SEMANTIC_FACTOR = 0.85
VEHICLE_BOOST, VEHICLE_PENALTY = 0.1, -0.2
FloatOrArray = TypeVar("FloatOrArray", float, np.ndarray)
SAME_SIGNATURE, EFFECTIVENESS = "same_signature", "effectiveness"
WEIGHTS = {"exact": 0.4, "overlap": 0.3, "semantic": 0.2, "vehicle": 0.1}


def ensemble(exact: float, keyword: float, semantic: float, vehicle_bonus: float, effectiveness: float) -> float:
    """The formula on stage scores, before it is kept within [0, 1]."""
    weighted = 0.4 * exact + 0.3 * keyword + 0.2 * semantic + 0.1 * vehicle_bonus
    return weighted * effectiveness_multiplier(effectiveness)


def effectiveness_multiplier(effectiveness: FloatOrArray) -> FloatOrArray:
    """0.5 for a card that never helped, 1 for one that always did; effectiveness is kept within [0, 1] here."""
    return 0.5 + np.clip(effectiveness, 0.0, 1.0) * 0.5


class EfiV2Scorer:
    name = "efi_v2"
    version = "2.0"
    channels = ("signature", "exact", "overlap", "semantic", "vehicle")

    def settled(self, channel: str, hits: Hits) -> bool:
        return channel == "signature" and len(hits) > 0 and float(hits.scores[0]) > FAST_PATH_ABOVE

    def judge(self, sheet: Sheet) -> Verdict:
        identical = sheet.channels["signature"] > FAST_PATH_ABOVE
        if identical.any():
            return _fast_path(identical)
        effectiveness = sheet.index.effectiveness[sheet.slots].astype(float)
        literal = sheet.index.exact.literal(sheet.query, sheet.slots)
        fits = sheet.index.vehicle.fits(sheet.query)[sheet.slots]
        stages = {
            "exact": np.where(literal, EXACT_SCORE, 0.0),
            "overlap": sheet.channels["overlap"].astype(float),
            "semantic": SEMANTIC_FACTOR * sheet.channels["semantic"].astype(float),
            "vehicle": np.select(
                [fits >= VehicleFit.make, fits <= VehicleFit.other_year], [VEHICLE_BOOST, VEHICLE_PENALTY], 0.0
            ),
        }
        multiplier = effectiveness_multiplier(effectiveness)
        shares = {name: WEIGHTS[name] * stage * multiplier for name, stage in stages.items()}
        total = sum(shares.values())
        scores = np.clip(total, 0.0, 1.0)
        shares["limit"] = scores - total
        semantic_leads = shares["semantic"] >= shares["overlap"]
        types = [
            MatchType.exact if is_exact else MatchType.semantic if leads and share > 0 else MatchType.partial
            for is_exact, leads, share in zip(literal, semantic_leads, shares["semantic"], strict=True)
        ]
        return Verdict(scores, shares, types, inputs={**stages, EFFECTIVENESS: effectiveness})

    def again(
        self, cards: Sequence[Mapping[str, float]], shared: Mapping[str, float], embedder: str | None
    ) -> tuple[list[float], float | None]:
        return [_of_stages(card) for card in cards], None


def _of_stages(card: Mapping[str, float]) -> float:
    if SAME_SIGNATURE in card:
        return card[SAME_SIGNATURE]
    total = ensemble(*(card[stage] for stage in WEIGHTS), card[EFFECTIVENESS])
    return float(np.clip(total, 0.0, 1.0))


def _fast_path(identical: np.ndarray) -> Verdict:
    scores = identical.astype(float)
    return Verdict(scores, {"signature": scores}, [MatchType.exact] * len(scores), inputs={SAME_SIGNATURE: scores})
