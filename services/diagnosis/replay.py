"""Replaying a match run: what was shown, proof of its scores, and what the same complaint finds today.

The index cannot be put back to where it was: every word's weight depends on all cards of that moment. So a run keeps,
beside each shown score, the features that the scorer computed it from, and what it took from all candidates together
(for the calibrated scorer the logarithm of their summed weights, those beyond the limit and "none" included). From
these the same version of the scorer gives the same scores to the last digits, and any other outcome means that the
record or the model was changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from matching import Candidate, MatchResult
from matching.scorers import CalibratedScorer, Scorer
from models.enums import FailureCardStatus
from models.failure_card import CardVersion, FailureCard
from models.match_run import MatchRun, ShownCard
from services.diagnosis import matches, runs
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.matches import DEFAULT_SCORER, MatchOptions
from services.diagnosis.training import models

TOLERANCE = 1e-9
"""Scores are sums of a dozen numbers: what differs by less is the order of adding."""
SEEN_TODAY = 50
"""So far today's ranking is followed for cards that fell out of what is shown."""
INPUTS_NAMED = 3
LEAST_CHANGE = 1e-6


class Fate(StrEnum):
    """What became of a card: `rescored` kept its place with another score, `gone` is no longer shown."""

    same = "same"
    rescored = "rescored"
    moved = "moved"
    gone = "gone"
    new = "new"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card stands; `place` counts from 1."""

    place: int
    version: int
    score: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One card then and today, and why it does not stand where it stood. None: not shown."""

    card_id: str
    title: str
    fate: Fate
    then: Place | None
    today: Place | None
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the recorded scores follow from what was recorded. None: the recorded model does not serve any more."""

    exact: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Replay:
    """`versions` are the shown cards as they stood then, by card id; `changes` is what changed for all cards."""

    run: MatchRun
    versions: dict[str, CardVersion]
    proof: Proof
    changes: list[str]
    cards: list[Comparison]


async def replay(run_id: str) -> Replay:
    """Replay a run that the current actor may see. Raises NotFound; Unavailable without an index."""
    run = await runs.load_visible(run_id)
    live = matches.serving()
    options = MatchOptions(**run.options.model_dump())
    if options.scorer not in live.matcher.scorers:
        options = replace(options, scorer=DEFAULT_SCORER)
    today = (await matches.match(runs.case_of(run), replace(options, limit=SEEN_TODAY))).result
    changes = _changes(run, today)
    seen = [candidate.card_id for candidate in today.candidates[: options.limit]]
    cards = await FailureCard.find(
        {"_id": {"$in": sorted({*seen, *(shown.card_id for shown in run.candidates)})}}
    ).to_list()
    return Replay(
        run,
        await _versions(run),
        prove(run, await _scorer(run, live)),
        changes,
        _compare(run, today, options.limit, {card.id: card for card in cards}, changes),
    )


async def _scorer(run: MatchRun, live: LiveIndex) -> Scorer | None:
    """The scorer that made the run, or the one that serves under its name today if that is not kept."""
    serving = live.matcher.scorers.get(run.options.scorer)
    if isinstance(serving, CalibratedScorer) and serving.version != run.scorer_version:
        return await models.scorer_at(run.scorer_version) or serving
    return serving


def prove(run: MatchRun, scorer: Scorer | None) -> Proof:
    """Compute the recorded scores again from the recorded inputs; `scorer` has the run's name."""
    name, version = run.options.scorer, run.scorer_version
    if scorer is None:
        return Proof(None, f"Not computed again: there is no scorer {name} any more.")
    if scorer.version != version:
        return Proof(None, f"Not computed again: {name} is at version {scorer.version}, the run was made by {version}.")
    try:
        scores, none = scorer.again([shown.inputs for shown in run.candidates], run.shared, run.embedder)
    except KeyError as error:
        return Proof(False, f"Does not reproduce: the record lacks {error}, which {name} {version} computes with.")
    found = {shown.card_id: (shown.score, score) for shown, score in zip(run.candidates, scores, strict=True)}
    if none is not None and run.none_probability is not None:
        found["none of the cards"] = (run.none_probability, none)
    worst = max(found, key=lambda card_id: abs(found[card_id][0] - found[card_id][1]), default=None)
    if worst is not None and not abs(found[worst][0] - found[worst][1]) <= TOLERANCE:
        recorded, again = found[worst]
        return Proof(
            False,
            f"Does not reproduce: {name} {version} gives {again:.9f} for {worst}, recorded is {recorded:.9f}.",
        )
    return Proof(
        True, f"Reproduced exactly: {name} {version} gives the recorded scores again, all {len(found)} of them."
    )


