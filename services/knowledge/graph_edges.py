"""Which edges events make, strengthen and weaken.

Stated by a card, as long as it says so:  symptom —indicates→ card, card —requires→ part, card —affects→ subsystem,
vehicle —has_failure→ card. Confirmed by repairs that worked: card —causes→ symptom, part —resolves→ card. Found by
comparing cards: card —similar_to→ card. Every function here belongs in the caller's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app import clock
from models.enums import CreationMethod, FailureCardStatus, NodeType, RelationType
from models.failure_card import FailureCard
from models.knowledge_relation import EdgeSighting, GraphObservation, KnowledgeRelation, RelationContent
from models.symptom import Symptom
from models.ticket import Ticket
from services.knowledge import relations
from services.knowledge.edge_weights import APPROVED_WEIGHT, DRAFT_WEIGHT
from services.knowledge.nodes import Node, part_key, vehicle_key
from services.knowledge.relations import Change, EdgeKey, key_of
from services.knowledge.survivors import survivors
from services.writing import update

SUCCESSOR_WEIGHT = 0.5
"""Of the edge from a deprecated card to the one that replaces it."""

Labelled = tuple[Node, str]


async def link_card(card: FailureCard) -> int:
    """Make the graph say what the card states now; returns how many edges changed.

    New statements become edges, an approved card's stronger than a draft's. What is no longer stated fades if repairs
    have shown it, and ends if none has. A deprecated card's edges end; one leads on to its successor. Says the same
    however often it is called.
    """
    wanted = {key_of(edge): edge for edge in await _stated_by(card)}
    existing = {key_of(edge): edge for edge in await relations.edges_at(card.id)}
    changes = [relations.restated(existing[key], edge) for key, edge in wanted.items() if key in existing]
    over = card.status is FailureCardStatus.deprecated
    for key, edge in existing.items():
        if key in wanted or edge.ended_at:
            continue
        if over and not _leads_here(edge, card):
            changes.append(relations.ended(edge))
        elif edge.stated and edge.relation_type in _STATED and edge.creation_method is not CreationMethod.manual:
            changes.append(relations.unstated(edge))
    fresh = [
        relations.new_edge(edge, CreationMethod.inferred, stated=True)
        for key, edge in wanted.items()
        if key not in existing
    ]
    return await relations.write(changes, fresh)


_STATED = frozenset({RelationType.indicates, RelationType.requires, RelationType.affects, RelationType.has_failure})


def _leads_here(edge: KnowledgeRelation, card: FailureCard) -> bool:
    """From a card that this one has replaced."""
    return edge.relation_type is RelationType.similar_to and edge.target_id == card.id and not edge.bidirectional


async def _stated_by(card: FailureCard) -> list[RelationContent]:
    itself = (Node(NodeType.failure_card, card.id), card.title)
    if card.status is FailureCardStatus.deprecated:
        return [_successor(itself, successor)] if (successor := await _successor_of(card)) else []
    weight = APPROVED_WEIGHT if card.status is FailureCardStatus.approved else DRAFT_WEIGHT
    confidence = card.confidence_score
    said = {symptom.symptom_code: symptom.description for symptom in card.symptoms if symptom.symptom_code}
    names = said | await _symptom_names(card.symptom_codes)
    subsystem = card.subsystem_category
    edges = [
        _edge((Node(NodeType.symptom, code), names.get(code, code)), RelationType.indicates, itself)
        for code in card.symptom_codes
    ]
    edges += [
        _edge(itself, RelationType.requires, _part(part.part_name, part.part_number)) for part in card.required_parts
    ]
    edges.append(
        _edge(itself, RelationType.affects, (Node(NodeType.subsystem, subsystem), subsystem.replace("_", " ")))
    )
    edges += [
        _edge(_vehicle(vehicle.make, vehicle.model), RelationType.has_failure, itself)
        for vehicle in card.vehicle_models
    ]
    return [edge.model_copy(update={"weight": weight, "confidence": confidence}) for edge in edges]  # fmt: skip


async def _successor_of(card: FailureCard) -> FailureCard | None:
    return await FailureCard.find_one({"_id": card.successor_id}) if card.successor_id else None


def _successor(itself: Labelled, successor: FailureCard) -> RelationContent:
    replaced = (Node(NodeType.failure_card, successor.id), successor.title)
    edge = _edge(itself, RelationType.similar_to, replaced)
    return edge.model_copy(update={"weight": SUCCESSOR_WEIGHT, "confidence": successor.confidence_score})


async def _symptom_names(codes: Iterable[str]) -> dict[str, str]:
    wanted = sorted(set(codes))
    found = await Symptom.find({"symptom_code": {"$in": wanted}}).to_list() if wanted else []
    return {symptom.symptom_code: symptom.name for symptom in found}


async def relate_similar(card: FailureCard, similar: Mapping[str, float]) -> int:
    """See to it that the card's edges to near duplicates are those to `similar`: similarity by card id.

    An edge that repeats what was found before stays; of what was found before and is not any more the edge ends.
    """
    others = await FailureCard.find({"_id": {"$in": sorted(similar)}}).to_list() if similar else []
    wanted = {key_of(edge): edge for edge in (_similar(card, other, similar[other.id]) for other in others)}
    existing = {
        key_of(edge): edge
        for edge in await relations.edges_at(card.id)
        if edge.relation_type is RelationType.similar_to and edge.creation_method is not CreationMethod.manual
    }
    changes = [relations.restated(existing[key], edge) for key, edge in wanted.items() if key in existing]
    changes += [
        relations.unstated(edge)
        for key, edge in existing.items()
        if key not in wanted and edge.bidirectional and not edge.ended_at
    ]
    fresh = [
        relations.new_edge(edge, CreationMethod.inferred, stated=True)
        for key, edge in wanted.items()
        if key not in existing
    ]
    return await relations.write(changes, fresh)


def _similar(card: FailureCard, other: FailureCard, similarity: float) -> RelationContent:
    # From the older to the newer: the same edge whichever of them is looked at.
    first, second = sorted((card, other), key=lambda one: one.id)
    edge = _edge(
        (Node(NodeType.failure_card, first.id), first.title),
        RelationType.similar_to,
        (Node(NodeType.failure_card, second.id), second.title),
    )
    # A sum of many terms differs in its last digits from run to run, which is no change.
    weight = round(similarity, 3)
    return edge.model_copy(update={"weight": weight, "confidence": weight, "bidirectional": True})


@dataclass(frozen=True, slots=True)
class CardUse:
    """How one card did in a passage, and the parts (name, number) that were fitted by it."""

    card_id: str
    worked: bool
    parts: Sequence[tuple[str, str]] = ()


async def observe_passage(ticket: Ticket, number: int, uses: Sequence[CardUse], occurred_at: datetime) -> int:
    """Count what a passage of a ticket says about edges; returns their number.

    A repair that worked speaks for every edge between the card and what was there (symptoms, vehicle, parts fitted,
    subsystem), and makes those that are new. One that did not speaks against those that pointed there. Counts once per
    ticket and passage.
    """
    identifier = f"{ticket.id}|{number}"
    if not uses or await GraphObservation.find_one({"_id": identifier}) is not None:
        return 0
    cards = {
        card.id: card for card in await FailureCard.find({"_id": {"$in": [use.card_id for use in uses]}}).to_list()
    }
    names = await _symptom_names(ticket.symptom_codes)
    changes: list[Change] = []
    fresh: list[KnowledgeRelation] = []
    sightings: list[EdgeSighting] = []
    for use in uses:
        if (card := cards.get(use.card_id)) is None:
            continue
        edges = {key_of(edge): edge for edge in _shown_by(use, card, ticket, names)}
        stored = await relations.find(edges)
        if use.worked and card.status is not FailureCardStatus.deprecated:
            missing = [edges[key] for key in edges.keys() - stored.keys()]
            new = [relations.new_edge(edge, CreationMethod.inferred, stated=False) for edge in missing]
            fresh += [relations.applied(relations.observed(edge, occurred_at, support=1)) for edge in new]
            sightings += [EdgeSighting(relation_id=edge.id, card_id=card.id, worked=True) for edge in new]
        for edge in stored.values():
            changes.append(relations.observed(edge, occurred_at, support=int(use.worked), doubt=int(not use.worked)))
            sightings.append(EdgeSighting(relation_id=edge.id, card_id=card.id, worked=use.worked))
    await GraphObservation(id=identifier, occurred_at=occurred_at, sightings=sightings).insert()
    return await relations.write(changes, fresh)


async def take_back(ticket_id: str, number: int) -> int:
    """A revisit showed that the passage had not solved the problem: what it said for edges counts against them.

    Returns the number of edges, 0 if there is nothing left to take back.
    """
    seen = await GraphObservation.find_one({"_id": f"{ticket_id}|{number}"})
    worked = [sighting.relation_id for sighting in seen.sightings if sighting.worked] if seen else []
    if seen is None or seen.taken_back_at is not None or not worked:
        return 0
    await update(seen, {"taken_back_at": clock.now()})
    edges = await _present(worked)
    return await relations.write(relations.observed(edge, seen.occurred_at, support=-1, doubt=1) for edge in edges)


async def _present(relation_ids: Sequence[str]) -> list[KnowledgeRelation]:
    """These edges, each replaced by the one that carries it on, if its card has been merged since."""
    found: dict[str, KnowledgeRelation] = {}
    wanted = set(relation_ids)
    while wanted:
        batch = await KnowledgeRelation.find({"_id": {"$in": sorted(wanted)}}).to_list()
        found |= {edge.id: edge for edge in batch if edge.moved_to is None}
        wanted = {edge.moved_to for edge in batch if edge.moved_to is not None} - found.keys()
    return list(found.values())


async def take_over(former_id: str, card: FailureCard) -> int:
    """Let the edges of a card that was merged into `card` begin and end there, with what they have learnt.

    What the survivor states follows from its new version (`link_card`); edges between both cards end. Returns the
    number of edges. Belongs in the transaction of the merge.
    """
    carrying = {key_of(edge): edge for edge in await relations.edges_at(card.id)}
    stored = {edge.id for edge in carrying.values()}
    taken: dict[str, Change] = {}
    changes: list[Change] = []
    moving = [edge for edge in await relations.edges_at(former_id) if edge.moved_to is None]
    for edge in moving:
        content = _in_place(edge, former_id, card)
        changes.append(over := relations.ended(edge))
        if content.source_id == content.target_id or (edge.ended_at and not edge.evidence_count):
            continue
        by_hand = edge.creation_method is CreationMethod.manual
        key = key_of(content)
        if key not in carrying:
            carrying[key] = relations.new_edge(content, edge.creation_method, stated=by_hand)
        taken[carrying[key].id] = change = relations.absorbed(carrying[key], edge)
        carrying[key] = relations.applied(change)
        changes[-1] = Change(edge, {**over.fields, "moved_to": carrying[key].id})
    absorbing = [edge for edge in carrying.values() if edge.id in taken]
    changes += [_as_it_is(edge) for edge in absorbing if edge.id in stored]
    await relations.write(changes, [edge for edge in absorbing if edge.id not in stored])
    return len(moving)


def _in_place(edge: KnowledgeRelation, former_id: str, card: FailureCard) -> RelationContent:
    """The edge's content with `card` in the place of the former one."""
    content = RelationContent.model_validate(edge.model_dump(include=set(RelationContent.model_fields)))
    ends = [end for end in ("source", "target") if getattr(edge, f"{end}_id") == former_id]
    changes = {f"{end}_id": card.id for end in ends} | {f"{end}_label": card.title for end in ends}
    return content.model_copy(update={**changes, "weight": edge.base_weight, "confidence": edge.base_confidence})


