"""Proposed edits: somebody who may not change a card says how it should read, and an expert accepts it or says why not.

A proposal is made out of one version of the card. If the card has moved on meanwhile, what both changed is shown, and
an expert decides about it; fields that only one of them touched need nobody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app import clock
from app.database import transaction
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.security import current_actor
from models.event import CardUpdated
from models.failure_card import CardContent, FailureCard
from models.governance import CardFlag, CardProposal, FlagStatus, ProposalStatus
from models.record import ActorRef
from services.events import record
from services.knowledge import cards, flags, symptoms, versions
from services.knowledge.access import is_curator
from services.knowledge.content import changed_fields, completed_anew, content_of
from services.knowledge.diff import Difference, differences
from services.knowledge.three_way import Line, carried_over, conflicts, three_way
from services.paging import Page, by_index, page
from services.writing import update


class ProposalDecided(Conflict):
    code, title = "proposal_decided", "The proposal has been decided"


class CardMovedOn(Conflict):
    code, title = "card_moved_on", "The card has moved on since the proposal was made"


@dataclass(frozen=True)
class Comparison:
    """A proposal beside the present card. `lines` is there where the card has moved on since the proposal's base, and
    `conflicts` are the fields that both have changed: they need an expert's own content."""

    present_version: int
    differences: list[Difference]
    moved_on: bool
    lines: list[Line]
    conflicts: list[str]


async def propose(flag: CardFlag, content: CardContent, reason: str, base_version: int | None = None) -> CardProposal:
    """Propose the card's content as it should read, to settle the flag; `base_version` is the one it was made out of,
    by default the present one.

    Raises FlagClosed, NotFound (no such version), and Invalid as an edit does, or if nothing would change.
    """
    if flag.status is not FlagStatus.open:
        raise flags.FlagClosed(f"{flag.id} is {flag.status} already.", current=flag.status)
    card = await flags.present_card(flag.card_id)
    version = base_version or card.version
    base = (await versions.get_version(card.id, version)).content
    whole = completed_anew(_same_tree(content, base), base)
    if not changed_fields(base, whole):
        raise Invalid.field("content", "is what the card says already")
    await symptoms.require(set(whole.symptom_codes) - set(base.symptom_codes))
    proposal = CardProposal(
        flag_id=flag.id,
        card_id=card.id,
        base_card_id=card.id,
        base_version=version,
        content=whole,
        reason=reason,
        proposed_by=ActorRef.current(),
        proposer_id=current_actor().id,
    )
    async with transaction():
        # Written too, so that a proposal and the end of its flag cannot pass each other.
        await update(flag, {})
        await proposal.insert()
        await _tell(card, proposal, "proposed", reason)
    return proposal


def _same_tree(content: CardContent, base: CardContent) -> CardContent:
    """A tree that was sent without its id is the base's tree: a new id would look like a change of it."""
    tree = content.diagnostic_tree
    if tree is None or tree.tree_id or base.diagnostic_tree is None:
        return content
    named = tree.model_copy(update={"tree_id": base.diagnostic_tree.tree_id})
    return content.model_copy(update={"diagnostic_tree": named})


async def get(proposal_id: str) -> CardProposal:
    """Raises NotFound, also for somebody else's unless the caller is an expert or admin."""
    proposal = await CardProposal.find_one({"_id": proposal_id})
    actor = current_actor()
    if proposal is None or not (is_curator(actor) or proposal.proposer_id == actor.id):
        raise NotFound.of("proposal", proposal_id)
    return proposal


