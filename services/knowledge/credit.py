"""What a person's knowledge did for others: shown to that person alone, and added up for sites with enough people.

There is no way to ask for somebody else's figures: `mine` takes no name, and nothing here ranks anybody. What counts is
in docs/knowledge-governance.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.errors import Forbidden, NotFound
from app.security import ActorKind, Role, current_actor
from models.account import Site, User
from models.failure_card import FailureCard
from models.governance import CardFlag, CardProposal, FlagStatus, ProposalStatus
from models.learning import CardOutcome

FEWEST = 5
"""Contributors of a site below which its figures would say who did what."""
_STRIDE = 500


@dataclass(frozen=True, slots=True)
class Credit:
    """What came of one person's contributions, or of several people's.

    `times_helped`: repairs that worked, by others, with a card that the person wrote or whose accepted proposal it
    carries, from then on; `places_helped`: workshops in which that happened.
    """

    cards_authored: int = 0
    cards_approved: int = 0
    proposals_accepted: int = 0
    flags_that_led_to_a_fix: int = 0
    times_helped: int = 0
    places_helped: int = 0


@dataclass(frozen=True, slots=True)
class SiteCredit:
    """The figures of a site's people together, None unless FEWEST of them or more contributed."""

    site_id: str
    figures: Credit | None


async def mine() -> Credit:
    """The figures of the person who asks. Raises Forbidden for agents and the system, who are nobody."""
    actor = current_actor()
    if actor.kind is not ActorKind.user or actor.has(Role.service):
        raise Forbidden("Credit belongs to people.")
    figures, _ = await _figures(actor.id)
    return figures


async def of_site(site_id: str) -> SiteCredit:
    """The sums of everybody who works at the site. Raises NotFound.

    `places_helped` counts workshops once, however many people helped there. Who left or joined between two askings
    might be told from the difference: the figures are for the site's own yearly look, and only curators get them.
    """
    if await Site.find_one({"_id": site_id}) is None:
        raise NotFound.of("site", site_id)
    people = [user["_id"] async for user in User.get_pymongo_collection().find({"site_ids": site_id}, {"_id": 1})]
    each = [await _figures(user_id) for user_id in people]
    contributed = [(figures, places) for figures, places in each if figures != Credit()]
    if len(contributed) < FEWEST:
        return SiteCredit(site_id, None)
    names = ("cards_authored", "cards_approved", "proposals_accepted", "flags_that_led_to_a_fix", "times_helped")
    sums = {name: sum(getattr(figures, name) for figures, _ in contributed) for name in names}
    return SiteCredit(site_id, Credit(**sums, places_helped=len(set().union(*(places for _, places in contributed)))))


async def _figures(user_id: str) -> tuple[Credit, set[str]]:
    cards = FailureCard.get_pymongo_collection()
    fields = {"created_at": 1, "approved_at": 1}
    written = [card async for card in cards.find({"created_by": user_id}, fields)]
    proposed = await CardProposal.find({"proposer_id": user_id}).to_list()
    accepted = [one for one in proposed if one.status is ProposalStatus.accepted and one.decided_at is not None]
    flags = await CardFlag.find({"reporter_ids": user_id}).to_list()
    since: dict[str, datetime] = {}
    for one in accepted:
        since[one.card_id] = min(one.decided_at, since.get(one.card_id, one.decided_at))  # type: ignore[type-var]
    since |= {card["_id"]: card["created_at"] for card in written}
    times, places = await _helped(user_id, since)
    return Credit(
        cards_authored=len(written),
        cards_approved=sum(card.get("approved_at") is not None for card in written),
        proposals_accepted=len(accepted),
        flags_that_led_to_a_fix=sum(flag.status is FlagStatus.resolved for flag in flags),
        times_helped=times,
        places_helped=len(places),
    ), places


async def _helped(user_id: str, since: Mapping[str, datetime]) -> tuple[int, set[str]]:
    """Repairs of others that worked by these cards, or by those that carry them on since a merge, and where."""
    from_when = dict(since)
    fields = {"merged_into": 1, "deprecated_at": 1}
    async for card in FailureCard.get_pymongo_collection().find({"_id": {"$in": sorted(since)}}, fields):
        if (kept := card.get("merged_into")) is not None:
            # What the survivor did before is not this person's doing.
            from_when[kept] = min(card["deprecated_at"], from_when.get(kept, card["deprecated_at"]))
    wanted = sorted(from_when)
    times, places = 0, set()
    columns = dict.fromkeys(
        ("card_id", "technician_id", "site_id", "success", "occurred_at", "taken_back_at", "superseded_at"), 1
    )
    for start in range(0, len(wanted), _STRIDE):
        query = {"card_id": {"$in": wanted[start : start + _STRIDE]}}
        async for row in CardOutcome.get_pymongo_collection().find(query, columns):
            stands = row["success"] and row.get("taken_back_at") is None and row.get("superseded_at") is None
            somebody_else = row.get("technician_id") not in (None, user_id)
            if stands and somebody_else and row["occurred_at"] >= from_when[row["card_id"]]:
                times += 1
                if row.get("site_id") is not None:
                    places.add(row["site_id"])
    return times, places
