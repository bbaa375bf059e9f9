"""What each agent of the workflows may touch. What does not stand here is refused."""

from collections.abc import Mapping

from app.database import Access, DeclaredRights
from models.account import User
from models.bookkeeping import Lease
from models.diagnosis import CheckLikelihood, CheckOutcome
from models.draft_suggestion import DraftSuggestions
from models.event import EfiEvent
from models.failure_card import CardVersion, FailureCard, Review
from models.governance import CardFlag, CardHealth, CardProposal, FirmwareSighting, HealthProgress
from models.incident import Incident, IncidentTicket
from models.knowledge_relation import GraphObservation, KnowledgeRelation
from models.learning import CardEvidence, CardOutcome
from models.match_model import MatchModel
from models.match_run import MatchRun
from models.network import BundleReceipt, CardLineage, CardShare, IncomingVersion, NetworkIdentity, Peer
from models.notification import Notification
from models.record import Record
from models.symptom import Symptom
from models.symptom_candidate import SymptomCandidate
from models.technician_action import TechnicianAction
from models.ticket import Ticket

READ = frozenset({Access.read})
WRITE = frozenset({Access.write})
BOTH = READ | WRITE

GRANTS: Mapping[str, Mapping[type[Record], frozenset[Access]]] = {
    # Suggests cards for a ticket. The cards themselves are in the index.
    "matching": {Ticket: BOTH, MatchRun: WRITE, EfiEvent: WRITE},
    # Weighs what repairs say about cards.
    "learning": {
        Ticket: BOTH,
        TechnicianAction: READ,
        FailureCard: BOTH,
        CardOutcome: BOTH,
        CardEvidence: BOTH,
        CardShare: READ,
        CheckOutcome: BOTH,
        CheckLikelihood: BOTH,
        EfiEvent: BOTH,
    },
    # Drafts a card out of what a technician discovered.
    "discovery": {
        Ticket: READ,
        TechnicianAction: READ,
        Symptom: READ,
        FailureCard: BOTH,
        CardVersion: WRITE,
        Review: BOTH,
        DraftSuggestions: WRITE,
        EfiEvent: WRITE,
    },
    # Keeps the knowledge graph.
    "graph": {
        Ticket: BOTH,
        TechnicianAction: READ,
        FailureCard: READ,
        Symptom: READ,
        KnowledgeRelation: BOTH,
        GraphObservation: BOTH,
        EfiEvent: READ,
    },
    # Keeps knowledge right: flags that repairs raise, firmware that tickets report.
    "curation": {
        Ticket: READ,
        TechnicianAction: READ,
        FailureCard: BOTH,
        CardFlag: BOTH,
        CardProposal: BOTH,
        CardHealth: WRITE,
        FirmwareSighting: BOTH,
        EfiEvent: WRITE,
    },
    # Gathers what the symptom library does not know.
    "library": {Ticket: READ, TechnicianAction: READ, SymptomCandidate: BOTH},
    # Tells people.
    "engagement": {
        User: READ,
        Ticket: READ,
        FailureCard: READ,
        Review: READ,
        Incident: READ,
        IncidentTicket: READ,
        CardFlag: READ,
        CardProposal: READ,
        Notification: BOTH,
    },
    # Closes incidents whose card is approved, and suggests it for their tickets.
    "incidents": {Incident: BOTH, IncidentTicket: READ, FailureCard: READ, Ticket: BOTH},
}

BY_THE_CLOCK: Mapping[str, Mapping[type[Record], frozenset[Access]]] = {
    # Learns from decisions how to weigh what the channels say.
    "training": {
        Ticket: READ,
        TechnicianAction: READ,
        CardOutcome: READ,
        FailureCard: READ,
        KnowledgeRelation: READ,
        MatchModel: BOTH,
    },
    # Looks for tickets that tell of an emerging failure, and drafts a card of what they share.
    "patterns": {
        Ticket: READ,
        MatchRun: READ,
        TechnicianAction: READ,
        Symptom: READ,
        Incident: BOTH,
        IncidentTicket: BOTH,
        FailureCard: BOTH,
        CardVersion: WRITE,
        Review: BOTH,
        EfiEvent: WRITE,
    },
    # Sees which cards are due for review.
    "health": {
        FailureCard: READ,
        CardOutcome: READ,
        CardEvidence: READ,
        FirmwareSighting: READ,
        CardHealth: BOTH,
        HealthProgress: BOTH,
    },
    # Exchanges knowledge with other services. It sees no ticket, no action and no person.
    "network": {
        FailureCard: BOTH,
        CardVersion: BOTH,
        Review: BOTH,
        Symptom: BOTH,
        CardEvidence: READ,
        NetworkIdentity: BOTH,
        Peer: BOTH,
        CardLineage: BOTH,
        CardShare: BOTH,
        IncomingVersion: BOTH,
        BundleReceipt: BOTH,
        Lease: BOTH,
        EfiEvent: WRITE,
    },
}
"""Agents that no event calls."""

RIGHTS = DeclaredRights(
    {
        f"agent:{name}": {model.Settings.name: accesses for model, accesses in granted.items()}
        for name, granted in {**GRANTS, **BY_THE_CLOCK}.items()
    }
)
