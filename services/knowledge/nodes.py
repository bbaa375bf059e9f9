"""Nodes of the knowledge graph: how symptoms, cards, parts, vehicles and subsystems are named there."""

from typing import NamedTuple

from app.errors import Invalid
from models.enums import NodeType, SubsystemCategory
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from services.knowledge import symptoms

MOST_WORDS = 8
"""Of a vehicle written without a bar, by how many words its make is looked for."""


class Node(NamedTuple):
    """A node without its label. Symptoms are named by code, cards by id, parts and vehicles by the keys below."""

    type: NodeType
    id: str

    @property
    def key(self) -> str:
        """One string for both, as it stands in an edge's `ends`."""
        return f"{self.type}:{self.id}"


def node_of(key: str) -> Node:
    """The node of a key."""
    kind, _, identifier = key.partition(":")
    return Node(NodeType(kind), identifier)


def part_key(part_name: str, part_number: str = "") -> str:
    """The node of a part: its number, else its name in lower case."""
    return (part_number or " ".join(part_name.casefold().split()))[:200]


def vehicle_key(make: str, model: str) -> str:
    """The node of a vehicle model: `make|model` in lower case."""
    return "|".join(" ".join(text.casefold().replace("|", " ").split()) for text in (make, model))[:200]


def spellings(kind: NodeType, text: str) -> list[str]:
    """What a node that somebody names in this way may be called in the graph, the likeliest first.

    Case and spacing do not matter. A part may be named by number or by name, a vehicle as `make|model` or in words.
    """
    plain = " ".join(text.split())
    match kind:
        case NodeType.part:
            found = [plain, plain.upper(), part_key(plain)]
        case NodeType.vehicle:
            make, bar, model = plain.partition("|")
            words = plain.split()[:MOST_WORDS]
            splits = [(" ".join(words[:n]), " ".join(plain.split()[n:])) for n in range(1, len(words) + 1)]
            found = [vehicle_key(*pair) for pair in ([(make, model)] if bar else splits)]
        case NodeType.subsystem:
            found = [plain.casefold().replace(" ", "_").replace("-", "_")]
        case NodeType.symptom:
            found = [plain.upper()]
        case _:
            found = [plain.casefold()]
    return list(dict.fromkeys(found)) or [text]


async def meant(kind: NodeType, text: str) -> Node:
    """The node that somebody means: of the `spellings`, the first that has an edge, else the likeliest."""
    candidates = [Node(kind, identifier) for identifier in spellings(kind, text)]
    for node in candidates if len(candidates) > 1 else ():
        if await KnowledgeRelation.find_one({"ends": node.key}) is not None:
            return node
    return candidates[0]


async def exists(node: Node) -> bool:
    """Whether a card, symptom or subsystem is there; parts and vehicles may be named before anybody registers them."""
    match node.type:
        case NodeType.failure_card:
            return await FailureCard.find_one({"_id": node.id}) is not None
        case NodeType.symptom:
            return bool(await symptoms.known({node.id}))
        case NodeType.subsystem:
            return node.id in set(SubsystemCategory)
        case _:
            return True


async def require(field: str, node: Node) -> None:
    """Raise Invalid on `field` unless the node `exists`."""
    if not await exists(node):
        raise Invalid.field(field, f"names no {node.type.replace('_', ' ')}", node.id)
