"""Every list of the portal as a CSV file: at the page's address with `.csv`, for those whom the page is for, by its
filters."""

from datetime import timedelta
from functools import partial

from starlette.responses import Response

from matching import Candidate
from models.account import Organisation, Site, User
from models.enums import FailureCardStatus, SubsystemCategory
from models.event import EfiEvent
from models.failure_card import CardVersion, FailureCard, Review
from models.governance import CardFlag, CardHealth, CardProposal
from models.incident import Incident
from models.match_model import MatchModel
from models.ticket import Ticket
from routes.api import report_series, reports
from routes.portal.admin import Setting, event_filter, settings_in_force
from routes.portal.confidence import MONTHS, asked_days
from routes.portal.governance import flag_filter, proposal_filter
from routes.portal.health import due_filter
from routes.portal.http import CurrentVisit, page_router
from routes.portal.incidents import CurrentIncident, incident_filter
from routes.portal.knowledge import LONGEST_QUERY, PAGES, CurrentCard, search
from routes.portal.tables import Table
from routes.portal.tickets import ticket_filter
from routes.portal.workbench import asked_of, work_asked_for
from services.accounts import directory, users
from services.diagnosis import matches
from services.diagnosis.calibration import calibration
from services.diagnosis.training import models
from services.events import log
from services.knowledge import candidates, cards, confidence, flags, health, proposals, reviews, versions
from services.knowledge.access import sees_every_card
from services.knowledge.candidates import Listed
from services.knowledge.cards import CardFilter
from services.knowledge.confidence import Evidence
from services.knowledge.reports import confidence_report
from services.knowledge.trust import trust_over_time
from services.repairs import sla, tickets
from services.repairs.board import Row
from services.repairs.coverage import coverage_report
from services.workflows.patterns import incidents

router = page_router()

TICKETS = Table[Row | Ticket](
    "tickets",
    "created_at",
    "status",
    "priority",
    "title",
    ticket_id="id",
    make="vehicle_make",
    model="vehicle_model",
    year="vehicle_year",
    registration="vehicle_number",
    codes="error_codes_reported",
    technician="assigned_technician_name",
    due_at=sla.due_at,
)
CARDS = Table[FailureCard](
    "knowledge",
    "title",
    "status",
    "subsystem_category",
    "failure_mode",
    "severity",
    "confidence_level",
    "confidence_score",
    "usage_count",
    "success_count",
    "version",
    "updated_at",
    "error_codes",
    failure_id="id",
)
FOUND_CARDS = Table[Candidate](
    "knowledge", "title", "confidence_level", "score", "probability", "is_draft", failure_id="card_id"
)
EVIDENCE = Table[Evidence](
    "evidence",
    "variant",
    "outcomes",
    "ruled_out",
    worked="fix_rate.mean",
    low="fix_rate.low",
    high="fix_rate.high",
    n="fix_rate.n",
)
VERSIONS = Table[CardVersion]("versions", "version", "created_at", "summary", changed_by="changed_by.name")
REVIEWS = Table[Review](
    "reviews",
    "subsystem_category",
    "source_type",
    "status",
    "claimed_by",
    "claim_expires_at",
    review_id="id",
    failure_id="card_id",
    title="card_title",
    waits_since="created_at",
    submitted_by="submitted_by.id",
)
USERS = Table[User](
    "users", "email", "name", "roles", "organisation_id", "site_ids", "active", "last_login_at", user_id="id"
)
SITES = Table[Site]("sites", "name", "city", "country", "timezone", site_id="id")
ORGANISATIONS = Table[Organisation]("organisations", "name", "currency", organisation_id="id")
EVENTS = Table[EfiEvent](
    "events",
    "created_at",
    "event_type",
    "subject_id",
    "status",
    "attempts",
    "error",
    event_id="id",
    actor="actor.id",
)
SETTINGS = Table[Setting]("settings", "name", "value", "meaning")
DUE = Table[CardHealth](
    "due",
    "title",
    "subsystem_category",
    failure_id="id",
    reasons="due_reasons",
    details=lambda row: "; ".join(note.detail for note in row.notes),
)
FLAGS = Table[CardFlag](
    "flags",
    "kind",
    "status",
    "created_at",
    "resolution",
    "resolution_version",
    "closed_at",
    flag_id="id",
    failure_id="card_id",
    reports="report_count",
    latest=lambda flag: flag.reports[-1].text,
)
PROPOSALS = Table[CardProposal](
    "proposals",
    "status",
    "created_at",
    "base_version",
    "reason",
    "decision_reason",
    "resulting_version",
    "decided_at",
    "flag_id",
    proposal_id="id",
    failure_id="card_id",
    proposed="proposed_by.name",
)
PHRASES = Table[Listed](
    "phrases",
    "text",
    "subsystem",
    "surprise",
    candidate_id="candidate.id",
    tickets="candidate.tickets",
    first_seen="candidate.first_seen",
    last_seen="candidate.last_seen",
    spellings=lambda one: "; ".join(spelling.text for spelling in one.candidate.spellings),
)
INCIDENTS = Table[Incident](
    "incidents",
    "title",
    "status",
    "ticket_count",
    "created_at",
    "dismissal_reason",
    "closed_because",
    incident_id="id",
    failure_id="card_id",
    vehicles="statistic.vehicles",
    expected="statistic.expected",
    chance="statistic.chance",
)
MODELS = Table[MatchModel](
    "models",
    "base",
    "created_at",
    "refused",
    "activated_at",
    version="id",
    decisions="record.decisions",
    known="record.known",
    none="record.none",
    decided_from="record.decided_from",
    decided_until="record.decided_until",
    prior_log_loss="record.prior.log_loss",
    log_loss="record.after.log_loss",
    prior_ndcg_10="record.prior.ndcg_10",
    ndcg_10="record.after.ndcg_10",
)


