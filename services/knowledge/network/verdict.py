"""What a version from elsewhere is to the one that is here. A pure function."""

from enum import StrEnum

from models.network import CardItem, CardLineage
from services.knowledge.network.vectors import Order, compare, related


class Verdict(StrEnum):
    known = "known"
    join = "join"
    keep = "keep"
    advance = "advance"
    conflict = "conflict"


def judge(item: CardItem, fingerprint: str, lineage: CardLineage) -> Verdict:
    """`known`: ours has seen theirs. `advance`: theirs has seen ours. `join`: neither has, and they say the same.
    `keep` and `advance`, too, where two services have loaded a card from the same file and one has gone on from there:
    their vectors do not know each other, but the ancestors do. Otherwise `conflict`, also for two versions under one
    vector, which a service makes whose store was set back."""
    same = fingerprint == lineage.fingerprint
    order = compare(item.vector, lineage.vector)
    if order is Order.older or (order is Order.equal and same):
        return Verdict.known
    if order is Order.newer:
        return Verdict.join if same else Verdict.advance
    if same:
        return Verdict.join
    if order is Order.concurrent and not related(item.vector, lineage.vector):
        if fingerprint in {ancestor.fingerprint for ancestor in lineage.history}:
            return Verdict.keep
        if lineage.fingerprint in item.ancestors:
            return Verdict.advance
    return Verdict.conflict
