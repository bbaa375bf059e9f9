"""Nodes of the knowledge graph: how symptoms, cards, parts, vehicles and subsystems are named there."""

from typing import NamedTuple

from app.errors import Invalid
from models.enums import NodeType, SubsystemCategory
from models.failure_card import FailureCard
from services.knowledge import symptoms


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