async def list_proposals(
    *,
    card_id: str | None = None,
    flag_id: str | None = None,
    status: ProposalStatus | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[CardProposal]:
    """Newest first; experts and admins see all, others their own."""
    actor = current_actor()
    wanted = {"card_id": card_id, "flag_id": flag_id, "status": status}
    wanted["proposer_id"] = None if is_curator(actor) else actor.id
    query = {name: value for name, value in wanted.items() if value is not None}
    first, rest = by_index(query, ("proposer_id", "flag_id", "card_id", "status"))
    return await page(CardProposal, first, also=rest, limit=limit, after=after)


async def compare(proposal: CardProposal) -> Comparison:
    """What accepting the proposal would mean today."""
    card, base = await flags.present_card(proposal.card_id), await _base(proposal)
    present = content_of(card)
    if not _moved_on(proposal, card):
        return Comparison(card.version, differences(present, proposal.content), False, [], [])
    return Comparison(
        card.version,
        differences(present, proposal.content),
        True,
        three_way(base, present, proposal.content),
        conflicts(base, present, proposal.content),
    )


async def accept(
    proposal: CardProposal, *, content: CardContent | None = None, edition: int | None = None, reason: str = ""
) -> tuple[CardProposal, FailureCard]:
    """Make the proposal the card's next version, credited to who proposed it, and settle its flag by it.

    `content` is what an expert made out of the proposal and the present card. Without it the proposal's own changes are
    carried over to the card as it is. Raises Forbidden, ProposalDecided, Stale, CardMovedOn where both changed the same
    field, Invalid, and CardDeprecated.
    """
    _require_curator()
    _require_open(proposal)
    card = await flags.present_card(proposal.card_id)
    cards.require_edition(card, edition)
    wanted = content or await _carried_over(proposal, card)
    async with transaction():
        edited = await cards.edit(
            card, wanted, edition=card.edition, summary=proposal.reason, proposed_by=proposal.proposed_by
        )
        if edited.version == card.version:
            raise Conflict("The card says so already: decline the proposal, or settle its flag.")
        # First, so that settling the flag does not take it for overtaken.
        decided = await _decide(proposal, ProposalStatus.accepted, reason, edited.version)
        await flags.resolve(await flags.get(proposal.flag_id), edited.version, reason or proposal.reason)
        await _tell(edited, decided, "proposal_accepted", reason)
        return decided, await flags.present_card(card.id)


async def combined(proposal: CardProposal, keep: Collection[str]) -> CardContent:
    """The present card with what the proposal changes, but for the disputed fields named in `keep`: these stay as the
    card has them. Raises Invalid if the two do not go together."""
    present, base = content_of(await flags.present_card(proposal.card_id)), await _base(proposal)
    kept = {name: getattr(present, name) for name in conflicts(base, present, proposal.content) if name in keep}
    return carried_over(base, present, proposal.content.model_copy(update=kept))


async def decline(proposal: CardProposal, reason: str) -> CardProposal:
    """Turn a proposal down; its flag stays open. Raises Forbidden, ProposalDecided."""
    _require_curator()
    _require_open(proposal)
    async with transaction():
        decided = await _decide(proposal, ProposalStatus.declined, reason)
        await _tell(await flags.present_card(proposal.card_id), decided, "proposal_declined", reason)
    return decided


async def withdraw(proposal: CardProposal) -> CardProposal:
    """Take one's own proposal back. Raises Forbidden, ProposalDecided."""
    if proposal.proposer_id != current_actor().id:
        raise Forbidden("Only who proposed it takes it back; an expert can decline it.")
    _require_open(proposal)
    return await _decide(proposal, ProposalStatus.withdrawn, "")


async def _carried_over(proposal: CardProposal, card: FailureCard) -> CardContent:
    if not _moved_on(proposal, card):
        return proposal.content
    base, present = await _base(proposal), content_of(card)
    disputed: Sequence[str] = conflicts(base, present, proposal.content)
    if disputed or proposal.base_card_id != card.id:
        # Two cards that were merged have no version in common: whatever they say, an expert must have read both.
        raise CardMovedOn(
            f"{card.id} is at version {card.version}; the proposal was made out of version {proposal.base_version}. "
            "Send the content that is to stand.",
            fields=disputed,
            base_version=proposal.base_version,
            present_version=card.version,
        )
    return carried_over(base, present, proposal.content)


def _moved_on(proposal: CardProposal, card: FailureCard) -> bool:
    return (proposal.base_card_id, proposal.base_version) != (card.id, card.version)


async def _base(proposal: CardProposal) -> CardContent:
    return (await versions.get_version(proposal.base_card_id, proposal.base_version)).content


async def _decide(
    proposal: CardProposal, status: ProposalStatus, reason: str, version: int | None = None
) -> CardProposal:
    return await update(
        proposal,
        {
            "status": status,
            "decided_by": ActorRef.current(),
            "decided_at": clock.now(),
            "decision_reason": reason,
            "resulting_version": version,
        },
    )


def _require_curator() -> None:
    if not is_curator(current_actor()):
        raise Forbidden("Experts and admins decide about proposals.")


def _require_open(proposal: CardProposal) -> None:
    if proposal.status is not ProposalStatus.open:
        raise ProposalDecided(f"{proposal.id} is {proposal.status} already.", decision=proposal.status)


async def _tell(card: FailureCard, proposal: CardProposal, change: str, reason: str) -> None:
    await record(
        CardUpdated(
            card_id=card.id,
            version=card.version,
            changed_fields=[],
            change=change,
            reason=reason,
            flag_id=proposal.flag_id,
            proposal_id=proposal.id,
        ),
        site_id=card.source_garage_id,
    )
