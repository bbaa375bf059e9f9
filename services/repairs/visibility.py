"""Tenancy: which tickets, actions and parts the current actor may see. Decided here and nowhere else."""

from typing import Any, Protocol

from app.errors import NotFound
from app.security import Actor, ActorKind, Role, current_actor
from models.ticket import Ticket

SEES_EVERYTHING = frozenset({Role.admin, Role.expert, Role.service})
NOTHING: dict[str, Any] = {"_id": {"$in": []}}


def sees_everything(actor: Actor) -> bool:
    """Experts and admins do; agents, service accounts and the system are limited by the rights on collections."""
    return actor.kind is not ActorKind.user or actor.has(*SEES_EVERYTHING)


def scope(actor: Actor) -> dict[str, Any]:
    """A filter on `site_id` and `organisation_id`: a technician's sites, a fleet customer's organisation."""
    if sees_everything(actor):
        return {}
    ways: list[dict[str, Any]] = []
    if actor.has(Role.technician) and actor.site_ids:
        ways.append(sites_filter(actor))
    if actor.has(Role.fleet_customer) and actor.organisation_id:
        ways.append({"organisation_id": actor.organisation_id})
    if not ways:
        return NOTHING
    return ways[0] if len(ways) == 1 else {"$or": ways}


def sites_filter(actor: Actor) -> dict[str, Any]:
    """The workshop's own documents (actions, stock): a customer sees none of them."""
    if sees_everything(actor):
        return {}
    if not (actor.has(Role.technician) and actor.site_ids):
        return NOTHING
    sites = sorted(actor.site_ids)
    return {"site_id": sites[0] if len(sites) == 1 else {"$in": sites}}


def works_at(actor: Actor, site_id: str | None) -> bool:
    """Whether the actor acts for this workshop."""
    return sees_everything(actor) or (actor.has(Role.technician) and site_id in actor.site_ids)


class Placed(Protocol):
    """What decides who may see a ticket."""

    @property
    def site_id(self) -> str | None: ...
    @property
    def organisation_id(self) -> str | None: ...


def may_see(actor: Actor, ticket: Placed) -> bool:
    return works_at(actor, ticket.site_id) or (
        actor.has(Role.fleet_customer)
        and actor.organisation_id is not None
        and ticket.organisation_id == actor.organisation_id
    )


async def load_visible(ticket_id: str) -> Ticket:
    """The ticket. Raises NotFound if there is none, or none that the current actor may see."""
    ticket = await Ticket.find_one({"_id": ticket_id})
    if ticket is None or not may_see(current_actor(), ticket):
        raise NotFound.of("ticket", ticket_id)
    return ticket