def _as_it_is(edge: KnowledgeRelation) -> Change:
    """All that absorbing others has changed in a stored edge."""
    return Change(edge, edge.model_dump(include=_LEARNT))


_LEARNT = {
    "evidence_count", "counter_count", "support", "doubt", "as_of", "weight", "confidence", "rank", "refresh_at",
    "last_observed", "ended_at", "ends",
}  # fmt: skip


async def doubt(ticket: Ticket, card_ids: Iterable[str], occurred_at: datetime) -> int:
    """Cards were considered for this ticket and ruled out: its symptoms and vehicle point to them less.

    Returns the number of edges. Not idempotent by itself: call it under the receipt of the event.
    """
    ruled_out = set(card_ids)
    present = await survivors(ruled_out)
    keys = [
        EdgeKey(source.type, source.id, relation, NodeType.failure_card, card_id)
        for card_id in sorted({present.get(card_id, card_id) for card_id in ruled_out})
        for source, relation in _pointing(ticket)
    ]
    stored = await relations.find(keys)
    return await relations.write(relations.observed(edge, occurred_at, doubt=1) for edge in stored.values())


def _pointing(ticket: Ticket) -> Iterable[tuple[Node, RelationType]]:
    for code in ticket.symptom_codes:
        yield Node(NodeType.symptom, code), RelationType.indicates
    if ticket.vehicle_make:
        yield _vehicle(ticket.vehicle_make, ticket.vehicle_model)[0], RelationType.has_failure


