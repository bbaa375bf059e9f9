"""Reasons made readable: every source's share told by its channel, small things grouped, and the sum kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from matching.results import Reason

SENTENCES = {
    "prior": ("before anything is known of the case",) * 2,
    "limit": ("scores are kept within 0 and 1",) * 2,
    "evidence": ("it has helped in most of the repairs on record", "it has often not helped, or too rarely to be sure"),
}
"""Source that is no channel -> what it says for a card, and against it."""

SMALL = 0.05
"""Of the greatest reason: smaller ones of one channel are told together."""
NEGLIGIBLE = 0.0005
"""Reasons that would be shown as 0.000 are told together whatever their channel."""
NAMED = 4
"""Small things that are named; of more only their number is told."""


def spread(shares: Mapping[str, float], told: Mapping[str, list[Reason]]) -> list[Reason]:
    """Spreads every source's share over what its channel tells, in proportion, so that all of it sums to the score."""
    reasons: list[Reason] = []
    for source, share in shares.items():
        if share == 0:
            continue
        own = told.get(source, [])
        if whole := sum(reason.contribution for reason in own):
            reasons += [Reason(source, reason.text, share * reason.contribution / whole) for reason in own]
        else:
            speaks_for, against = SENTENCES.get(source, (source, source))
            reasons.append(Reason(source, speaks_for if share > 0 else against, share))
    return reasons


def readable(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Strongest first; small reasons of one channel and direction in one, next to nothing in one. The sum stays."""
    everything = list(reasons)
    greatest = max((abs(reason.contribution) for reason in everything), default=0.0)
    little = SMALL * greatest
    nothing = min(NEGLIGIBLE, little)
    small: defaultdict[tuple[str, bool], list[Reason]] = defaultdict(list)
    negligible, kept = [], []
    for reason in everything:
        size = abs(reason.contribution)
        if size < nothing:
            negligible.append(reason)
        elif size < little:
            small[reason.channel, reason.contribution > 0].append(reason)
        else:
            kept.append(reason)
    kept += [_together(group) for group in small.values()]
    if negligible:
        channels = {reason.channel for reason in negligible}
        kept.append(negligible[0] if len(negligible) == 1 else _rest(negligible, min(channels)))
    return tuple(sorted(kept, key=lambda reason: -abs(reason.contribution)))


def _together(group: list[Reason]) -> Reason:
    ordered = sorted(group, key=lambda reason: -abs(reason.contribution))
    named, more = ordered[:NAMED], len(ordered) - NAMED
    text = ", ".join(reason.text for reason in named) + (f" and {more} more" if more > 0 else "")
    return Reason(ordered[0].channel, text, sum(reason.contribution for reason in ordered))


def _rest(reasons: list[Reason], channel: str) -> Reason:
    return Reason(channel, "everything else, next to nothing", sum(reason.contribution for reason in reasons))
