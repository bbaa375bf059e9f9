"""Small gold sets, made by hand."""

from collections.abc import Mapping

from matching import Case, Vehicle
from services.diagnosis.evaluation.figures import Answer
from services.diagnosis.evaluation.gold import Complaint, GoldSet


def answer(ranking: str, score: float, *, probability: float | None = None, abstained: bool | None = None) -> Answer:
    """Failures are single letters."""
    return Answer(list(ranking), score, score, probability, abstained)


def gold(
    relevant: Mapping[str, str], others: str = "", siblings: Mapping[str, str] | None = None, make: str = "ATHER"
) -> GoldSet:
    """Complaints and failures are single letters; every text is its complaint's own letter."""

    def complaint(id_: str) -> Complaint:
        return Complaint(Case(id_, vehicle=Vehicle(make)), ("BRAKES: PADS",))

    return GoldSet(
        answerable={id_: complaint(id_) for id_ in relevant},
        unanswerable={id_: complaint(id_) for id_ in others},
        relevant={id_: frozenset(failures) for id_, failures in relevant.items()},
        siblings={id_: frozenset(failures) for id_, failures in (siblings or {}).items()},
        corpus={failure: {"_id": failure} for failures in relevant.values() for failure in failures},
        distractors={},
    )
