"""Asks every method about every complaint: plain BM25, each channel alone, each scorer as it is served, and the learnt
scorer cross-validated."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.errors import Invalid
from matching import Case, MatchResult
from matching.scorers import CalibratedScorer
from services.diagnosis import matches
from services.diagnosis.evaluation.baseline import PlainBm25
from services.diagnosis.evaluation.crossed import DEPTH, cross_validated, in_sample
from services.diagnosis.evaluation.figures import Answer, Bin, Figures, best_candidates, figures, reliability
from services.diagnosis.evaluation.gold import GoldSet
from services.diagnosis.evaluation.groups import Group, groups
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.matches import DEFAULT_SCORER, MatchOptions

CROSS_VALIDATED = "cross_validated"
BM25, BM25_VEHICLE = "bm25", "bm25_vehicle"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


class Kind(StrEnum):
    baseline = "baseline"
    channel = "channel"
    scorer = "scorer"
    cross_validated = "cross_validated"


@dataclass(frozen=True)
class Method:
    """One way of answering, with its answers by complaint."""

    name: str
    kind: Kind
    figures: Figures
    answers: Mapping[str, Answer] = field(repr=False)


@dataclass(frozen=True)
class Evaluation:
    """What was found. `in_sample`: whether the learnt scorer's weights were fitted on these complaints, None if their
    record does not say. `versions` of the scorers; `channels_off` with the reasons."""

    gold: GoldSet
    methods: dict[str, Method]
    in_sample: bool | None
    distractors: int
    embedder: str | None
    versions: dict[str, str]
    channels_off: dict[str, str]

    @property
    def believable(self) -> Method:
        """The figures to believe of the default scorer: cross-validated unless it never saw the complaints."""
        if self.in_sample is not False and CROSS_VALIDATED in self.methods:
            return self.methods[CROSS_VALIDATED]
        served = {name: method for name, method in self.methods.items() if method.kind is Kind.scorer}
        return served.get(DEFAULT_SCORER) or next(iter(served.values()))

    def reliability(self, method: Method) -> dict[str, list[Bin]]:
        """`best`: of the best candidate's probability; `known`: of the probability that any failure explains it.

        Empty for a method without probabilities.
        """
        probabilities, outcomes = best_candidates(self.gold, method.answers)
        if not probabilities:
            return {}
        known = [(answer.known, id_ in self.gold.answerable) for id_, answer in method.answers.items()]
        return {
            "best": reliability(probabilities, outcomes),
            "known": reliability([held for held, _ in known], [true for _, true in known]),
        }

    def groups(self, method: Method) -> dict[str, list[Group]]:
        return groups(self.gold, method.answers)


async def evaluate(
    gold: GoldSet,
    live: LiveIndex,
    names: Mapping[str, str],
    *,
    scorers: Sequence[str] = (),
    with_distractors: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask the matching that `live` serves; `names` maps its card ids to ids of the corpus, which `with_distractors`
    holds the distractors too.

    All scorers, or those named. Each is asked once per complaint, as any caller would; what the channels found by
    themselves is read off the same matches. Raises Invalid for an unknown scorer.
    """
    chosen = _chosen(scorers)
    tell = progress or (lambda *_: None)
    plain = PlainBm25([*gold.corpus.values(), *(gold.distractors.values() if with_distractors else ())])
    answers: dict[str, dict[str, Answer]] = {BM25: {}, BM25_VEHICLE: {}}
    served: dict[str, dict[str, Answer]] = {scorer: {} for scorer in chosen}
    asked: dict[str, dict[str, Answer]] = {}
    off: dict[str, str] = {}
    for done, (id_, complaint) in enumerate(gold.complaints.items(), 1):
        answers[BM25][id_] = _ranked(plain.search(complaint.case, DEPTH))
        answers[BM25_VEHICLE][id_] = _ranked(plain.search_vehicle(complaint.case, DEPTH))
        for scorer in chosen:
            result = await _match(complaint.case, scorer)
            served[scorer][id_] = _served(result, names)
            for channel, answer in _channels(result, live, names):
                asked.setdefault(channel, {}).setdefault(id_, answer)
            off |= result.channels_off
        tell("ask", done, len(gold.complaints))
    kinds = dict.fromkeys(answers, Kind.baseline)
    for channel, found in asked.items():
        # A match that an earlier channel settled did not ask the later ones: they found nothing.
        answers[channel] = {id_: found.get(id_, _ranked(())) for id_ in gold.complaints}
        kinds[channel] = Kind.channel
    answers |= served
    kinds |= dict.fromkeys(served, Kind.scorer)
    if CalibratedScorer.name in chosen:
        total = len(gold.complaints)
        crossed = cross_validated(gold, live.matcher, names, lambda done: tell("cross-validate", done, total))
        if crossed:
            answers[CROSS_VALIDATED], kinds[CROSS_VALIDATED] = crossed, Kind.cross_validated
    return Evaluation(
        gold=gold,
        methods={name: Method(name, kinds[name], figures(gold, given), given) for name, given in answers.items()},
        in_sample=in_sample(gold),
        embedder=live.index.embedder.name if live.index.embedder is not None else None,
        distractors=len(gold.distractors) if with_distractors else 0,
        versions={scorer: live.matcher.scorers[scorer].version for scorer in chosen},
        channels_off=off,
    )


def _chosen(scorers: Sequence[str]) -> list[str]:
    existing = matches.scorers()
    unknown = sorted(set(scorers) - set(existing))
    if unknown:
        raise Invalid(f"There is no scorer {unknown[0]}; choose among {', '.join(existing)}.")
    return [scorer for scorer in existing if not scorers or scorer in scorers]


async def _match(case: Case, scorer: str) -> MatchResult:
    return (await matches.match(case, MatchOptions(scorer=scorer, limit=DEPTH), traced=True)).result


def _channels(result: MatchResult, live: LiveIndex, names: Mapping[str, str]) -> Iterable[tuple[str, Answer]]:
    """What each channel proposed by itself."""
    for step in result.trace:
        if step.name in live.index.channels:
            yield step.name, _ranked([(names[card_id], score) for card_id, score in step.hits])


def _ranked(hits: Sequence[tuple[str, float]]) -> Answer:
    best = hits[0][1] if hits else 0.0
    return Answer([name for name, _ in hits[:DEPTH]], best, best)


def _served(result: MatchResult, names: Mapping[str, str]) -> Answer:
    best = result.candidates[0] if result.candidates else None
    score = best.score if best else 0.0
    return Answer(
        [names[candidate.card_id] for candidate in result.candidates],
        score,
        score if result.none_probability is None else 1 - result.none_probability,
        best.probability if best else None,
        result.abstained,
    )
