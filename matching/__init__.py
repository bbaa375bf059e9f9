"""The retrieval engine: a complaint in, explained failure cards out. Python, numpy and some C, no database, no web."""

from matching.codes import Code, InvalidCode, Scheme, affinity, canonical_code, find_codes, normalise_code
from matching.embedding import Embedder, HashingEmbedder
from matching.index import CardIndex
from matching.matcher import Matcher, UnknownScorer
from matching.records import CardRecord, Case, Relation, Symptom, Vehicle, VehicleRange
from matching.results import Candidate, MatchResult, MatchType, Reason, Step
from matching.scorers import CalibratedScorer, EfiV2Scorer
from matching.signature import SignatureFields, signature_hash
from matching.text import keywords

__all__ = [
    "CalibratedScorer", "Candidate", "CardIndex", "CardRecord", "Case", "Code", "EfiV2Scorer", "Embedder",
    "HashingEmbedder", "InvalidCode", "MatchResult", "MatchType", "Matcher", "Reason", "Relation", "Scheme",
    "SignatureFields", "Step", "Symptom", "UnknownScorer", "Vehicle", "VehicleRange", "affinity", "canonical_code",
    "find_codes", "keywords", "normalise_code", "signature_hash",
]  # fmt: skip