@router.get("/tickets.csv")
async def tickets_csv(visit: CurrentVisit) -> Response:
    asked = asked_of(visit)
    if asked.view == "all":
        return TICKETS.file(partial(tickets.list_tickets, ticket_filter(visit)))
    return TICKETS.file_of((await work_asked_for(visit, asked)).rows)


@router.get("/knowledge.csv")
async def knowledge_csv(visit: CurrentVisit) -> Response:
    """What a question finds, on all pages, else the whole list."""
    query = visit.request.query_params.get("q", "").strip()[:LONGEST_QUERY]
    subsystem, state = visit.asked(SubsystemCategory, "subsystem"), visit.asked(FailureCardStatus, "state")
    if query:
        found: list[Candidate] = []
        for place in range(1, PAGES + 1):
            part, more = await search(query, subsystem, state, drafts=sees_every_card(visit.actor), place=place)
            found += part
            if not more:
                break
        return FOUND_CARDS.file_of(found)
    wanted = CardFilter(status=state, subsystem_category=subsystem)
    return CARDS.file(partial(cards.list_cards, wanted))


@router.get("/cards/{card_id}/evidence.csv")
async def evidence_csv(card: CurrentCard) -> Response:
    """Of all vehicles together, then of each variant."""
    everywhere, by_variant = await confidence.evidence_of(card.id)
    return EVIDENCE.file_of([everywhere, *(one for one in by_variant if one.outcomes)])


@router.get("/cards/{card_id}/versions.csv")
async def versions_csv(card: CurrentCard) -> Response:
    return VERSIONS.file(partial(versions.list_versions, card.id))


@router.get("/reviews.csv")
async def reviews_csv() -> Response:
    return REVIEWS.file(reviews.list_reviews)


@router.get("/users.csv")
async def users_csv() -> Response:
    return USERS.file(users.list_users)


@router.get("/sites.csv")
async def sites_csv(visit: CurrentVisit) -> Response:
    return SITES.file(partial(directory.list_entries, Site, visit.actor))


@router.get("/organisations.csv")
async def organisations_csv(visit: CurrentVisit) -> Response:
    return ORGANISATIONS.file(partial(directory.list_entries, Organisation, visit.actor))


@router.get("/events.csv")
async def events_csv(visit: CurrentVisit) -> Response:
    return EVENTS.file(partial(log.list_events, event_filter(visit)))


@router.get("/settings.csv")
async def settings_csv(visit: CurrentVisit) -> Response:
    return SETTINGS.file_of(settings_in_force(visit))


@router.get("/confidence.csv")
async def confidence_csv(visit: CurrentVisit) -> Response:
    return reports.confidence_file(await confidence_report(days=asked_days(visit)))


@router.get("/confidence/trust.csv")
async def trust_csv(visit: CurrentVisit) -> Response:
    return report_series.trust_file(await trust_over_time(days=asked_days(visit)))


@router.get("/confidence/calibration.csv")
async def calibration_csv(visit: CurrentVisit) -> Response:
    return report_series.calibration_file(await calibration(timedelta(days=visit.settings.return_window_days)))


@router.get("/confidence/coverage.csv")
async def coverage_csv() -> Response:
    return report_series.coverage_file(await coverage_report(months=MONTHS))


@router.get("/confidence/models.csv")
async def models_csv() -> Response:
    return MODELS.file_of(await models.all_models())


@router.get("/health/due.csv")
async def due_csv(visit: CurrentVisit) -> Response:
    return DUE.file(partial(health.list_due, **due_filter(visit)))


@router.get("/health/flags.csv")
async def flags_csv(visit: CurrentVisit) -> Response:
    status, kind = flag_filter(visit)
    return FLAGS.file(partial(flags.list_flags, status=status, kind=kind))


@router.get("/health/proposals.csv")
async def proposals_csv(visit: CurrentVisit) -> Response:
    return PROPOSALS.file(partial(proposals.list_proposals, status=proposal_filter(visit)))


@router.get("/health/phrases.csv")
async def phrases_csv() -> Response:
    return PHRASES.file(partial(candidates.list_candidates, matches.serving().wordings))


@router.get("/health/incidents.csv")
async def incidents_csv(visit: CurrentVisit) -> Response:
    return INCIDENTS.file(partial(incidents.list_incidents, status=incident_filter(visit)))


@router.get("/health/incidents/{incident_id}/tickets.csv")
async def incident_tickets_csv(incident: CurrentIncident) -> Response:
    return TICKETS.file(partial(incidents.page_of_tickets, incident))
