"""Incidents: opened, extended and merged by detection, corrected and dismissed by experts, closed by approval.

A ticket belongs to one incident at most: `incident_tickets` has one document for it. Whoever finds the same group
again, after a crash, in another replica or at the same instant, meets those documents and extends the incident.
"""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app import clock
from app.database import transaction
from app.errors import Conflict, NotFound
from app.ids import new_id
from app.security import agent
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.incident import ClosedBecause, Incident, IncidentStatistic, IncidentStatus, IncidentTicket, SharedFacts
from models.record import ActorRef
from models.symptom import Symptom
from models.ticket import Ticket
from services.diagnosis import matches
from services.knowledge import cards, lifecycle, reviews
from services.knowledge.cards import DISCOVERED_CONFIDENCE
from services.knowledge.reviews import Claimed
from services.paging import Page, page
from services.workflows.patterns.facts import draft, shared_facts, title_of
from services.writing import update

DETECTOR = agent("patterns")
"""Who detects: drafts that it wrote last are its own to rewrite, those that a person has edited are not."""
MOST_READ = 500
"""Tickets of an incident, the newest, that its facts are drawn from."""
MOST_MOVED = 500
"""Tickets that a merge moves at most: a transaction must stay small. Larger incidents stay two."""
GROWN = 2
"""How many times as many tickets a dismissed incident needs to open again."""


class IncidentClosed(Conflict):
    code, title = "incident_closed", "The incident has been closed"


@dataclass(frozen=True, slots=True)
class Found:
    """A group of tickets with its statistic."""

    ticket_ids: Sequence[str]
    statistic: IncidentStatistic


async def get(incident_id: str) -> Incident:
    """Raises NotFound."""
    incident = await Incident.find_one({"_id": incident_id})
    if incident is None:
        raise NotFound.of("incident", incident_id)
    return incident


async def list_incidents(
    *, status: IncidentStatus | None = None, limit: int = 50, after: str | None = None
) -> Page[Incident]:
    """Newest first."""
    return await page(Incident, {} if status is None else {"status": status}, limit=limit, after=after)


async def tickets_of(incident: Incident, *, most: int = MOST_READ) -> list[str]:
    """Ids of its tickets, newest first."""
    claims = IncidentTicket.find({"incident_id": incident.id}).sort([("_id", -1)]).limit(most)
    return [claim.id async for claim in claims]


async def page_of_tickets(incident: Incident, *, limit: int = 50, after: str | None = None) -> Page[Ticket]:
    """Its tickets, newest first; those that are gone are left out. `after` is the last ticket's id of the page before,
    and pages end with the MOST_READ newest."""
    ids = [one for one in await tickets_of(incident) if after is None or one < after]
    found = await Ticket.find({"_id": {"$in": ids[:limit]}}).to_list()
    return Page(sorted(found, key=lambda one: one.id, reverse=True), ids[limit - 1] if len(ids) > limit else None)


async def claims_on(ticket_ids: Iterable[str]) -> dict[str, IncidentTicket]:
    """What is known of these tickets, by ticket id."""
    return {claim.id: claim async for claim in IncidentTicket.find({"_id": {"$in": sorted(ticket_ids)}})}


async def open_new(found: Found) -> Incident:
    """A new incident of these tickets, with its draft card in the review queue. They must be free."""
    incident_id = new_id("incident")
    await _claim(incident_id, found.ticket_ids)
    tickets, symptoms, facts = await _facts(found.ticket_ids)
    incident = Incident(
        id=incident_id,
        title=title_of(facts),
        ticket_count=len(found.ticket_ids),
        facts=facts,
        statistic=found.statistic,
    )
    incident.card_id = (await _draft(incident, tickets, symptoms)).id
    await incident.insert()
    return incident


async def extend(incident: Incident, ticket_ids: Sequence[str], statistic: IncidentStatistic | None = None) -> Incident:
    """Add free tickets. Its facts and statistic follow, and its draft as long as nobody has edited it.

    A dismissed incident opens again with a new draft if it is unusual (has a statistic) and has grown clearly.
    """
    await _claim(incident.id, ticket_ids)
    count = incident.ticket_count + len(ticket_ids)
    tickets, symptoms, facts = await _facts(await tickets_of(incident))
    changes: dict[str, Any] = {"ticket_count": count, "facts": facts}
    if statistic is not None:
        changes["statistic"] = statistic
    if incident.status is IncidentStatus.open:
        changes["title"] = title_of(facts)
    grown = count >= GROWN * (incident.dismissed_at_count or 0)
    if incident.status is IncidentStatus.watching and statistic is not None and grown:
        changes |= {"status": IncidentStatus.open, "title": title_of(facts)}
    extended = await update(incident, changes)
    if extended.status is IncidentStatus.open:
        extended = await _refresh_draft(extended, tickets, symptoms)
    return extended


async def merge(into: Incident, other: Incident) -> Incident:
    """Two incidents have grown together: the tickets of `other` go to `into`, and its untouched draft is given up."""
    moved = await IncidentTicket.get_pymongo_collection().update_many(
        {"incident_id": other.id},
        {"$set": {"incident_id": into.id, "updated_at": clock.now()}, "$inc": {"revision": 1}},
    )
    await update(
        other,
        {
            "status": IncidentStatus.closed,
            "closed_because": ClosedBecause.merged,
            "closed_at": clock.now(),
            "merged_into": into.id,
        },
    )
    with contextlib.suppress(Claimed):  # a reviewer who has it in hand decides about it
        await _give_up_draft(other, f"Its tickets belong to {into.id}.")
    return await update(into, {"ticket_count": into.ticket_count + moved.modified_count})