async def _versions(run: MatchRun) -> dict[str, CardVersion]:
    shown = {candidate.card_id: candidate.card_version for candidate in run.candidates}
    found = [await CardVersion.find_one({"card_id": card_id, "version": version}) for card_id, version in shown.items()]
    return {version.card_id: version for version in found if version is not None}


def _changes(run: MatchRun, today: MatchResult) -> list[str]:
    pairs = (
        ("scorer", run.options.scorer, today.scorer),
        ("model", run.scorer_version, today.scorer_version),
        ("embedder", run.embedder, today.embedder),
    )
    switched = run.channels_off.keys() ^ today.channels_off.keys()
    return [f"{what} {then or 'none'} → {now or 'none'}" for what, then, now in pairs if then != now] + [
        f"channel {name} {'on' if name in run.channels_off else 'off'} since then" for name in sorted(switched)
    ]


def _compare(
    run: MatchRun, today: MatchResult, limit: int, cards: Mapping[str, FailureCard], changes: list[str]
) -> list[Comparison]:
    then = {shown.card_id: (place, shown) for place, shown in enumerate(run.candidates, 1)}
    now = {found.card_id: (place, found) for place, found in enumerate(today.candidates, 1)}
    listed = dict.fromkeys([*then, *(card_id for card_id, (place, _) in now.items() if place <= limit)])
    compared = []
    for card_id in listed:
        before = (
            Place(then[card_id][0], then[card_id][1].card_version, then[card_id][1].score) if card_id in then else None
        )
        after = Place(now[card_id][0], now[card_id][1].version, now[card_id][1].score) if card_id in now else None
        shown_today = after if after is not None and after.place <= limit else None
        fate = _fate(before, shown_today)
        reasons: list[str] = []
        if fate is not Fate.same:
            reasons = _card_reasons(run, cards.get(card_id), before)
            if card_id in then and card_id in now and not changes:
                reasons += _input_reasons(then[card_id][1], now[card_id][1])
            if fate is Fate.gone and after is not None:
                reasons.append(f"now in place {after.place}")
            reasons = reasons or changes or ["the cards around it changed"]
        title = then[card_id][1].title if card_id in then else now[card_id][1].title
        compared.append(Comparison(card_id, title, fate, before, shown_today, reasons))
    return compared


def _fate(then: Place | None, today: Place | None) -> Fate:
    if then is None:
        return Fate.new
    if today is None:
        return Fate.gone
    if then.place != today.place:
        return Fate.moved
    same = then.version == today.version and abs(then.score - today.score) <= TOLERANCE
    return Fate.same if same else Fate.rescored


def _card_reasons(run: MatchRun, card: FailureCard | None, then: Place | None) -> list[str]:
    if card is None:
        return ["the card is no longer stored"]
    reasons = []
    if then is not None and card.version != then.version:
        reasons.append(f"version {then.version} → {card.version}")
    if card.status is FailureCardStatus.deprecated:
        heir = card.merged_into or card.successor_id
        reasons.append(
            f"deprecated, {'merged into' if card.merged_into else 'succeeded by'} {heir}" if heir else "deprecated"
        )
    elif card.status is not FailureCardStatus.approved and not run.options.include_drafts:
        reasons.append(f"not approved any more ({card.status})")
    if then is None:
        if card.created_at > run.created_at:
            reasons.append("new card")
        elif card.approved_at is not None and card.approved_at > run.created_at:
            reasons.append("approved since then")
        elif card.updated_at > run.created_at:
            reasons.append("changed since then")
    return reasons


def _input_reasons(then: ShownCard, now: Candidate) -> Iterable[str]:
    """The inputs of the score that changed most."""
    moved = {name: now.inputs[name] - value for name, value in then.inputs.items() if name in now.inputs}
    largest = sorted(moved, key=lambda name: -abs(moved[name]))[:INPUTS_NAMED]
    return [
        f"{name} {then.inputs[name]:.3f} → {now.inputs[name]:.3f}"
        for name in largest
        if abs(moved[name]) > LEAST_CHANGE
    ]
