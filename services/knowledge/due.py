"""When a card is due for review, and why. Pure functions: the rules of docs/knowledge-governance.md.

Each rule looks only at what happened since somebody last said that the card is right, so saying so again silences all
of them but open flags, which are settled one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.governance import DueNote, DueReason
from services.knowledge.beta import beta_cdf, beta_quantile
from services.knowledge.firmware import Sighting, newer_than_all
from services.knowledge.learning import GLOBAL_PRIOR, Decayed, acceptance
from services.knowledge.use_review import Use, last_confirmed

RECENT = timedelta(days=180)
"""Repairs of this period are weighed against all earlier ones."""
ENOUGH = 3
"""Repairs, or rejections beyond it, without which nothing is concluded."""
SURE = 0.95
"""Probability from which on the fix rate is called fallen."""
OFTEN = 5
"""Rejections since the last review that call for one, if those who considered the card mostly ruled it out."""
_GRID = 64


@dataclass(frozen=True, slots=True)
class Known:
    """What the rules look at. `asserted_at`: when an expert last wrote, approved or reviewed the card; `firmware` names
    versions on the card by model, `sightings` what the field reports."""

    asserted_at: datetime
    open_flags: int = 0
    uses: Sequence[Use] = ()
    rejections: int = 0
    evidence: Decayed | None = None
    firmware: Mapping[str, set[str]] = field(default_factory=dict)
    sightings: Mapping[str, Sequence[Sighting]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`check_at` is when the verdict may change although nothing happens."""

    notes: list[DueNote]
    check_at: datetime | None


def judge(known: Known, now: datetime, *, review_after: timedelta, half_life: timedelta) -> Verdict:
    """Whether the card is due, by every reason that holds, the most pressing first."""
    rules = (
        _flagged(known, now),
        _falling(known, now, half_life),
        _rejected(known, now, half_life),
        _firmware(known, now),
        _old(known, now, review_after),
    )
    notes = [note for note in rules if note is not None]
    ages_at = _touched(known) + review_after
    # What rests on recent repairs ends with them.
    fades = any(note.reason in (DueReason.falling, DueReason.rejected) for note in notes)
    times = [at for at in (ages_at if ages_at > now else None, now + RECENT / 6 if fades else None) if at is not None]
    return Verdict(notes, min(times, default=None))


def _flagged(known: Known, now: datetime) -> DueNote | None:
    if not known.open_flags:
        return None
    kinds = "one kind of complaint" if known.open_flags == 1 else f"{known.open_flags} kinds of complaint"
    return DueNote(reason=DueReason.flagged, detail=f"{kinds} not settled", since=now)


def _falling(known: Known, now: datetime, half_life: timedelta) -> DueNote | None:
    """Repairs since max(last assertion, now - RECENT) work less often than those before, with probability SURE."""
    border = max(now - RECENT, known.asserted_at)
    recent = [use for use in known.uses if use.occurred_at >= border]
    if len(recent) < ENOUGH or all(use.worked for use in recent):
        return None
    before, after = Decayed(now), Decayed(now)
    for use in known.uses:
        outcome = {"successes": int(use.worked), "failures": int(not use.worked)}
        if use.occurred_at >= border:
            after = after.plus(use.occurred_at, half_life, **outcome)
        else:
            before = before.plus(use.occurred_at, half_life, **outcome)
    if before.n == 0 or after.successes * before.n >= before.successes * after.n:
        return None
    if (chance := chance_of_fall(before, after)) < SURE:
        return None
    failed = sum(not use.worked for use in recent)
    return DueNote(
        reason=DueReason.falling,
        detail=f"{failed} of the last {len(recent)} repairs failed; the fix works less often than before "
        f"with probability {chance:.0%}",
        since=max(use.occurred_at for use in recent if not use.worked),
    )


def chance_of_fall(before: Decayed, after: Decayed) -> float:
    """Probability that the fix rate behind `after` is below the one behind `before`.

    Both are Beta posteriors from the same flat prior; the integral ∫ F_after(x) dF_before(x) is the mean of F_after
    over equally likely quantiles of `before`.
    """
    a, b = GLOBAL_PRIOR[0] + before.successes, GLOBAL_PRIOR[1] + before.failures
    c, d = GLOBAL_PRIOR[0] + after.successes, GLOBAL_PRIOR[1] + after.failures
    rates = (beta_quantile((step + 0.5) / _GRID, a, b) for step in range(_GRID))
    return sum(beta_cdf(rate, c, d) for rate in rates) / _GRID


def _rejected(known: Known, now: datetime, half_life: timedelta) -> DueNote | None:
    """OFTEN rejections since the last review, and sure that most who consider the card rule it out."""
    if known.rejections < OFTEN or known.evidence is None:
        return None
    if acceptance(known.evidence.at(now, half_life)).high >= 0.5:
        return None
    detail = f"ruled out {known.rejections} times since it was last reviewed, more often than used"
    return DueNote(reason=DueReason.rejected, detail=detail, since=now)


def _firmware(known: Known, now: datetime) -> DueNote | None:
    """The field has a firmware newer than every one that the card names, or that it was used with before."""
    for model, versions in known.firmware.items():
        for seen in known.sightings.get(model, ()):
            if seen.established_at > known.asserted_at and newer_than_all(seen.firmware, versions):
                detail = f"{model.replace('|', ' ')} reports firmware {seen.firmware}; the card knows up to "
                return DueNote(
                    reason=DueReason.firmware,
                    detail=(detail + ", ".join(sorted(versions)))[:500],
                    since=seen.established_at,
                )
    return _used_on_newer(known, now)


def _used_on_newer(known: Known, now: datetime) -> DueNote | None:
    """Of the repairs since the last assertion, most were on firmware newer than any before it."""
    earlier = {use.firmware for use in known.uses if use.firmware and use.occurred_at < known.asserted_at}
    since = [use for use in known.uses if use.firmware and use.occurred_at >= known.asserted_at]
    later = [use for use in since if newer_than_all(use.firmware, earlier)]
    if len(later) < ENOUGH or 2 * len(later) <= len(since):
        return None
    detail = f"{len(later)} of the {len(since)} repairs since then were on newer firmware than any before"
    return DueNote(reason=DueReason.firmware, detail=detail, since=later[0].occurred_at)


def _old(known: Known, now: datetime, review_after: timedelta) -> DueNote | None:
    touched = _touched(known)
    if now - touched < review_after:
        return None
    detail = f"neither reviewed nor confirmed in use since {touched:%Y-%m-%d}"
    return DueNote(reason=DueReason.age, detail=detail, since=touched + review_after)


def _touched(known: Known) -> datetime:
    """Reuse is review: a repair that worked counts as much as an expert's word."""
    return max(known.asserted_at, last_confirmed(known.uses) or known.asserted_at)