def _shown_by(use: CardUse, card: FailureCard, ticket: Ticket, names: Mapping[str, str]) -> Iterable[RelationContent]:
    """The edges that a use of the card speaks about. A failed repair says nothing of which parts and subsystem the
    failure, had it been this one, would have involved."""
    itself = (Node(NodeType.failure_card, card.id), card.title)
    for code in ticket.symptom_codes:
        symptom = (Node(NodeType.symptom, code), names.get(code, code))
        yield _edge(symptom, RelationType.indicates, itself)
        yield _edge(itself, RelationType.causes, symptom)
    if ticket.vehicle_make:
        yield _edge(_vehicle(ticket.vehicle_make, ticket.vehicle_model), RelationType.has_failure, itself)
    for name, number in use.parts:
        yield _edge(_part(name, number), RelationType.resolves, itself)
        if use.worked:
            yield _edge(itself, RelationType.requires, _part(name, number))
    if use.worked:
        subsystem = card.subsystem_category
        yield _edge(itself, RelationType.affects, (Node(NodeType.subsystem, subsystem), subsystem.replace("_", " ")))


def _part(name: str, number: str) -> Labelled:
    return Node(NodeType.part, part_key(name, number)), name


def _vehicle(make: str, model: str) -> Labelled:
    return Node(NodeType.vehicle, vehicle_key(make, model)), f"{make} {model}".strip()[:200]


def _edge(source: Labelled, relation: RelationType, target: Labelled) -> RelationContent:
    return RelationContent(
        source_type=source[0].type,
        source_id=source[0].id,
        source_label=source[1],
        relation_type=relation,
        target_type=target[0].type,
        target_id=target[0].id,
        target_label=target[1],
    )
