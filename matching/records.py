"""What the engine knows of a card and of a complaint: plain values, built by the services from their documents."""

from dataclasses import dataclass, field

import numpy as np

from matching.signature import SignatureFields

DRAFT_STATUSES = frozenset({"draft", "pending_review"})
RETIRED_STATUSES = frozenset({"deprecated"})


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The vehicle of one complaint. Everything may be unknown; unknown facts neither boost nor punish a card."""

    make: str | None = None
    model: str | None = None
    year: int | None = None
    variant: str | None = None
    firmware: str | None = None
    vehicle_type: str | None = None


@dataclass(frozen=True, slots=True)
class VehicleRange:
    """Vehicles a card applies to. Years are inclusive, None leaves that side open; without a model, the whole make.

    `firmware` lists affected versions; a trailing `*` matches any continuation ("2.1.*").
    """

    make: str
    model: str | None = None
    year_from: int | None = None
    year_to: int | None = None
    variants: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    vehicle_type: str | None = None


@dataclass(frozen=True, slots=True)
class Symptom:
    """One entry of the symptom library: its id and every wording people use for it."""

    code: str
    name: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A weighted edge of the knowledge graph between a symptom or part and a card, or between two symptoms.

    `kind` is the stored relation type; `weight` in [0, 1]; `evidence` counts the repairs that showed the edge.
    """

    source: str
    target: str
    kind: str = "causes"
    weight: float = 1.0
    evidence: int = 0
    bidirectional: bool = False


@dataclass(frozen=True)
class CardRecord:
    """One version of a failure card as the engine sees it.

    `effectiveness` is the spec's score; `evidence_lower` the lower bound of the 90 % interval of success, None without
    evidence. `vector` is an embedding made earlier by the embedder named `vector_model`; it is ignored if that is not
    the index's embedder, so vectors of different embedders never mix. `revision` counts the writes of the stored card;
    like the vector it is no part of what the card says, hence of no comparison.
    """

    card_id: str
    title: str = ""
    version: int = 1
    revision: int = field(default=0, compare=False)
    status: str = "approved"
    description: str = ""
    subsystem: str | None = None
    failure_mode: str | None = None
    symptom_text: str = ""
    symptom_phrases: tuple[str, ...] = ()
    symptom_codes: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    root_cause: str = ""
    resolution: str = ""
    components: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    vehicles: tuple[VehicleRange, ...] = ()
    universal: bool = False
    signature: SignatureFields | None = None
    signature_hash: str | None = None
    effectiveness: float = 0.0
    confidence_score: float = 0.0
    confidence_level: str | None = None
    evidence_lower: float | None = None
    usage_count: int = 0
    mileage_km: tuple[int | None, int | None] | None = None
    conditions: tuple[str, ...] = ()
    vector: np.ndarray | None = field(default=None, compare=False, repr=False)
    vector_model: str | None = field(default=None, compare=False)

    @property
    def is_draft(self) -> bool:
        return self.status in DRAFT_STATUSES

    @property
    def is_retired(self) -> bool:
        return self.status in RETIRED_STATUSES


@dataclass(frozen=True, slots=True)
class Case:
    """One complaint to be matched. Codes written inside `text` are found as well as those in `error_codes`."""

    text: str = ""
    error_codes: tuple[str, ...] = ()
    symptom_codes: tuple[str, ...] = ()
    vehicle: Vehicle = Vehicle()
    mileage_km: int | None = None
    subsystem: str | None = None
    conditions: tuple[str, ...] = ()
    signature: SignatureFields | None = None
    parts: tuple[str, ...] = ()
    vehicle_age_months: int | None = None
