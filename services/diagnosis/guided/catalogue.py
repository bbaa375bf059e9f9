"""The tests that a set of cards has between them, and the way of each card's tree through them. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.failure_card import DiagnosticNode, DiagnosticTree
from services.diagnosis.guided.identity import Limit, identity, limit_of
from services.knowledge.diagnostic_tree import branches

CONFIRMED, RULED_OUT = -1, -2
"""Where a tree may end instead of going on to a node."""
OPENING_SHARE = 0.5
"""Of the minutes of a check behind a cover, how many go into opening and closing it. The trees state the whole only."""
PRECAUTION_MINUTES = 5.0
"""For what a safety warning asks (gloves, lock-out, proving dead), once in a session and not once for each check."""

_OPENING = re.compile(
    r"\b(?:open|remove|take off|unbolt|lift|drop|lower|dismantle|unscrew)\s+(?:the\s+|its\s+)?"
    r"(?:[a-z-]+\s+){0,2}?(?P<what>pack|lid|cover|panel|seat|housing|junction box|box|wheel|undertray|tray|trim|cowl"
    r"|casing|motor|controller|drum|fairing|floorboard|bonnet|console|shield|vehicle)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card's tree asks a test. `inverted`: yes of the node is no of the test."""

    card: int
    node_id: str
    inverted: bool


@dataclass(slots=True)
class Test:
    """One check of one component, whichever cards ask it. `setups` are minutes of preparation, by what they prepare:
    they are spent once, however many tests need them."""

    id: str
    node: DiagnosticNode = field(repr=False)
    minutes: float = 0.0
    setups: dict[str, float] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    limit: Limit | None = None
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """A node of a card's tree in terms of the catalogue.

    `yes` and `no` are places in the tree's `steps`, or CONFIRMED or RULED_OUT. `expects` is the share of the confirming
    paths through this node on which its answer is yes, None where no path from here confirms; `decisive` says that an
    answer ends the tree with this card confirmed.
    """

    node_id: str
    test: int
    inverted: bool
    yes: int
    no: int
    expects: float | None
    decisive: bool

    @property
    def points_to(self) -> float | None:
        """The answer that speaks for the card, 1 for yes and 0 for no: the one that confirms it at once, however few of
        its ways pass there; where none does, what the card expects."""
        confirming = (self.yes == CONFIRMED, self.no == CONFIRMED)
        return self.expects if confirming[0] == confirming[1] else float(confirming[0])


@dataclass(frozen=True, slots=True)
class Route:
    """One card's tree: `steps` from the root on, successors after their predecessors."""

    steps: tuple[Step, ...]


@dataclass(slots=True)
class Catalogue:
    """Cards and tests by place; `routes[i]` belongs to `cards[i]` and is empty for a card without a tree."""

    cards: tuple[str, ...]
    tests: list[Test]
    routes: list[Route]
    by_id: dict[str, int]


def build(trees: Mapping[str, DiagnosticTree | None]) -> Catalogue:
    """The catalogue of the cards, by id, with their (sound) trees."""
    catalogue = Catalogue(tuple(trees), [], [], {})
    for place, tree in enumerate(trees.values()):
        catalogue.routes.append(_route(catalogue, place, tree) if tree is not None else Route(()))
    return catalogue


def _route(catalogue: Catalogue, card: int, tree: DiagnosticTree) -> Route:
    nodes = {node.node_id: node for node in tree.nodes}
    order = _from_root(tree.root_node_id, nodes)
    place = {node_id: n for n, node_id in enumerate(order)}
    ends = {node_id: _successors(nodes[node_id], place) for node_id in order}
    confirming: dict[int, int] = {CONFIRMED: 1, RULED_OUT: 0}
    for node_id in reversed(order):
        confirming[place[node_id]] = sum(confirming[end] for end in ends[node_id])
    steps = []
    for node_id in order:
        yes, no = ends[node_id]
        ways = confirming[yes] + confirming[no]
        test, inverted = _test(catalogue, card, nodes[node_id])
        expects = confirming[yes] / ways if ways else None
        steps.append(Step(node_id, test, inverted, yes, no, expects, CONFIRMED in (yes, no)))
    return Route(tuple(steps))


def _from_root(root: str, nodes: Mapping[str, DiagnosticNode]) -> list[str]:
    """Topological order: every node after all that lead to it."""
    order: list[str] = []
    seen = {root}
    stack = [(root, iter(branches(nodes[root])))]
    while stack:
        node_id, ways = stack[-1]
        target = next((target for _, target in ways if target not in seen), None)
        if target is None:
            order.append(node_id)
            stack.pop()
        else:
            seen.add(target)
            stack.append((target, iter(branches(nodes[target]))))
    return order[::-1]


def _successors(node: DiagnosticNode, place: Mapping[str, int]) -> tuple[int, int]:
    """Where yes and no lead; see `services.knowledge.diagnostic_tree` for what nodes may look like."""
    verdict = CONFIRMED if node.leads_to_root_cause else RULED_OUT
    if node.if_yes is None and node.if_no is None:
        both = node.leads_to_root_cause and node.hands_over_to
        return verdict, RULED_OUT if both else verdict
    yes = place[node.if_yes] if node.if_yes is not None else verdict
    no = place[node.if_no] if node.if_no is not None else verdict
    return yes, no


def _test(catalogue: Catalogue, card: int, node: DiagnosticNode) -> tuple[int, bool]:
    test_id, inverted = identity(node)
    number = catalogue.by_id.get(test_id)
    if number is None:
        number = catalogue.by_id[test_id] = len(catalogue.tests)
        work, setups = _effort(node)
        tools = tuple(dict.fromkeys(tool.casefold() for tool in node.tools_required if tool))
        catalogue.tests.append(Test(test_id, node, work, setups, tools, limit_of(node.question)))
    catalogue.tests[number].places.append(Place(card, node.node_id, inverted))
    return number, inverted


def _effort(node: DiagnosticNode) -> tuple[float, dict[str, float]]:
    """Minutes of the check itself, and of each preparation that other checks may share."""
    covers = covers_of(node.check_action)
    opening = node.duration_minutes * OPENING_SHARE if covers else 0.0
    setups = {f"open {cover}": opening / len(covers) for cover in covers}
    setups |= {f"safety {' '.join(warning.casefold().split())}": PRECAUTION_MINUTES for warning in node.safety_warnings}
    return node.duration_minutes - opening, setups


def covers_of(check_action: str) -> list[str]:
    """What must be opened or taken off for a check, as its instruction says."""
    return list(dict.fromkeys(match["what"].casefold() for match in _OPENING.finditer(check_action)))


def answers_of(catalogue: Catalogue, card: int, answers: Mapping[int, bool]) -> Iterable[tuple[Step, bool]]:
    """The steps of a card's tree that the answers (by test, in the test's own sense) have decided, along its way."""
    steps = catalogue.routes[card].steps
    at = 0 if steps else RULED_OUT
    while at >= 0:
        step = steps[at]
        if step.test not in answers:
            return
        said_yes = answers[step.test] != step.inverted
        yield step, said_yes
        at = step.yes if said_yes else step.no
