"""Flags: what people, and repairs that went another way, say is the matter with a card, until somebody settles it.

Reports of one kind gather in one open flag per card. Whoever opens, closes or moves a flag writes its card in the same
transaction (`open_flags`): by that two of them conflict, and no card gets two open flags of a kind.
"""

from collections.abc import Sequence

from app import clock
from app.database import transaction
from app.errors import Conflict, Invalid, NotFound
from models.enums import FailureCardStatus
from models.event import CardUpdated
from models.failure_card import CardContent, FailureCard
from models.governance import CardFlag, CardProposal, FlagKind, FlagReport, FlagStatus, ProposalStatus
from models.record import ActorRef
from services.events import record
from services.knowledge import cards
from services.knowledge.access import CardDeprecated, require_editor
from services.knowledge.changes import announce
from services.paging import Page, by_index, page
from services.repairs import visibility
from services.writing import update

REPORTS_KEPT = 50
"""Reports that stay on a flag; `report_count` has them all."""


class FlagClosed(Conflict):
    code, title = "flag_closed", "The flag has been settled"


def report(
    text: str,
    version: int,
    *,
    by: ActorRef | None = None,
    ticket_id: str | None = None,
    action_id: str | None = None,
) -> FlagReport:
    """A report made now; `by` defaults to the current actor."""
    return FlagReport(
        at=clock.now(),
        by=by or ActorRef.current(),
        text=text,
        card_version=version,
        ticket_id=ticket_id,
        action_id=action_id,
    )


async def flag_card(
    card: FailureCard, kind: FlagKind, text: str, *, version: int | None = None, ticket_id: str | None = None
) -> CardFlag:
    """What a person says is the matter with the card, in the version they read (by default the present one).

    Raises as `raise_flag`, and Invalid for a ticket that they may not see.
    """
    if ticket_id is not None:
        try:
            await visibility.load_visible(ticket_id)
        except NotFound:
            raise Invalid.field("ticket_id", "names no ticket", ticket_id) from None
    return await raise_flag(card, kind, report(text, version or card.version, ticket_id=ticket_id))


async def raise_flag(card: FailureCard, kind: FlagKind, said: FlagReport) -> CardFlag:
    """Add a report to the card's open flag of this kind, or open one. Raises CardDeprecated and Invalid (a version that
    the card does not have).

    Not idempotent by itself: call it under a receipt or an Idempotency-Key.
    """
    if card.status is FailureCardStatus.deprecated:
        raise CardDeprecated(f"{card.id} has been deprecated: it stays as it was.", successor_id=card.successor_id)
    if said.card_version > card.version:
        raise Invalid.field("card_version", f"is beyond the card's present version {card.version}", said.card_version)
    async with transaction():
        flag = await open_flag(card.id, kind)
        if flag is None:
            flag = CardFlag(
                card_id=card.id,
                raised_on=card.id,
                card_version=said.card_version,
                kind=kind,
                reports=[said],
                reporter_ids=[said.by.id],
            )
            await flag.insert()
            await _count(card, +1)
        else:
            reporters = flag.reporter_ids + [said.by.id] * (said.by.id not in flag.reporter_ids)
            flag = await update(
                flag,
                {"reporter_ids": reporters},
                push={"reports": {"$each": [said], "$slice": -REPORTS_KEPT}},
                inc={"report_count": 1},
            )
        await _tell(card, flag, "flagged", said.text or kind.value)
    return flag


async def open_flag(card_id: str, kind: FlagKind) -> CardFlag | None:
    """The card's open flag of this kind."""
    # A card collects few flags; naming kind and status in the query would cost the index.
    flags = await CardFlag.find({"card_id": card_id}).to_list()
    return next((flag for flag in flags if flag.kind is kind and flag.status is FlagStatus.open), None)


async def get(flag_id: str) -> CardFlag:
    """Raises NotFound."""
    flag = await CardFlag.find_one({"_id": flag_id})
    if flag is None:
        raise NotFound.of("flag", flag_id)
    return flag


