"""Stored documents in the words of the matching engine."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from matching import CardRecord, Case, Relation, SignatureFields, Symptom, Vehicle, VehicleRange
from models.enums import CreationMethod, NodeType, RelationType, SubsystemCategory, TicketCategory
from models.ticket import Ticket

Document = Mapping[str, Any]

CARD_FIELDS = (
    "title", "version", "revision", "status", "description", "subsystem_category", "failure_mode", "symptom_text",
    "symptoms", "symptom_codes", "error_codes", "root_cause", "secondary_causes", "resolution_summary",
    "resolution_steps", "required_parts", "keywords",
    "vehicle_models", "universal_failure", "failure_signature", "signature_hash", "effectiveness_score",
    "confidence_score", "confidence_level", "evidence_low", "evidence_n", "usage_count", "failure_conditions",
    "updated_at",
)  # fmt: skip
"""What the index needs of a card: a small part of it, so that a start with many cards stays quick."""

GRAPH_NODES = frozenset({NodeType.symptom, NodeType.failure_card, NodeType.part})
"""Vehicles and subsystems have channels of their own; as nodes they would connect everything with everything."""
_CONFIRMED = frozenset({RelationType.causes, RelationType.resolves})

SUBSYSTEM_OF = {
    TicketCategory.battery: SubsystemCategory.battery,
    TicketCategory.motor: SubsystemCategory.motor,
    TicketCategory.charging: SubsystemCategory.charger,
    TicketCategory.electrical: SubsystemCategory.low_voltage,
    TicketCategory.mechanical: SubsystemCategory.mechanical,
    TicketCategory.brakes: SubsystemCategory.brakes,
    TicketCategory.thermal: SubsystemCategory.thermal,
    TicketCategory.software: SubsystemCategory.firmware,
    TicketCategory.body: SubsystemCategory.body,
}
"""The subsystem that a ticket's category points to; `other` points nowhere."""


STATE_BITS, TIME_BITS = 63, 42
"""Of a state's number, and of the milliseconds since 1970 in it: enough until 2109, and for two million writes."""


def state_number(card: Document) -> int:
    """Orders the states of a stored card: by its revision, then by the time of the write.

    The revision alone does not tell them apart: a card restored from a backup and written again comes by a revision
    once more.
    """
    written = int(card["updated_at"].timestamp() * 1000)
    return (card["revision"] << TIME_BITS | written) & ((1 << STATE_BITS) - 1)


def card_record(card: Document) -> CardRecord:
    """A card as the index holds it, from its stored form (at least CARD_FIELDS)."""
    return CardRecord(
        card_id=card["_id"],
        title=card["title"],
        version=card["version"],
        revision=state_number(card),
        status=card["status"],
        description=card["description"],
        subsystem=card["subsystem_category"],
        failure_mode=card["failure_mode"],
        symptom_text=card["symptom_text"],
        symptom_phrases=tuple(symptom["description"] for symptom in card["symptoms"]),
        symptom_codes=tuple(card["symptom_codes"]),
        error_codes=tuple(card["error_codes"]),
        root_cause="\n".join(filter(None, (card["root_cause"], *card["secondary_causes"]))),
        resolution=card["resolution_summary"] or "\n".join(step["action"] for step in card["resolution_steps"]),
        components=tuple(part["part_name"] for part in card["required_parts"]),
        keywords=tuple(card["keywords"]),
        vehicles=tuple(_vehicle_range(vehicle) for vehicle in card["vehicle_models"]),
        universal=card["universal_failure"],
        signature=_signature(card["failure_signature"]),
        signature_hash=card["signature_hash"] or None,
        effectiveness=card["effectiveness_score"],
        confidence_score=card["confidence_score"],
        confidence_level=card["confidence_level"],
        # Without outcomes the interval says nothing of this card: no evidence is not bad evidence.
        evidence_lower=card["evidence_low"] if card["evidence_n"] > 0 else None,
        usage_count=card["usage_count"],
        conditions=tuple(
            " ".join(filter(None, (condition["condition"], condition["value"], condition["unit"])))
            for condition in card["failure_conditions"]
        ),
    )


def _vehicle_range(vehicle: Document) -> VehicleRange:
    return VehicleRange(
        make=vehicle["make"],
        model=vehicle["model"] or None,
        year_from=vehicle["year_from"],
        year_to=vehicle["year_to"],
        variants=tuple(vehicle["variants"]),
        firmware=tuple(vehicle["firmware_versions"]),
        vehicle_type=vehicle["vehicle_type"],
    )


def _signature(signature: Document | None) -> SignatureFields | None:
    if not signature or not signature["signature_hash"]:
        return None
    return SignatureFields(
        primary_symptoms=tuple(signature["primary_symptoms"]),
        error_codes=tuple(signature["error_codes"]),
        subsystem=signature["subsystem"],
        failure_mode=signature["failure_mode"],
        temperature_range=signature["temperature_range"],
        humidity_range=signature["humidity_range"],
        load_condition=signature["load_condition"],
        mileage_range=signature["mileage_range"],
        vehicle_age_months=signature["vehicle_age_months"],
        occurrence_pattern=signature["occurrence_pattern"],
        time_of_day_pattern=signature["time_of_day_pattern"],
    )


def library_symptom(symptom: Document) -> Symptom:
    return Symptom(symptom["symptom_code"], symptom["name"], tuple(symptom["synonyms"]))


def walked(relation: Document) -> bool:
    """Whether the graph channel walks this edge. What repairs confirm (`causes`, `resolves`) is there a second time,
    the other way round, as `indicates` and `requires`: once is enough."""
    twice = relation["creation_method"] != CreationMethod.manual and relation["relation_type"] in _CONFIRMED
    return {relation["source_type"], relation["target_type"]} <= GRAPH_NODES and not twice


def graph_relation(relation: Document) -> Relation | None:
    """An edge as the graph channel walks it, None for one that it does not or that has ended."""
    if not walked(relation) or relation.get("ended_at") is not None:
        return None
    return Relation(
        source=relation["source_id"],
        target=relation["target_id"],
        kind=relation["relation_type"],
        weight=relation["weight"],
        evidence=relation["evidence_count"],
        bidirectional=relation["bidirectional"],
    )


def ticket_case(ticket: Ticket) -> Case:
    """What a ticket complains of (specification, §4.3: title and description together)."""
    return Case(
        text=f"{ticket.title}. {ticket.description}".strip(),
        error_codes=tuple(ticket.error_codes_reported),
        vehicle=Vehicle(
            make=ticket.vehicle_make or None,
            model=ticket.vehicle_model or None,
            year=ticket.vehicle_year,
            firmware=ticket.vehicle_firmware or None,
            vehicle_type=ticket.vehicle_type,
        ),
        mileage_km=ticket.vehicle_mileage_km,
        vehicle_age_months=age_months(ticket.vehicle_year, ticket.created_at),
        subsystem=SUBSYSTEM_OF.get(ticket.category),
    )


def age_months(model_year: int | None, at: datetime) -> int | None:
    """Age of a vehicle, taken to have been new in the middle of its model year."""
    return None if model_year is None else max(0, 12 * (at.year - model_year) + at.month - 7)
