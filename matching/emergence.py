"""Failures that emerge: more complaints of one kind in a period than their own history makes one expect.

Around each unexplained complaint of the period lie those that are alike (sphere exclusion, Taylor 1995, Butina 1999):
nothing is a member that does not resemble the centre, so groups cannot grow by chaining. A complaint's neighbours of
the period are compared with its neighbours before it. If nothing has changed, each of them falls into the period with
the chance q = complaints about such vehicles in the period / all complaints about them, whatever the season or
the growth of the fleet. So given m neighbours of both times, those of the period are Binomial(m, q) (the conditional
test of Przyborowski and Wilenski 1940; the same tail has a Gamma-Poisson forecast whose Gamma has the shape earlier
neighbours + 1). One test is made for each centre, and the false discovery rate over all of them is bounded
(Benjamini and Hochberg 1995), so that having searched for the densest place is paid for.

A service younger than two periods has too little history for that, or none. What is usual is then taken from the fleet
as a whole: around a complaint are expected as many alike unexplained ones as there are, on average, around the other
unexplained complaints of the period. That is a weak prior with the weight of one complaint: a Gamma of shape 1, whose
forecast is the same tail as if so many complaints more had come before as lie between two alike ones. It fades as the
history grows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from matching.resemblance import Embed, Report, alike

LEAST_HISTORY = 50
"""Earlier complaints below which a model's own history, then its make's, says too little; then all count."""
LEAST_EXCESS = 2.0
"""Times what is expected: with large numbers a tenth more is significant, too, but no failure that emerges."""
OVERLAP, TOUCHING = 1 / 3, 1 / 2
"""Shares of the smaller of two groups from which on they are one: held in common; alike to a member of the other."""
LEAST_ELSEWHERE = 12
"""Other unexplained complaints of the period below which a fleet without history does not show what is usual."""
USUAL = 20
"""So many complaints, each with one alike, are counted among them: a few that happen to differ prove little. Chosen on
simulated streams, see docs/decisions/0018."""
LONGEST_SUM = 5_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose history counts, with the complaints in the period (`now`) and before it."""

    make: str | None
    line: str | None
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Complaints about one failure, the most typical first.

    `subjects` is how many vehicles they are about, `expected` how many there would have been, `earlier` the vehicles
    with alike complaints before. `chance` is the p-value of the centre. `by_fleet`: for want of a history, what is
    expected comes from the fleet as a whole.
    """

    reports: tuple[Report, ...]
    subjects: int
    earlier: int
    expected: float
    chance: float
    scope: Scope
    by_fleet: bool = False

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(report.key for report in self.reports)


@dataclass(frozen=True, slots=True)
class Scan:
    """`clusters`: the unusual ones, most unusual first. `neighbours`: of every current unexplained report, the keys of
    the current unexplained ones that are alike. `tests` were made."""

    clusters: tuple[Cluster, ...]
    neighbours: dict[str, frozenset[str]] = field(default_factory=dict)
    tests: int = 0


@dataclass(frozen=True, slots=True)
class _Centre:
    report: Report
    members: tuple[Report, ...]
    cluster: Cluster


def scan(
    reports: Sequence[Report], *, least: int = 4, false_discovery_rate: float = 0.01, embed: Embed | None = None
) -> Scan:
    """Groups of at least `least` vehicles that are unusual, at this false discovery rate."""
    found_alike = [
        (
            report,
            [other for other in others if other.current and other.unexplained],
            {other.subject for other in others if not other.current},
        )
        for report, others in alike(reports, embed)
    ]
    neighbours = {report.key: frozenset(other.key for other in members) for report, members, _ in found_alike}
    usual = _Usual(reports, neighbours)
    centres: list[_Centre] = []
    for report, members, earlier in found_alike:
        subjects = {report.subject, *(member.subject for member in members)}
        before = len(earlier - subjects)
        # Left out by a count that does not know the period, so that the tests that remain keep their level
        # (independent filtering, Bourgon et al. 2010).
        if len(subjects) + before >= least:
            centres.append(_centre(report, members, len(subjects), before, usual))
    found = [
        centre
        for centre in discoveries(centres, false_discovery_rate)
        if centre.cluster.subjects >= least and centre.cluster.subjects >= LEAST_EXCESS * centre.cluster.expected
    ]
    return Scan(tuple(_merged(found, neighbours)), neighbours, len(centres))


def _centre(report: Report, members: Iterable[Report], subjects: int, earlier: int, usual: "_Usual") -> _Centre:
    ordered = tuple(sorted(members, key=lambda other: other.key))
    scope, before = usual.history(report)
    # The centre itself is in the period by choice: it says nothing.
    chance = binomial_tail(subjects - 1, subjects - 1 + earlier, scope.now / (scope.now + before))
    expected = (earlier + 1) * scope.now / before if before else float(subjects)
    by_fleet = before > scope.before
    return _Centre(report, ordered, Cluster((report, *ordered), subjects, earlier, expected, chance, scope, by_fleet))


class _Usual:
    """What the history of the vehicles makes one expect and, as long as that is short, what the fleet as a whole does.

    `neighbours` are those of every current unexplained report.
    """

    def __init__(self, reports: Iterable[Report], neighbours: Mapping[str, frozenset[str]]) -> None:
        self._volume = _Volume(reports)
        self._youth = self._volume.youth()
        self._neighbours = neighbours
        self._around: defaultdict[str | None, dict[str, int]] = defaultdict(dict)
        """How many are alike to each report, by make and (None) of all makes."""
        for report in reports if self._youth else ():
            if report.key in neighbours:
                for make in (None, report.make):
                    self._around[make][report.key] = len(neighbours[report.key])
        self._sums = {make: sum(counts.values()) for make, counts in self._around.items()}

    def history(self, report: Report) -> tuple[Scope, float]:
        """Whose complaints are counted, and among how many before the period the earlier alike ones were."""
        if not self._youth:
            scope = self._volume.scope(report)
            return scope, scope.before
        own = {report.key, *self._neighbours[report.key]}
        own = own.union(*(self._neighbours[key] for key in own))
        for make in (report.make, None) if report.make else (None,):
            counts = self._around[make]
            elsewhere = len(counts) - sum(key in counts for key in own)
            if elsewhere >= LEAST_ELSEWHERE:
                alike_there = self._sums[make] - sum(counts.get(key, 0) for key in own)
                scope = self._volume.of(make)
                return scope, scope.before + self._youth * scope.now * (elsewhere + USUAL) / (alike_there + USUAL)
        scope = self._volume.of(None)
        return scope, scope.before


class _Volume:
    """How many complaints there are about each make and line of models, in the period and before it."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self._counts: Counter[tuple[str | None, str | None, bool]] = Counter()
        for report in reports:
            for make, line in ((None, None), (report.make, None), (report.make, _line(report))):
                self._counts[make, line, report.current] += 1

    def of(self, make: str | None, line: str | None = None) -> Scope:
        return Scope(make, line, self._counts[make, line, True], self._counts[make, line, False])

    def youth(self) -> float:
        """1 for a service without history, falling to 0 for one that has as much of it as it has in the period."""
        everything = self.of(None)
        return max(0.0, 1 - everything.before / everything.now) if everything.now else 0.0

    def scope(self, report: Report) -> Scope:
        """The narrowest that has history enough."""
        ways = ((report.make, _line(report)), (report.make, None), (None, None))
        scopes = [self.of(make, line) for make, line in ways if make != ""]
        return next((scope for scope in scopes if scope.before >= LEAST_HISTORY), scopes[-1])