async def list_flags(
    *,
    card_id: str | None = None,
    status: FlagStatus | None = None,
    kind: FlagKind | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[CardFlag]:
    """Newest first."""
    wanted = {"card_id": card_id, "status": status, "kind": kind}
    query = {name: value for name, value in wanted.items() if value is not None}
    first, rest = by_index(query, ("card_id", "status"))
    return await page(CardFlag, first, also=rest, limit=limit, after=after)


async def fix(
    card: FailureCard, content: CardContent, *, edition: int, summary: str, resolves: Sequence[str]
) -> FailureCard:
    """Edit a card and settle flags of it by the new version, all together; without flags, an edit like any other.

    Raises as `cards.edit`, Invalid for a flag that is not of this card or an edit that changes nothing, FlagClosed.
    """
    async with transaction():
        found = [await _flag_of(card, flag_id) for flag_id in dict.fromkeys(resolves)]
        edited = await cards.edit(card, content, edition=edition, summary=summary)
        if not found:
            return edited
        if edited.version == card.version:
            raise Invalid.field("resolves_flags", "cannot be settled by an edit that changes nothing: dismiss them")
        for flag in found:
            await resolve(flag, edited.version, summary)
    return await present_card(card.id)


async def _flag_of(card: FailureCard, flag_id: str) -> CardFlag:
    flag = await CardFlag.find_one({"_id": flag_id})
    if flag is None or flag.card_id != card.id:
        raise Invalid.field("resolves_flags", "names no flag of this card", flag_id)
    return flag


async def resolve(flag: CardFlag, version: int, text: str = "") -> CardFlag:
    """Settle a flag by the version of the card that put it right. Experts may, and the author of a draft.

    Raises FlagClosed, Invalid (no such version, or one that was there before anybody complained), and as
    `require_editor` does.
    """
    card = await present_card(flag.card_id)
    require_editor(card)
    # A flag that came with a merged card names versions of that card.
    least = flag.card_version + 1 if flag.raised_on == card.id else 1
    if not least <= version <= card.version:
        raise Invalid.field("version", f"must be between {least} and the present version {card.version}", version)
    return await close(flag, card, FlagStatus.resolved, text, version)


async def dismiss(flag: CardFlag, reason: str) -> CardFlag:
    """Settle a flag without a change: the card is right as it is. Raises FlagClosed, and as `require_editor` does."""
    card = await present_card(flag.card_id)
    require_editor(card)
    return await close(flag, card, FlagStatus.dismissed, reason)


async def close(
    flag: CardFlag, card: FailureCard, status: FlagStatus, text: str, version: int | None = None
) -> CardFlag:
    """Write the end of a flag, with its event. Proposals that still wait for it have been overtaken."""
    if flag.status is not FlagStatus.open:
        raise FlagClosed(f"{flag.id} is {flag.status} already.", current=flag.status)
    async with transaction():
        closed = await update(
            flag,
            {
                "status": status,
                "resolution": text,
                "resolution_version": version,
                "closed_by": ActorRef.current(),
                "closed_at": clock.now(),
            },
        )
        waiting = [
            one for one in await CardProposal.find({"flag_id": flag.id}).to_list() if one.status is ProposalStatus.open
        ]
        for proposal in waiting:
            await update(proposal, {"status": ProposalStatus.superseded, "decided_at": clock.now()})
        await _count(card, -1)
        await _tell(card, closed, f"flag_{status.value}", text)
    return closed


async def close_all(card: FailureCard, reason: str) -> int:
    """Dismiss every open flag of a card that nobody will change any more; returns how many there were."""
    waiting = [flag for flag in await CardFlag.find({"card_id": card.id}).to_list() if flag.status is FlagStatus.open]
    for flag in waiting:
        await close(flag, await present_card(card.id), FlagStatus.dismissed, reason)
    return len(waiting)


async def move(retired: FailureCard, kept: FailureCard) -> FailureCard:
    """Give the open flags of a merged card, and proposals for it, to the survivor, which is returned.

    Belongs in the transaction of the merge, which writes the retired card.
    """
    moving = [flag for flag in await CardFlag.find({"card_id": retired.id}).to_list() if flag.status is FlagStatus.open]
    opened = 0
    for flag in moving:
        into = await open_flag(kept.id, flag.kind)
        if into is None:
            await update(flag, {"card_id": kept.id})
            opened += 1
        else:
            into = await _gather(flag, into)
        await _move_proposals(flag, into or flag, kept.id)
    return await _count(kept, opened) if moving else kept


async def _gather(flag: CardFlag, into: CardFlag) -> CardFlag:
    together = sorted([*into.reports, *flag.reports], key=lambda one: one.at)[-REPORTS_KEPT:]
    people = list(dict.fromkeys([*into.reporter_ids, *flag.reporter_ids]))
    over = {
        "status": FlagStatus.dismissed,
        "resolution": "Gathered with the same flag of the card that this one was merged into.",
        "gathered_into": into.id,
        "closed_by": ActorRef.current(),
        "closed_at": clock.now(),
    }
    await update(flag, over)
    return await update(into, {"reports": together, "reporter_ids": people}, inc={"report_count": flag.report_count})


async def _move_proposals(flag: CardFlag, into: CardFlag, card_id: str) -> None:
    for proposal in await CardProposal.find({"flag_id": flag.id}).to_list():
        if proposal.status is ProposalStatus.open:
            await update(proposal, {"flag_id": into.id, "card_id": card_id})


async def present_card(card_id: str) -> FailureCard:
    """The card as it stands now, whoever asks. Raises NotFound."""
    card = await FailureCard.find_one({"_id": card_id})
    if card is None:
        raise NotFound.of("failure card", card_id)
    return card


async def _count(card: FailureCard, change: int) -> FailureCard:
    counted = await update(card, {}, inc={"open_flags": change})
    announce(card.id)
    return counted


async def _tell(card: FailureCard, flag: CardFlag, change: str, reason: str) -> None:
    await record(
        CardUpdated(
            card_id=card.id,
            version=card.version,
            changed_fields=[],
            change=change,
            reason=reason,
            flag_id=flag.id,
        ),
        site_id=card.source_garage_id,
    )
