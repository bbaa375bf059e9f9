"""Version vectors: which of two versions of a card has seen the other. Pure functions.

A vector maps each service to the number of its changes that the version contains (Parker et al. 1983, "Detection of
mutual inconsistency in distributed systems").
"""

from collections.abc import Mapping
from enum import StrEnum

Vector = Mapping[str, int]


class Order(StrEnum):
    """How the first of two versions stands to the second."""

    equal = "equal"
    newer = "newer"
    older = "older"
    concurrent = "concurrent"


def compare(first: Vector, second: Vector) -> Order:
    ahead = any(count > second.get(node, 0) for node, count in first.items())
    behind = any(count > first.get(node, 0) for node, count in second.items())
    if ahead and behind:
        return Order.concurrent
    if ahead:
        return Order.newer
    return Order.older if behind else Order.equal


def joined(first: Vector, second: Vector) -> dict[str, int]:
    """The least vector that has seen both."""
    return {node: max(first.get(node, 0), second.get(node, 0)) for node in sorted(first.keys() | second.keys())}


def bumped(vector: Vector, node: str) -> dict[str, int]:
    """The vector after one more change by `node`."""
    return {**vector, node: vector.get(node, 0) + 1}


def related(first: Vector, second: Vector) -> bool:
    """Whether both have seen a change of one and the same service: then they descend from a common version."""
    return not first.keys().isdisjoint(second.keys())
