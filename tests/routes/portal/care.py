"""Knowledge that somebody should look after, as experts and admins find it."""

from datetime import timedelta
from typing import Any

from app import clock
from app.ids import id_at
from app.security import acting_as, system
from matching.scorers.calibrated import CalibratedModel
from models.account import User
from models.failure_card import CardContent, FailureCard
from models.governance import CardFlag, CardHealth, CardProposal, DueNote, DueReason, FlagKind
from models.incident import AffectedVehicle, Incident, IncidentStatistic, IncidentTicket, Shared, SharedFacts
from models.match_model import MatchModel, ModelFigures, TrainingRecord
from models.symptom_candidate import CandidateStatus, SymptomCandidate
from models.ticket import Ticket
from services.accounts.sessions import actor_of
from services.diagnosis.training import models
from services.knowledge import candidates, cards, flags, lifecycle, proposals, reviews
from services.knowledge.content import content_of
from services.knowledge.phrases import Phrase
from tests.services.knowledge.samples import a_card

HOSTILE = "<script>alert(1)</script> \u202egnp.exe"


async def approved(**fields: Any) -> FailureCard:
    with acting_as(system("test")):
        return await lifecycle.approve(await lifecycle.submit(await cards.create(a_card(**fields))))


async def flagged(card: FailureCard, by: User, said: str = "Boards of 2025 lack R14") -> CardFlag:
    with acting_as(actor_of(by)):
        return await flags.flag_card(card, FlagKind.outdated, said)


async def proposed(card: FailureCard, by: User, **changes: Any) -> CardProposal:
    """An edit that the technician proposes to settle a flag of theirs."""
    flag = await flagged(card, by)
    with acting_as(actor_of(by)):
        return await proposals.propose(flag, CardContent(**dict(content_of(card)) | changes), "Measured it twice")


async def due(card: FailureCard) -> CardHealth:
    with acting_as(system("test")):
        found = await CardHealth.find_one({"_id": card.id})
        if found is not None:
            await found.delete()
        notes = [DueNote(reason=DueReason.age, detail="neither reviewed nor confirmed in use", since=clock.now())]
        return await CardHealth(
            id=card.id,
            title=card.title,
            subsystem_category=card.subsystem_category,
            due=True,
            slot=0.5,
            due_reasons=[DueReason.age],
            notes=notes,
        ).insert()


async def phrase(text: str = "brake squeals", key: str = "brak squeal") -> SymptomCandidate:
    """A phrase that enough customers have used."""
    with acting_as(system("test")):
        for _ in range(candidates.MIN_VOICES):
            ticket = await Ticket(title=text).insert()
            await candidates.gather([Phrase(key, text)], ticket, None, ticket.created_at)
        found = await SymptomCandidate.find({"status": CandidateStatus.open}).to_list()
        return next(one for one in found if one.key == key)


async def incident(title: str = "Ather 450X: loses speed on wet roads", tickets: int = 3) -> Incident:
    """One with its tickets, and its draft in the review queue."""
    now = clock.now()
    with acting_as(system("test")):
        draft = await cards.create(a_card(title=title))
        await reviews.open_for(draft)
        facts = SharedFacts(
            terms=["wet", "speed"],
            codes=[Shared(value="P0500", tickets=tickets)],
            vehicles=[AffectedVehicle(make="Ather", model="450X", year_from=2022, year_to=2024, tickets=tickets)],
            conditions=[Shared(value="weather: rain", tickets=2)],
            mileage_km_from=800,
            mileage_km_to=21_500,
            first_ticket_at=now - timedelta(days=9),
            last_ticket_at=now,
        )
        statistic = IncidentStatistic(
            vehicles=tickets,
            window_days=14,
            earlier_vehicles=1,
            baseline_days=180,
            expected=0.1,
            chance=0.00012,
            scope="ather 450x",
            explanation="3 vehicles within 14 days, where the 180 days before make one expect 0.1.",
        )
        made = await Incident(
            title=title, card_id=draft.id, ticket_count=tickets, facts=facts, statistic=statistic
        ).insert()
        for number in range(tickets):
            at = now - timedelta(days=number, minutes=1)
            ticket = Ticket(
                id=id_at("ticket", at),
                created_at=at,
                title=f"Speed drops in rain ({number})",
                vehicle_make="Ather",
                vehicle_model="450X",
            )
            await ticket.insert()
            await IncidentTicket(id=ticket.id, incident_id=made.id).insert()
    return made


async def trainings() -> MatchModel:
    """A model in service, and a later one that was refused."""
    now = clock.now()

    def figures(log_loss: float, ndcg: float) -> ModelFigures:
        return ModelFigures(log_loss=log_loss, ndcg_10=ndcg, decisions=300)

    record = TrainingRecord(
        decisions=300,
        known=220,
        none=80,
        decisions_hash="0" * 64,
        decided_from=now - timedelta(days=90),
        decided_until=now,
        embedder=None,
        learnt=["keyword", "exact"],
        chance=figures(3.1, 0.0),
        prior=figures(0.91, 0.82),
        after=figures(0.78, 0.85),
    )
    base = CalibratedModel.shipped().version
    parameters = models.parameters_of("decisions-1", "", {"none": CalibratedModel.shipped().variant(None)[1]})
    with acting_as(system("test")):
        model = await MatchModel(id="decisions-1", base=base, number=1, parameters=parameters, record=record).insert()
        refused = "worse than the model in service: log-loss 0.800, not 0.780 or less"
        await MatchModel(id="decisions-2", base=base, number=2, record=record, refused=refused).insert()
        return await models.activate(model)
