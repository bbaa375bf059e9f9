"""Matcher: a case through the channels and a scorer to explained candidates."""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import perf_counter
from typing import NamedTuple

import numpy as np

from matching.channels import Channel, Hits
from matching.index import CardIndex
from matching.query import Query
from matching.reasons import readable, spread
from matching.records import Case
from matching.results import Candidate, MatchResult, Reason, Step
from matching.scorers import CalibratedScorer, EfiV2Scorer, Scorer, Sheet, Verdict
from matching.storage import distinct
from matching.vectors import Scan

DEPTH = 100
"""Cards each channel proposes. Their union is scored by all channels, so a card one channel ranks 101st is lost only
if no other channel proposes it."""

LEXICAL = frozenset({"keyword", "overlap"})
SIDE_BY_SIDE = 50_000
"""Cards from which a second thread begins the semantic search: below, handing over costs more."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_BESIDE = ThreadPoolExecutor(1, "efi-match")
"""The second thread; it starts with the first use. The kernels let go of the interpreter."""


class Prepared(NamedTuple):
    """A case ready to be searched for, and the time that took."""

    query: Query
    step: Step


class UnknownScorer(LookupError):
    """No scorer has this name; the message lists those that exist."""


class Matcher:
    def __init__(self, index: CardIndex, scorers: Iterable[Scorer] | None = None) -> None:
        """Without `scorers`, the spec's ensemble and the shipped calibrated scorer serve."""
        self.index = index
        self.scorers = {scorer.name: scorer for scorer in scorers or (EfiV2Scorer(), CalibratedScorer())}

    def scorer(self, name: str) -> Scorer:
        """Raises UnknownScorer."""
        if name not in self.scorers:
            raise UnknownScorer(f"there is no scorer {name!r}; choose one of {', '.join(sorted(self.scorers))}")
        return self.scorers[name]

    def prepare(self, case: Case) -> Prepared:
        """What comes before the search: the case is read, then embedded."""
        return self.embed(self.read(case))

    def read(self, case: Case) -> Prepared:
        """The words, codes and symptoms of a case, a fraction of a millisecond's work; `embed` takes it further."""
        started = perf_counter()
        query = self.index.read(case)
        return Prepared(query, Step("prepare", _since(started)))

    def embed(self, read: Prepared) -> Prepared:
        """The same with the sentence model's share: milliseconds for which no index need stand still."""
        started = perf_counter()
        self.index.semantic.prepare(read.query)
        return Prepared(read.query, Step("prepare", read.step.duration_ms + _since(started)))

    def match(
        self,
        case: Case | Prepared,
        *,
        scorer: str = "efi_v2",
        limit: int = 5,
        include_drafts: bool = False,
        min_score: float = 0.0,
        min_probability: float = 0.0,
        traced: bool = False,
    ) -> MatchResult:
        """Up to `limit` cards that scored above 0 and at least `min_score`, best first.

        `min_probability` applies to scorers that give one. A case that was prepared before need not be again. `traced`
        keeps in the trace what every channel proposed, hundreds of cards. Raises UnknownScorer.
        """
        chosen = self.scorer(scorer)
        query, preparing = case if isinstance(case, Prepared) else self.prepare(case)
        started = perf_counter()
        with self.index.lock:
            off = self._off(chosen, query)
            found, durations = self._search(chosen, query, off, include_drafts)
            steps = self._trace(found, durations, off, traced)
            scoring = perf_counter()
            sheet = self._sheet(chosen, query, off, found)
            verdict = chosen.judge(sheet)
            candidates = self._candidates(sheet, verdict, limit, min_score, min_probability)
            embedder = self.index.embedder_for(query)
            symptoms = self._symptoms(query)
        return MatchResult(
            candidates=candidates,
            scorer=chosen.name,
            scorer_version=chosen.version,
            abstained=verdict.abstained,
            none_probability=verdict.none_probability,
            trace=(preparing, *steps, Step("score", _since(scoring))),
            channels_off=off,
            embedder=embedder.name if embedder is not None else None,
            duration_ms=preparing.duration_ms + _since(started),
            shared=verdict.shared,
            symptoms=symptoms,
        )

    def symptoms(self, case: Case) -> tuple[str, ...]:
        """Codes of the library's symptoms that a case states or its text names, each once."""
        with self.index.lock:
            return self._symptoms(Query(case))

    def _symptoms(self, query: Query) -> tuple[str, ...]:
        strengths = self.index.graph.symptoms_in(query)
        # Neighbours in the graph, which the case does not show itself, are weaker than 1.
        return tuple(code for code, strength in strengths.items() if strength == 1 and code not in query.case.parts)

    def sheet(self, case: Case, scorer: Scorer) -> Sheet:
        """All candidates of a case with every channel's judgement, before any scorer has weighed them."""
        query = self.index.prepare(case)
        with self.index.lock:
            off = self._off(scorer, query)
            found, _ = self._search(scorer, query, off, include_drafts=False)
            return self._sheet(scorer, query, off, found)

    def _off(self, scorer: Scorer, query: Query) -> dict[str, str]:
        """The channels that cannot serve this case, with the reason."""
        channels = self.index.channels
        reasons = ((name, channels[name].off_for(query)) for name in scorer.channels)
        return {name: reason for name, reason in reasons if reason is not None}

    def _search(
        self, scorer: Scorer, query: Query, off: Mapping[str, str], include_drafts: bool
    ) -> tuple[dict[str, Hits], list[float]]:
        """What every channel proposes, up to the one that settles the match, and how many milliseconds each took."""
        allowed = (self.index.alive if include_drafts else self.index.approved).data
        favoured = self.index.vehicle.favoured(query)
        channels = self.index.channels

        found: dict[str, Hits] = {}
        durations: list[float] = []
        begun: Scan | None = None
        try:
            for name in scorer.channels:
                started = perf_counter()
                if name in LEXICAL and len(self.index) >= SIDE_BY_SIDE and CORES > 1:
                    begun = self.index.semantic.begin(query, allowed, _BESIDE)
                found[name] = Hits.none() if name in off else channels[name].search(query, DEPTH, allowed, favoured)
                durations.append(_since(started))
                if scorer.settled(name, found[name]):
                    break
        finally:
            if begun is not None:
                begun.finish()  # nothing may go on reading once the index is unlocked
        return found, durations

    def _trace(
        self, found: Mapping[str, Hits], durations: list[float], off: Mapping[str, str], traced: bool
    ) -> list[Step]:
        if not traced:
            return [Step(name, took, note=off.get(name, "")) for name, took in zip(found, durations, strict=True)]
        ids = iter(self.index.ids_at(np.concatenate([hits.slots for hits in found.values()])))
        return [
            Step(name, took, tuple(islice(ids, len(hits))), hits.scores, off.get(name, ""))
            for (name, hits), took in zip(found.items(), durations, strict=True)
        ]

    def _sheet(self, scorer: Scorer, query: Query, off: Mapping[str, str], found: dict[str, Hits]) -> Sheet:
        slots = distinct(np.concatenate([hits.slots for hits in found.values()]))
        channels = self.index.channels
        scores = {
            name: _judged(channels[name], query, slots, found[name])
            if name in found and name not in off
            else np.zeros(len(slots), dtype=np.float32)
            for name in scorer.channels
        }
        return Sheet(query, self.index, slots, scores)

    def _candidates(
        self, sheet: Sheet, verdict: Verdict, limit: int, min_score: float, min_probability: float
    ) -> tuple[Candidate, ...]:
        keep = (verdict.scores > 0) & (verdict.scores >= min_score)
        if verdict.probabilities is not None:
            keep &= verdict.probabilities >= min_probability
        # Ties go to the better proven card, then to the id, so that equal input gives equal output.
        rows = np.flatnonzero(keep)
        if limit <= 0:
            return ()
        if len(rows) > limit:
            border = np.partition(verdict.scores[rows], -limit)[-limit]
            rows = rows[verdict.scores[rows] >= border]
        slots = sheet.slots[rows]
        order = np.lexsort((self.index.ids_at(slots), -self.index.confidence[slots], -verdict.scores[rows]))
        return tuple(self._candidate(sheet, verdict, int(i)) for i in rows[order[:limit]])

    def _candidate(self, sheet: Sheet, verdict: Verdict, i: int) -> Candidate:
        slot = int(sheet.slots[i])
        card = self.index.head_at(slot)
        channels = {name: float(scores[i]) for name, scores in sheet.channels.items()}
        shares = {source: float(share[i]) for source, share in verdict.shares.items()}
        return Candidate(
            card_id=card.card_id,
            version=card.version,
            title=card.title,
            score=float(verdict.scores[i]),
            match_type=verdict.match_types[i],
            channels=channels,
            reasons=self._reasons(sheet, slot, shares, channels),
            matched_symptoms=self.index.graph.matched(sheet.query, slot),
            probability=None if verdict.probabilities is None else float(verdict.probabilities[i]),
            confidence_level=card.confidence_level,
            is_draft=card.is_draft,
            inputs={name: float(values[i]) for name, values in verdict.inputs.items()},
        )

    def _reasons(
        self, sheet: Sheet, slot: int, shares: dict[str, float], scores: dict[str, float]
    ) -> tuple[Reason, ...]:
        """What every source's share consists of; the contributions sum to the score."""
        channels = self.index.channels
        told = {
            source: channels[source].explain(sheet.query, slot, scores[source])
            for source, share in shares.items()
            if share and source in channels
        }
        return readable(spread(shares, told))


def _judged(channel: Channel, query: Query, slots: np.ndarray, hits: Hits) -> np.ndarray:
    """What a channel says of the ascending slots, its own hits among them, without asking it again about these."""
    if not len(hits):
        return channel.score(query, slots)
    judged, new = np.empty(len(slots), dtype=np.float32), np.ones(len(slots), dtype=bool)
    own = slots.searchsorted(hits.slots)
    judged[own], new[own] = hits.scores, False
    judged[new] = channel.score(query, slots[new])
    return judged


def _since(start: float) -> float:
    return (perf_counter() - start) * 1000
