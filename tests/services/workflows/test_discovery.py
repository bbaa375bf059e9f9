"""A failure that nobody had described: draft, review, approval, and the next ticket finds it."""

from app.security import acting_as
from models.enums import (
    FailureCardStatus,
    FailureMode,
    NodeType,
    ReviewStatus,
    SourceType,
    SubsystemCategory,
)
from models.event import EfiEvent, EventReceipt, EventType
from models.failure_card import FailureCard, Review
from models.knowledge_relation import KnowledgeRelation
from models.notification import Notification
from services.knowledge import lifecycle
from tests.services.workflows.conftest import DISCOVERY, Workshop


async def test_a_discovery_becomes_a_draft_that_waits_for_an_expert_and_then_is_found(workshop: Workshop, seeing: None):
    ticket = await workshop.ticket(
        "Scooter stops charging",
        description="Charging breaks off when it rains.",
        vehicle_make="Ather",
        vehicle_model="450X",
        vehicle_mileage_km=18500,
        vehicle_firmware="7.1",
        error_codes_reported=["P0D26"],
        priority="high",
    )
    action = await workshop.action(ticket, **DISCOVERY)
    await workshop.settle()

    draft = await FailureCard.find_one({"source_action_id": action.id})
    assert draft is not None
    assert draft.title == "[DRAFT] Charging port latch sensor corroded by water"
    assert (draft.status, draft.source_type) == (FailureCardStatus.draft, SourceType.field_discovery)
    assert (draft.confidence_score, draft.confidence_level) == (0.3, "low")
    assert (draft.source_ticket_id, draft.source_garage_id, draft.created_by) == (
        ticket.id,
        workshop.site.id,
        workshop.technician.id,
    )
    assert "green deposit on the sensor pins" in draft.description
    assert "resistance at latch sensor pins 1-2: 2.4 MΩ" in draft.description
    assert draft.root_cause == DISCOVERY["new_failure_root_cause"]
    assert [step.action for step in draft.resolution_steps] == DISCOVERY["resolution_steps_followed"]
    assert sum(step.duration_minutes for step in draft.resolution_steps) == 45
    assert [step.action for step in draft.verification_steps] == ["Measure the sensor with the plug locked"]
    assert [(part.part_name, part.part_number) for part in draft.required_parts] == [
        ("Latch sensor", "LS-20"),
        ("Gasket", ""),
    ]
    assert draft.symptom_codes == ["SYM_CHRG_001"]
    assert draft.subsystem_category == SubsystemCategory.charger
    assert draft.failure_mode == FailureMode.degradation
    assert draft.severity == "high"
    assert draft.error_codes == ["P0D26"]
    assert draft.signature_hash.startswith("s1:")
    assert {"latch", "sensor"} <= set(draft.keywords)
    (vehicle,) = draft.vehicle_models
    assert (vehicle.make, vehicle.model, vehicle.year_from) == ("Ather", "450X", None)
    assert {(c.condition, c.value) for c in draft.failure_conditions} == {
        ("mileage", "18500"),
        ("firmware version", "7.1"),
    }

    edges = await KnowledgeRelation.find({"$or": [{"source_id": draft.id}, {"target_id": draft.id}]}).to_list()
    assert {edge.source_type for edge in edges} | {edge.target_type for edge in edges} == set(NodeType)
    review = await Review.find_one({"card_id": draft.id})
    assert review is not None
    assert (review.status, review.open, review.source_ticket_id) == (ReviewStatus.waiting, True, ticket.id)
    told = await Notification.find({"dedupe_key": f"{review.id}:waiting"}).to_list()
    assert {message.user_id for message in told} == {workshop.expert.id, workshop.second_expert.id}
    assert "[DRAFT]" in told[0].subject

    next_ticket = await workshop.ticket("Latch sensor corroded, scooter stops charging")
    await workshop.settle()
    assert draft.id not in (await workshop.fresh(next_ticket)).suggested_failure_cards
    with acting_as(workshop.expert):
        await lifecycle.decide(review, ReviewStatus.approved, "good find")
    next_ticket = await workshop.ticket("Latch sensor corroded, scooter stops charging")
    await workshop.settle()
    assert (await workshop.fresh(next_ticket)).suggested_failure_cards[0] == draft.id
    assert await Notification.find_one({"user_id": workshop.technician.id, "subject": {"$regex": "^Approved"}})


async def test_a_discovery_delivered_twice_makes_one_draft(workshop: Workshop, seeing: None):
    ticket = await workshop.ticket()
    action = await workshop.action(ticket, **DISCOVERY)
    await workshop.settle()
    discovered = await EfiEvent.find_one({"event_type": EventType.failure_discovered})
    assert discovered is not None
    # Even without a receipt, as when a handler was renamed meanwhile.
    await EventReceipt.find({"event_id": discovered.id}).delete()
    await workshop.processor._handle(discovered, {}, [])
    assert await FailureCard.find({"source_action_id": action.id}).count() == 1
    assert await Review.find().count() == 1


async def test_a_bare_discovery_is_drafted_too(workshop: Workshop, seeing: None):
    ticket = await workshop.ticket("Something", category="motor")
    await workshop.action(ticket, new_failure_discovered=True, new_failure_description="Odd")
    await workshop.settle()
    draft = await FailureCard.find_one({"source_ticket_id": ticket.id})
    assert draft is not None
    assert draft.title == "[DRAFT] Odd"
    assert draft.root_cause == "Under investigation"
    assert [step.action for step in draft.resolution_steps] == ["Resolution pending"]
    assert draft.subsystem_category == SubsystemCategory.motor
    assert not draft.vehicle_models


async def test_the_author_hears_why_a_draft_was_sent_back(workshop: Workshop, seeing: None):
    ticket = await workshop.ticket()
    action = await workshop.action(ticket, **DISCOVERY)
    await workshop.settle()
    draft = await FailureCard.find_one({"source_action_id": action.id})
    assert draft is not None
    with acting_as(workshop.expert):
        await lifecycle.reject(draft, "Which gasket? Please add a photo.")
    await workshop.settle()
    message = await Notification.find_one({"user_id": workshop.technician.id})
    assert message is not None
    assert message.subject.startswith("Sent back: ")
    assert message.body == "Which gasket? Please add a photo."


async def test_an_abbreviation_does_not_end_the_title(workshop: Workshop, seeing: None):
    ticket = await workshop.ticket("Throttle dead")
    found = "Magnet sits 2.5 mm too low, approx. half, says Mr. Ramesh Kumar. It came loose."
    await workshop.action(ticket, new_failure_discovered=True, new_failure_description=found)
    await workshop.settle()
    draft = await FailureCard.find_one({"source_ticket_id": ticket.id})
    assert draft is not None
    assert draft.title == "[DRAFT] Magnet sits 2.5 mm too low, approx. half, says Mr. […]"
