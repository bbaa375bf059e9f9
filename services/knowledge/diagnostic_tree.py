"""Diagnostic trees: one question per node, every answer leads somewhere.

An answer leads to the node that its branch (`if_yes`, `if_no`) names. An answer without a branch ends the diagnosis
with a verdict of the node: `leads_to_root_cause` confirms, `hands_over_to` rules this card out. Hence the legal nodes:

====================  =======================================================================
branches              verdicts
====================  =======================================================================
both                  none: both answers go on
one                   exactly one: it is the verdict of the other answer
none (leaf)           one: reaching the node decides; both: "yes" confirms, "no" hands over
====================  =======================================================================

Nodes may share successors, so a tree may be any rooted graph without loops.
"""

from collections.abc import Iterator

from app.errors import Invalid
from app.ids import new_id
from models.failure_card import DiagnosticNode, DiagnosticTree

MAX_PATHS = 2**53 - 1
"""Shared nodes multiply paths (200 nodes can make 2^100); beyond this JSON readers do not hold the count exactly."""

_FIELD = "diagnostic_tree"
Fault = dict[str, str]


def check_tree(tree: DiagnosticTree) -> DiagnosticTree:
    """A copy of a sound tree with `tree_id` (kept if given), `total_paths` and `avg_path_length` filled in.

    Raises Invalid with all faults of an unsound one, each with its field path: duplicate ids, a missing root, dangling
    branches, answers or verdicts that lead nowhere, unreachable nodes, loops, more than MAX_PATHS paths.
    """
    faults = [*_faults_of_nodes(tree)]
    bottom_up = _faults_of_shape(tree, faults)
    if not faults:
        total, steps = _count_paths(tree, bottom_up)
        if total <= MAX_PATHS:
            return tree.model_copy(
                update={
                    "tree_id": tree.tree_id or new_id("tree"),
                    "total_paths": total,
                    "avg_path_length": steps / total,
                },
                deep=True,
            )
        faults.append(_fault("nodes", f"the nodes form more than {MAX_PATHS} paths"))
    first, more = faults[0], len(faults) - 1
    detail = f"{first['field']}: {first['rule']}" + (f" (and {more} more)" if more else "")
    raise Invalid(detail, errors=faults)


def branches(node: DiagnosticNode) -> list[tuple[str, str]]:
    """The answers that go on, as (field, node id)."""
    named = (("if_yes", node.if_yes), ("if_no", node.if_no))
    return [(field, target) for field, target in named if target is not None]


def answers(node: DiagnosticNode) -> list[tuple[str, str | None, str | None, bool]]:
    """Where each answer leads: (yes or no, next node, verdict, whether the verdict confirms).

    The verdict of a node belongs to the answer without a branch; a leaf with one verdict needs no answer.
    """
    found: list[tuple[str, str | None, str | None, bool]] = []
    confirms, hands_over = node.leads_to_root_cause, node.hands_over_to
    for answer, target in (("yes", node.if_yes), ("no", node.if_no)):
        if target is not None:
            found.append((answer, target, None, False))
        elif confirms and hands_over:
            found.append((answer, None, confirms if answer == "yes" else hands_over, answer == "yes"))
        elif verdict := confirms or hands_over:
            found.append((answer, None, verdict, bool(confirms)))
    return found


def decides_at_once(node: DiagnosticNode) -> bool:
    """A leaf with one verdict: whatever the answer, reaching it decides."""
    verdicts = bool(node.leads_to_root_cause) + bool(node.hands_over_to)
    return node.if_yes is None and node.if_no is None and verdicts == 1


def _fault(place: str, rule: str, value: str | None = None) -> Fault:
    fault = {"field": f"{_FIELD}.{place}", "rule": rule}
    return fault if value is None else fault | {"value": value}


def _first_places(tree: DiagnosticTree) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, node in enumerate(tree.nodes):
        places.setdefault(node.node_id, place)
    return places


def _faults_of_nodes(tree: DiagnosticTree) -> Iterator[Fault]:
    """What can be said of each node by itself and of the ids it names."""
    places = _first_places(tree)
    if tree.root_node_id not in places:
        yield _fault("root_node_id", "names no node of this tree", tree.root_node_id)
    for place, node in enumerate(tree.nodes):
        if (first := places[node.node_id]) != place:
            yield _fault(f"nodes.{place}.node_id", f"nodes.{first} has this id already", node.node_id)
        for field, target in branches(node):
            if target not in places:
                yield _fault(f"nodes.{place}.{field}", "names no node of this tree", target)
        yield from _fault_of_verdict(place, node)


def _fault_of_verdict(place: int, node: DiagnosticNode) -> Iterator[Fault]:
    taken = dict(branches(node))
    verdicts = [field for field in ("leads_to_root_cause", "hands_over_to") if getattr(node, field)]
    if not taken and not verdicts:
        yield _fault(f"nodes.{place}", "a leaf must confirm (leads_to_root_cause) or hand over (hands_over_to)")
    elif len(taken) == 2 and verdicts:
        for verdict in verdicts:
            yield _fault(f"nodes.{place}.{verdict}", "no answer ends here: both if_yes and if_no go on")
    elif len(taken) == 1 and len(verdicts) != 1:
        missing = "if_no" if "if_yes" in taken else "if_yes"
        rule = "this answer needs a node to go on to, or exactly one verdict: leads_to_root_cause or hands_over_to"
        yield _fault(f"nodes.{place}.{missing}", rule)


def _faults_of_shape(tree: DiagnosticTree, faults: list[Fault]) -> list[str]:
    """Adds loops and unreachable nodes to `faults`; returns the reachable ids, successors before predecessors."""
    places = _first_places(tree)
    seen: set[str] = set()
    bottom_up: list[str] = []
    if tree.root_node_id in places:
        bottom_up = _walk(tree, places, tree.root_node_id, seen, faults)
        faults += [
            _fault(f"nodes.{place}", "cannot be reached from the root", node_id)
            for node_id, place in places.items()
            if node_id not in seen
        ]
    for node_id in places:
        if node_id not in seen:
            _walk(tree, places, node_id, seen, faults)
    return bottom_up


def _walk(tree: DiagnosticTree, places: dict[str, int], start: str, seen: set[str], faults: list[Fault]) -> list[str]:
    """Depth-first from `start`, in post-order. A branch back into the current path closes a loop."""
    order: list[str] = []
    path = [start]
    pending = [iter(branches(tree.nodes[places[start]]))]
    seen.add(start)
    while path:
        field, target = next(pending[-1], (None, ""))
        if field is None:
            order.append(path.pop())
            pending.pop()
        elif target in path:
            loop = " → ".join([*path[path.index(target) :], target])
            faults.append(_fault(f"nodes.{places[path[-1]]}.{field}", f"closes the loop {loop}"[:500], target))
        elif target in places and target not in seen:
            seen.add(target)
            path.append(target)
            pending.append(iter(branches(tree.nodes[places[target]])))
    return order


def _count_paths(tree: DiagnosticTree, bottom_up: list[str]) -> tuple[int, int]:
    """Number of paths from root to verdict, and their lengths in nodes summed, from the leaves upwards."""
    nodes = {node.node_id: node for node in tree.nodes}
    counts: dict[str, tuple[int, int]] = {}
    for node_id in bottom_up:
        node = nodes[node_id]
        ways_on = [counts[target] for _, target in branches(node)]
        endings = bool(node.leads_to_root_cause) + bool(node.hands_over_to)
        paths = endings + sum(count for count, _ in ways_on)
        counts[node_id] = (paths, paths + sum(steps for _, steps in ways_on))
    return counts[tree.root_node_id]
