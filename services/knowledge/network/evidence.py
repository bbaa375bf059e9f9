"""Others' shares in the evidence of our cards, as they come in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from models.failure_card import FailureCard
from models.learning import CardEvidence
from models.network import CardLineage, CardShare, ShareContent
from services.knowledge.confidence import HISTORY_KEPT
from services.knowledge.evidence_rows import half_life
from services.knowledge.learning import Decayed
from services.knowledge.network import identity, shares
from services.knowledge.network.publishing import lineages_of, number, share_of, write
from services.knowledge.network.taken import Taken
from services.writing import insert_many, update


async def rekeyed(local: Mapping[str, str]) -> dict[str, list[CardShare]]:
    """The shares that came before their cards, filed under the ids that the cards have got here."""
    found = await shares.of_cards(list(local))
    for network_id, early in found.items():
        if local[network_id] == network_id:
            continue
        collection = CardShare.get_pymongo_collection()
        await collection.delete_many({"card_id": network_id})
        await insert_many([share_of(share, local[network_id], share, own=share.own) for share in early])
    return defaultdict(list, {local[network_id]: early for network_id, early in found.items()})


async def take_evidence(taken: Taken, items: list[ShareContent]) -> None:
    """Others' shares replace the states of theirs that we had, and the cards are reckoned anew."""
    concerned = {item.network_id for item in items} | taken.rebased
    if not concerned:
        return
    node = (await identity.own()).node_id
    lineages = await lineages_of(concerned)
    place = {network_id: network_id for network_id in concerned}
    place |= {network_id: lineage.card_id for network_id, lineage in lineages.items()}
    known = await shares.of_cards(sorted(set(place.values())))
    changed: list[CardShare] = []
    after = {card_id: {share.origin: share for share in known[card_id]} for card_id in place.values()}
    for item in items:
        card_id = place[item.network_id]
        before = after[card_id].get(item.origin)
        if before is not None and before.stamp >= item.stamp:
            continue
        own = item.origin == node
        if own:
            # Our store was set back to an earlier state: only we know our share, and it must count as the newer one.
            if before is None:
                continue
            item = before.model_copy(update={"stamp": item.stamp + 1})
        share = share_of(item, card_id, before, own=own)
        after[card_id][item.origin] = share
        changed.append(share)
    reckoned = {share.card_id for share in changed if not share.own} | {place[one] for one in taken.rebased}
    await _reckon(taken, lineages, known, after, reckoned)
    stored = {share.id for some in known.values() for share in some}
    await number(changed)
    await write(CardShare, changed, stored)


async def _reckon(
    taken: Taken,
    lineages: Mapping[str, CardLineage],
    before: Mapping[str, Sequence[CardShare]],
    after: Mapping[str, Mapping[str, CardShare]],
    card_ids: set[str],
) -> None:
    bases = {lineage.card_id: lineage.base_score for lineage in lineages.values()}
    cards = await cards_by_id(card_ids & bases.keys())
    rows = await CardEvidence.find({"_id": {"$in": [f"{card_id}|{shares.POOLED}" for card_id in cards]}}).to_list()
    pooled = {row.card_id: Decayed(row.as_of, row.successes, row.failures, row.rejections) for row in rows}
    for card_id, card in cards.items():
        old = [share for share in before[card_id] if not share.own]
        new = [share for _, share in sorted(after[card_id].items()) if not share.own]
        changes = shares.restated(card, bases[card_id], pooled.get(card_id), old, new, half_life())
        line = shares.score_line(card, changes, f"outcomes at other services, from {taken.peer.name}")
        push = {"confidence_history": {"$each": [line], "$slice": -HISTORY_KEPT}} if line else None
        await update(card, changes, push=push)
        taken.card_ids.add(card_id)


async def cards_by_id(card_ids: Iterable[str]) -> dict[str, FailureCard]:
    wanted = sorted(card_ids)
    found = await FailureCard.find({"_id": {"$in": wanted}}).to_list() if wanted else []
    return {card.id: card for card in found}