def _line(report: Report) -> str:
    """The first word of a model, which all models of its line share; "" where it is not known."""
    return report.model[0] if report.model else ""


def binomial_tail(least: int, trials: int, share: float) -> float:
    """P(X >= least) for X ~ Binomial(trials, share)."""
    if least <= 0:
        return 1.0
    if share >= 1.0 or share <= 0.0 or least > trials:
        return float(share >= 1.0 and least <= trials)
    log_share, log_rest = math.log(share), math.log1p(-share)
    front = math.lgamma(trials + 1)
    terms = (
        math.exp(front - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_share + (trials - k) * log_rest)
        for k in range(least, min(trials, least + LONGEST_SUM) + 1)
    )
    return min(1.0, math.fsum(terms))


def discoveries(centres: Sequence[_Centre], rate: float) -> list[_Centre]:
    """The centres whose chance is small enough by the step-up procedure of Benjamini and Hochberg, smallest first."""
    ordered = sorted(centres, key=lambda centre: (centre.cluster.chance, -centre.cluster.subjects, centre.report.key))
    kept = 0
    for rank, centre in enumerate(ordered, 1):
        if centre.cluster.chance <= rate * rank / len(ordered):
            kept = rank
    return ordered[:kept]


def _merged(centres: Iterable[_Centre], neighbours: Mapping[str, frozenset[str]]) -> list[Cluster]:
    """Every centre joins the first leader with whose own group it has enough in common, else it leads: the groups
    overlap, or most members of the smaller one are alike to a member of the other. People word one failure in so many
    ways that it shows as several groups at first.

    A group is compared with what surrounded the leader, not with those who joined it, so that none grows by chaining.
    """
    leaders: list[tuple[frozenset[str], Cluster, dict[str, Report]]] = []
    for centre in centres:
        keys = centre.cluster.keys
        for own, _, reports in leaders:
            if belong_together(own, keys, neighbours):
                reports.update((report.key, report) for report in centre.cluster.reports if report.key not in reports)
                break
        else:
            taken = {report.key: report for report in centre.cluster.reports}
            leaders.append((keys, centre.cluster, taken))
    # Who joined does not change the statistic, which is that of the leader's own group.
    return [replace(cluster, reports=tuple(reports.values())) for _, cluster, reports in leaders]


def belong_together(one: Set[str], other: Set[str], neighbours: Mapping[str, frozenset[str]]) -> bool:
    """Whether two groups of reports have OVERLAP of the smaller one in common, or TOUCHING of its members are alike to
    a member of the other."""
    smaller, larger = sorted((one, other), key=len)
    if len(smaller & larger) >= OVERLAP * len(smaller):
        return True
    touching = sum(key in larger or not larger.isdisjoint(neighbours.get(key, ())) for key in smaller)
    return touching >= TOUCHING * len(smaller)
