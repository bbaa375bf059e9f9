"""Documents and enums; `ALL_DOCUMENTS` is the only list of collections."""

from models.account import LoginAttempts, Organisation, Session, Site, User
from models.bookkeeping import IdempotencyKey, ImportRun, Lease, Migration
from models.diagnosis import CheckLikelihood, CheckOutcome, CheckOverride, DiagnosisSession
from models.draft_suggestion import DraftSuggestions
from models.embedding import CardVector, EmbedderState
from models.event import EfiEvent, EventReceipt
from models.failure_card import CardVersion, FailureCard, Review
from models.governance import CardFlag, CardHealth, CardProposal, FirmwareSighting, HealthProgress
from models.incident import Incident, IncidentTicket
from models.knowledge_relation import GraphObservation, KnowledgeRelation
from models.learning import CardEvidence, CardOutcome
from models.match_model import MatchModel
from models.match_run import MatchRun
from models.network import BundleReceipt, CardLineage, CardShare, IncomingVersion, NetworkIdentity, Peer
from models.notification import Notification
from models.part import Part, PartUsage
from models.photo import LoosePhotoFile, Photo, PhotoChunk, PhotoFile, PhotoThumbnail
from models.symptom import Symptom
from models.symptom_candidate import SymptomCandidate
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from models.vehicle import Vehicle

ALL_DOCUMENTS = [
    FailureCard,
    CardVersion,
    Review,
    DraftSuggestions,
    CardFlag,
    CardProposal,
    CardHealth,
    FirmwareSighting,
    HealthProgress,
    Ticket,
    TechnicianAction,
    Photo,
    PhotoThumbnail,
    PhotoFile,
    PhotoChunk,
    LoosePhotoFile,
    Part,
    PartUsage,
    KnowledgeRelation,
    GraphObservation,
    Symptom,
    SymptomCandidate,
    CardOutcome,
    CardEvidence,
    CardVector,
    EmbedderState,
    MatchModel,
    MatchRun,
    DiagnosisSession,
    CheckOverride,
    CheckOutcome,
    CheckLikelihood,
    Incident,
    IncidentTicket,
    NetworkIdentity,
    Peer,
    CardLineage,
    CardShare,
    IncomingVersion,
    BundleReceipt,
    EfiEvent,
    EventReceipt,
    User,
    Session,
    LoginAttempts,
    Organisation,
    Site,
    Vehicle,
    Notification,
    IdempotencyKey,
    Migration,
    Lease,
    ImportRun,
]
