"""Detection on the store: one incident for one emerging failure, whatever happens in between."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from app import clock
from app.security import acting_as, system
from benchmarks.ticket_stream import Stream
from matching.embedding import unit_rows
from models.enums import FailureCardStatus, SourceType
from models.event import EfiEvent, EventType
from models.failure_card import Review
from models.incident import IncidentStatus, IncidentTicket
from services.diagnosis import matches
from services.workflows.patterns import detection, incidents
from services.workflows.patterns.detection import Detector
from tests.services.workflows.conftest import Workshop
from tests.services.workflows.patterns.conftest import DAYS, POLICY, Emergence


async def test_ordinary_tickets_make_no_incident(emergence: Emergence):
    found = await emergence.detect()
    assert found.tests > 0
    assert found.unexplained > 10
    assert await emergence.incidents() == []


async def test_an_emerging_failure_becomes_one_incident_with_a_draft_in_review(emergence: Emergence):
    ticket_ids = await emergence.emerging(8, vehicle_year=2024)
    found = await emergence.detect()
    (incident,) = await emergence.incidents()
    assert found.opened == [incident.id]
    assert incident.status is IncidentStatus.open
    assert await emergence.tickets_of(incident) == set(ticket_ids)
    assert incident.ticket_count == 8

    facts = incident.facts
    assert any("grip" in term for term in facts.terms)
    assert [(one.make, one.model, one.year_from, one.tickets) for one in facts.vehicles] == [("Ather", "450X", 2024, 8)]
    assert facts.vehicles[0].firmware_versions == ["5.0"]
    assert facts.site_ids == [emergence.workshop.site.id]
    statistic = incident.statistic
    assert statistic.vehicles >= POLICY.least_vehicles
    assert statistic.expected < 1
    assert f"where {statistic.expected:.1f} were expected" in statistic.explanation

    card = await emergence.card_of(incident)
    assert (card.status, card.source_type) == (FailureCardStatus.draft, SourceType.pattern_detection)
    assert card.root_cause == "Under investigation"
    assert incident.title in card.title
    with acting_as(system("test")):
        review = await Review.find_one({"card_id": card.id, "open": True})
        created = await EfiEvent.find_one({"event_type": EventType.card_created, "subject_id": card.id})
    assert review is not None
    assert created is not None
    assert (created.data["incident_id"], created.actor.id) == (incident.id, "agent:patterns")


async def test_a_young_service_opens_an_incident_and_says_by_what_it_was_judged(workshop: Workshop):
    stream = Stream(3, per_day=3, days=30)
    begin = clock.now() - timedelta(days=30)
    young = Emergence(workshop, stream, Detector(matches.serving(), POLICY), begin)
    await young.add(stream.ordinary())
    assert (await young.detect()).opened == []
    ticket_ids = await young.emerging(10, start=10, within=19)
    await young.detect()
    (incident,) = await young.incidents()
    assert await young.tickets_of(incident) <= set(ticket_ids)
    assert incident.statistic.earlier_vehicles == 0
    assert "too little history to compare with (0 earlier tickets" in incident.statistic.explanation


async def test_running_again_changes_nothing(emergence: Emergence):
    await emergence.emerging(8)
    await emergence.detect()
    before = await emergence.incidents()
    again = await emergence.detect()
    assert (again.opened, again.extended, again.merged) == ([], [], [])
    assert await emergence.incidents() == before


async def test_detectors_that_run_at_once_make_one_incident(emergence: Emergence, monkeypatch: pytest.MonkeyPatch):
    """Even where the lease fails, as it may for a replica that was cut off from the store."""
    monkeypatch.setattr("services.workflows.patterns.detection.LEASE", "lease-a")
    await emergence.emerging(8)

    async def run(lease: str) -> None:
        detector = Detector(matches.serving(), POLICY)
        monkeypatch.setattr("services.workflows.patterns.detection.LEASE", lease)
        with acting_as(system("timer:patterns")):
            await detector.detect()

    await asyncio.gather(run("lease-a"), run("lease-b"), run("lease-c"))
    (incident,) = await emergence.incidents()
    assert incident.ticket_count == len(await emergence.tickets_of(incident)) == 8


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_run_makes_one(
    emergence: Emergence, monkeypatch: pytest.MonkeyPatch
):
    await emergence.emerging(8)
    whole = incidents.reviews.open_for

    async def crash(card: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(incidents.reviews, "open_for", crash)
    with pytest.raises(RuntimeError), acting_as(system("timer:patterns")):
        await emergence.detector.detect()
    with acting_as(system("test")):
        assert await IncidentTicket.find({}).to_list() == []
        assert await EfiEvent.find({"event_type": EventType.card_created}).to_list() == []
    monkeypatch.setattr(incidents.reviews, "open_for", whole)
    await emergence.detect()
    assert len(await emergence.incidents()) == 1


async def test_later_tickets_extend_the_incident_and_its_untouched_draft(emergence: Emergence):
    await emergence.emerging(7, within=10)
    await emergence.detect()
    (incident,) = await emergence.incidents()
    first = await emergence.card_of(incident)
    later = await emergence.emerging(5, start=DAYS - 5, within=4, vehicle_mileage_km=9000)
    found = await emergence.detect()
    assert (found.opened, found.extended) == ([], [incident.id])
    (grown,) = await emergence.incidents()
    assert grown.ticket_count == 12
    assert set(later) <= await emergence.tickets_of(grown)
    assert grown.statistic.vehicles > incident.statistic.vehicles
    card = await emergence.card_of(grown)
    assert card.id == first.id
    assert card.version == first.version + 1
    assert {condition.condition for condition in card.failure_conditions} >= {"mileage"}


class Reader:
    """An embedder that counts what it is given."""

    name, dimension = "reader-1", 16

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.read += texts
        rows = [np.random.default_rng(len(text)).normal(size=self.dimension) for text in texts]
        return unit_rows(np.array(rows))

    def embed_question(self, text: str) -> np.ndarray:
        return self.embed([text])[0]


async def test_a_run_goes_without_meaning_until_every_text_that_it_needs_is_embedded(
    emergence: Emergence, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(detection, "MOST_EMBEDDED", 60)
    reader = Reader()
    monkeypatch.setattr(emergence.detector._live.index.semantic, "embedder", reader)
    await emergence.detect()
    assert len(reader.read) == 60
    for _ in range(20):
        before = len(reader.read)
        await emergence.detect()
        if len(reader.read) - before < 60:
            break
    count = len(reader.read)
    await emergence.detect()
    assert len(reader.read) == count, "no text is embedded twice"
    assert await emergence.incidents() == []
