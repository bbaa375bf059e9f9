"""Where a method is strong and where it is weak: figures by make, component and length of the complaint."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from matching.text import words
from services.diagnosis.evaluation.figures import Answer, Ranks, ranks, share_interval
from services.diagnosis.evaluation.gold import Complaint, GoldSet

SMALL = 20
"""Complaints below which a group's figures are little more than chance."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Group:
    """Figures of one group of complaints. `hit_1_interval` is the 90 % interval of hit@1; `small` warns of few."""

    name: str
    answerable: int
    unanswerable: int
    ranks: Ranks
    hit_1_interval: tuple[float, float] | None
    abstained_wrongly: float | None
    abstained_rightly: float | None

    @property
    def small(self) -> bool:
        return self.answerable < SMALL

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "n": self.answerable,
            "n_nomatch": self.unanswerable,
            "small": self.small,
            **self.ranks.as_json(),
            "hit@1_interval": self.hit_1_interval,
            "abstained_wrongly": self.abstained_wrongly,
            "abstained_rightly": self.abstained_rightly,
        }


def groups(gold: GoldSet, answers: Mapping[str, Answer]) -> dict[str, list[Group]]:
    """Groups by `make`, `component` (the first level; one complaint may have several) and `words` (thirds), the
    largest first except for words; a division that the data does not know is left out."""
    found = {
        "make": _split(gold, lambda one: [one.case.vehicle.make or UNKNOWN]),
        "component": _split(gold, lambda one: {name.partition(":")[0].strip() for name in one.components} or [UNKNOWN]),
    }
    result = {
        name: sorted((_group(gold, answers, *entry) for entry in split.items()), key=lambda g: (-g.answerable, g.name))
        for name, split in found.items()
        if split.keys() - {UNKNOWN}
    }
    return result | {"words": [_group(gold, answers, *entry) for entry in _by_length(gold).items()]}


def _split(gold: GoldSet, names_of: Any) -> dict[str, list[str]]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for id_, complaint in gold.complaints.items():
        for name in names_of(complaint):
            members[name].append(id_)
    return members


def _by_length(gold: GoldSet) -> dict[str, list[str]]:
    """Thirds of the complaints by their number of words, shortest first."""
    lengths = {id_: _length(complaint) for id_, complaint in gold.complaints.items()}
    if not lengths:
        return {}
    low, high = (int(bound) for bound in np.quantile(list(lengths.values()), (1 / 3, 2 / 3)))
    names = (f"up to {low}", f"{low + 1} to {high}", f"above {high}")
    members: dict[str, list[str]] = {name: [] for name in names}
    for id_, length in lengths.items():
        members[names[(length > low) + (length > high)]].append(id_)
    return {name: ids for name, ids in members.items() if ids}


def _length(complaint: Complaint) -> int:
    return len(words(complaint.case.text))


def _group(gold: GoldSet, answers: Mapping[str, Answer], name: str, members: Iterable[str]) -> Group:
    known = [id_ for id_ in members if id_ in gold.answerable]
    others = [id_ for id_ in members if id_ in gold.unanswerable]
    measured = ranks(gold, answers, known)
    return Group(
        name=name,
        answerable=len(known),
        unanswerable=len(others),
        ranks=measured,
        hit_1_interval=None if measured.hit_1 is None else share_interval(measured.hit_1, len(known)),
        abstained_wrongly=_abstained(answers, known),
        abstained_rightly=_abstained(answers, others),
    )


def _abstained(answers: Mapping[str, Answer], ids: list[str]) -> float | None:
    """Share of these complaints that were answered by "no known failure"; None where the method cannot."""
    said = [answers[id_].abstained for id_ in ids]
    return float(np.mean([bool(one) for one in said])) if said and None not in said else None
