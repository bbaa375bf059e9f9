"""People and documents that the tests of knowledge share."""

from typing import Any

from app.security import Actor, ActorKind, Role
from models.event import EfiEvent, EventType
from models.failure_card import CardContent, FailureCard
from models.ticket import Ticket


def person(name: str, *roles: Role) -> Actor:
    return Actor(ActorKind.user, f"usr_{name}", name, frozenset(roles))


TECHNICIAN = person("asha", Role.technician)
OTHER_TECHNICIAN = person("ravi", Role.technician)
EXPERT = person("mina", Role.expert)
OTHER_EXPERT = person("jonas", Role.expert)
OEM = person("oem", Role.oem)


def a_card(**fields: Any) -> CardContent:
    """A small sound card; fields can be replaced."""
    return CardContent.model_validate(
        {
            "title": "BMS cell balancing circuit failure",
            "subsystem_category": "bms",
            "failure_mode": "degradation",
            "symptom_text": "Battery does not charge beyond 80 %",
            "error_codes": ["P0A80"],
            "root_cause": "The balancing resistor of a cell group is open",
            "resolution_steps": [{"step_number": 1, "action": "Replace the balancing board"}],
            "vehicle_models": [{"make": "Ather", "model": "450X"}],
            **fields,
        }
    )


async def stored_card(**fields: Any) -> FailureCard:
    """A card put straight into the store, for tests of what comes after."""
    values = {**a_card().model_dump(exclude={"failure_signature"}), "status": "approved", **fields}
    card = FailureCard.model_validate(values)
    await card.insert()
    return card


async def a_ticket(**fields: Any) -> Ticket:
    ticket = Ticket(
        **{"title": "Charging stops early", "vehicle_make": "Ather", "vehicle_model": "450X", "vehicle_year": 2023}
        | fields
    )
    await ticket.insert()
    return ticket


async def events_of(kind: EventType) -> list[EfiEvent]:
    return await EfiEvent.find({"event_type": kind.value}).sort("_id").to_list()
