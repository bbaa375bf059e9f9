"""The closed vocabularies of the domain. Values are what stands in documents and on the wire."""

from enum import StrEnum


class FailureCardStatus(StrEnum):
    draft = "draft"
    pending_review = "pending_review"
    approved = "approved"
    deprecated = "deprecated"


class SubsystemCategory(StrEnum):
    battery = "battery"
    bms = "bms"
    motor = "motor"
    controller = "controller"
    inverter = "inverter"
    charger = "charger"
    charging_port = "charging_port"
    dc_dc = "dc_dc"
    low_voltage = "low_voltage"
    hv_isolation = "hv_isolation"
    contactor = "contactor"
    wiring = "wiring"
    thermal = "thermal"
    brakes = "brakes"
    regen = "regen"
    drivetrain = "drivetrain"
    suspension = "suspension"
    steering = "steering"
    wheels = "wheels"
    body = "body"
    restraints = "restraints"
    lighting = "lighting"
    display = "display"
    telematics = "telematics"
    firmware = "firmware"
    mechanical = "mechanical"
    fuel_system = "fuel_system"
    engine = "engine"
    other = "other"


class FailureMode(StrEnum):
    complete_failure = "complete_failure"
    intermittent = "intermittent"
    degradation = "degradation"
    erratic = "erratic"
    overheating = "overheating"
    short_circuit = "short_circuit"
    open_circuit = "open_circuit"
    leakage = "leakage"
    noise_vibration = "noise_vibration"
    communication_loss = "communication_loss"
    false_reading = "false_reading"
    physical_damage = "physical_damage"


class Severity(StrEnum):
    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"


class ConfidenceLevel(StrEnum):
    low = "low"
    medium = "medium"
    high = "high"
    verified = "verified"


class SourceType(StrEnum):
    field_discovery = "field_discovery"
    oem_input = "oem_input"
    internal_analysis = "internal_analysis"
    pattern_detection = "pattern_detection"


class SkillLevel(StrEnum):
    basic = "basic"
    intermediate = "intermediate"
    advanced = "advanced"
    expert = "expert"


class VehicleType(StrEnum):
    two_wheeler = "two_wheeler"
    three_wheeler = "three_wheeler"
    four_wheeler = "four_wheeler"


class CustomerType(StrEnum):
    individual = "individual"
    fleet = "fleet"
    corporate = "corporate"


class TicketStatus(StrEnum):
    open = "open"
    in_progress = "in_progress"
    pending_parts = "pending_parts"
    resolved = "resolved"
    closed = "closed"


class TicketCategory(StrEnum):
    battery = "battery"
    motor = "motor"
    charging = "charging"
    electrical = "electrical"
    mechanical = "mechanical"
    brakes = "brakes"
    thermal = "thermal"
    software = "software"
    body = "body"
    other = "other"


class Priority(StrEnum):
    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"


class DueState(StrEnum):
    """How a ticket stands against the time in which it should be resolved."""

    on_time = "on_time"
    due_soon = "due_soon"
    overdue = "overdue"
    met = "met"
    missed = "missed"


class ResolutionType(StrEnum):
    workshop = "workshop"
    onsite = "onsite"
    pickup = "pickup"
    remote = "remote"


class ResolutionOutcome(StrEnum):
    success = "success"
    partial = "partial"
    failed = "failed"
    escalated = "escalated"


class PartUsageStatus(StrEnum):
    allocated = "allocated"
    used = "used"
    returned = "returned"
    damaged = "damaged"


class NodeType(StrEnum):
    symptom = "symptom"
    failure_card = "failure_card"
    part = "part"
    vehicle = "vehicle"
    subsystem = "subsystem"


class RelationType(StrEnum):
    causes = "causes"
    indicates = "indicates"
    resolves = "resolves"
    requires = "requires"
    affects = "affects"
    similar_to = "similar_to"
    has_failure = "has_failure"


class CreationMethod(StrEnum):
    manual = "manual"
    inferred = "inferred"
    ai_generated = "ai_generated"


class OccurrencePattern(StrEnum):
    sporadic = "sporadic"
    daily = "daily"
    weekly = "weekly"
    weather_dependent = "weather_dependent"
    constant = "constant"


class TimeOfDayPattern(StrEnum):
    morning = "morning"
    afternoon = "afternoon"
    night = "night"
    random = "random"


class HumidityRange(StrEnum):
    low = "low"
    normal = "normal"
    high = "high"


class LoadCondition(StrEnum):
    under_load = "under_load"
    idle = "idle"
    charging = "charging"
    parked = "parked"
    cold_start = "cold_start"
    braking = "braking"


class ReviewStatus(StrEnum):
    waiting = "waiting"
    claimed = "claimed"
    approved = "approved"
    rejected = "rejected"
    withdrawn = "withdrawn"


class EventStatus(StrEnum):
    pending = "pending"
    processing = "processing"
    processed = "processed"
    dead = "dead"
    discarded = "discarded"
