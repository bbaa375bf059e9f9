from hypothesis import given
from hypothesis import strategies as st

from services.knowledge.network.vectors import Order, bumped, compare, joined, related

NODES = ["node_a", "node_b", "node_c"]
VECTORS = st.dictionaries(st.sampled_from(NODES), st.integers(1, 4))


@given(VECTORS, VECTORS)
def test_order_is_what_the_definition_says(first: dict[str, int], second: dict[str, int]):
    at_least = all(first.get(node, 0) >= second.get(node, 0) for node in NODES)
    at_most = all(first.get(node, 0) <= second.get(node, 0) for node in NODES)
    expected = {
        (True, True): Order.equal,
        (True, False): Order.newer,
        (False, True): Order.older,
        (False, False): Order.concurrent,
    }
    assert compare(first, second) is expected[at_least, at_most]


@given(VECTORS, VECTORS, VECTORS)
def test_joining_does_not_depend_on_order_or_repetition(a: dict[str, int], b: dict[str, int], c: dict[str, int]):
    assert joined(a, b) == joined(b, a)
    assert joined(joined(a, b), c) == joined(a, joined(b, c))
    assert joined(joined(a, b), b) == joined(a, b)
    assert compare(joined(a, b), a) in (Order.newer, Order.equal)


@given(VECTORS, VECTORS, st.sampled_from(NODES))
def test_a_decision_has_seen_both_versions(a: dict[str, int], b: dict[str, int], node: str):
    decided = bumped(joined(a, b), node)
    assert compare(decided, a) is compare(decided, b) is Order.newer


def test_versions_are_related_by_a_service_that_both_have_seen():
    assert related({"node_a": 1}, {"node_a": 2, "node_b": 1})
    assert not related({"node_a": 1}, {"node_b": 1})