async def dismiss(incident: Incident, reason: str) -> Incident:
    """Nothing emerges here: its draft is given up, unless a person has edited it, and it is watched from now on.

    Dismissing it again changes nothing. Raises IncidentClosed, and Claimed while somebody else reviews the draft.
    """
    _require_living(incident)
    if incident.status is IncidentStatus.watching:
        return incident
    async with transaction():
        watched = await _watch(incident, reason)
        await _give_up_draft(watched, f"The incident was dismissed: {reason}")
    return watched


async def take_out(incident: Incident, ticket_id: str) -> Incident:
    """A ticket does not belong here, and does not come back. Raises NotFound for one that is not in it, and
    IncidentClosed."""
    _require_living(incident)
    claim = (await claims_on([ticket_id])).get(ticket_id)
    if claim is None or claim.incident_id != incident.id:
        raise NotFound(f"Ticket {ticket_id} is not in {incident.id}.")
    async with transaction():
        await update(claim, {"incident_id": None}, push={"taken_out_of": incident.id})
        changes: dict[str, Any] = {"ticket_count": incident.ticket_count - 1}
        left = await tickets_of(incident)
        if not left:
            return await update(incident, changes)
        tickets, symptoms, facts = await _facts(left)
        changed = await update(incident, changes | {"facts": facts, "title": title_of(facts)})
        return await _refresh_draft(changed, tickets, symptoms)


async def of_card(card_id: str) -> list[Incident]:
    """Those that are not closed."""
    found = await Incident.find({"card_id": card_id}).to_list()
    return [incident for incident in found if incident.status is not IncidentStatus.closed]


async def close_approved(incident: Incident, card_id: str) -> Incident:
    """The card is part of the knowledge now."""
    return await update(
        incident,
        {
            "status": IncidentStatus.closed,
            "closed_because": ClosedBecause.approved,
            "closed_at": clock.now(),
            "card_id": card_id,
        },
    )


async def follow_card(incident: Incident, card_id: str) -> Incident:
    """Its draft was merged into another card that is still to be approved."""
    return await update(incident, {"card_id": card_id})


async def watch_discarded(incident: Incident, reason: str) -> Incident:
    """Its draft was given up by somebody: that dismisses it."""
    return incident if incident.status is IncidentStatus.watching else await _watch(incident, reason)


def _require_living(incident: Incident) -> None:
    if incident.status is IncidentStatus.closed:
        raise IncidentClosed(f"{incident.id} is closed: {incident.closed_because}.", merged_into=incident.merged_into)


async def _watch(incident: Incident, reason: str) -> Incident:
    return await update(
        incident,
        {
            "status": IncidentStatus.watching,
            "dismissed_at_count": incident.ticket_count,
            "dismissed_by": ActorRef.current(),
            "dismissed_at": clock.now(),
            "dismissal_reason": reason[:500],
        },
    )


async def _claim(incident_id: str, ticket_ids: Sequence[str]) -> None:
    """Take free tickets. Another writer's claim is a conflict or a duplicate key, which ends the transaction."""
    known = await claims_on(ticket_ids)
    for claim in known.values():
        await update(claim, {"incident_id": incident_id})
    if new := [IncidentTicket(id=one, incident_id=incident_id) for one in ticket_ids if one not in known]:
        await IncidentTicket.insert_many(new)


async def _facts(ticket_ids: Sequence[str]) -> tuple[list[Ticket], list[Symptom], SharedFacts]:
    tickets = await Ticket.find({"_id": {"$in": list(ticket_ids)[:MOST_READ]}}).to_list()
    codes = sorted({code for ticket in tickets for code in ticket.symptom_codes})
    symptoms = await Symptom.find({"symptom_code": {"$in": codes}}).to_list()
    words = matches.serving().index.keyword.engine
    return tickets, symptoms, shared_facts(tickets, symptoms, lambda term: words.frequency(term) > 0)


async def _draft(incident: Incident, tickets: Sequence[Ticket], symptoms: Sequence[Symptom]) -> FailureCard:
    card = await cards.create(
        draft(incident, tickets, symptoms),
        created_by=DETECTOR.id,
        incident_id=incident.id,
        confidence_score=DISCOVERED_CONFIDENCE,
    )
    await reviews.open_for(card)
    return card


async def _refresh_draft(incident: Incident, tickets: Sequence[Ticket], symptoms: Sequence[Symptom]) -> Incident:
    """Bring the draft in line; a new one in place of one that was given up."""
    card = await FailureCard.find_one({"_id": incident.card_id})
    if card is None or card.status is FailureCardStatus.deprecated:
        fresh = await _draft(incident, tickets, symptoms)
        return await update(incident, {"card_id": fresh.id})
    if _untouched(card):
        await cards.edit(card, draft(incident, tickets, symptoms), edition=card.edition, summary="The incident grew")
    return incident


async def _give_up_draft(incident: Incident, reason: str) -> None:
    card = await FailureCard.find_one({"_id": incident.card_id})
    if card is not None and _untouched(card):
        await lifecycle.discard(card, reason[:500])


def _untouched(card: FailureCard) -> bool:
    return card.status is FailureCardStatus.draft and card.updated_by == DETECTOR.id
