"""What an author wrote, made whole: codes in one notation, a checked tree, a signature with its hash, keywords."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from matching import SignatureFields, signature_hash
from matching.text import keywords as telling_terms
from matching.text import terms, words
from models.failure_card import CardContent, FailureCard, FailureSignature
from services import fault_codes
from services.knowledge.diagnostic_tree import check_tree

MAX_KEYWORDS = 25
MAX_PRIMARY_SYMPTOMS = 20
CONTENT_FIELDS = frozenset(CardContent.model_fields)
DRAFT_MARK = "[DRAFT] "
"""Begins the title of a draft that the service made; approval takes it away."""


def completed(content: CardContent) -> CardContent:
    """A copy with everything filled in that follows from the rest. Completing it again changes nothing but a tree that
    came without an id.

    Codes are normalised, symptom codes collected from the symptoms, the diagnostic tree checked and measured, keywords
    extracted where the author gave none. Raises Invalid naming each field and rule that is broken.
    """
    codes = fault_codes.normalised(content.error_codes, "error_codes")
    listed = [symptom.symptom_code for symptom in content.symptoms if symptom.symptom_code]
    changes = {
        "error_codes": codes,
        "symptom_codes": list(dict.fromkeys([*content.symptom_codes, *listed])),
        "diagnostic_tree": content.diagnostic_tree and check_tree(content.diagnostic_tree),
        "keywords": list(dict.fromkeys(filter(None, content.keywords))),
    }
    whole = content.model_copy(update=changes)
    return whole.model_copy(
        update={"failure_signature": _signature(whole), "keywords": whole.keywords or extract_keywords(whole)}
    )


def completed_anew(content: CardContent, stored: CardContent) -> CardContent:
    """As `completed`, for content that was read, edited and sent back: what had been derived is derived again.

    Without this a reader who returns the signature and keywords that the service had made would freeze them.
    """
    underived = stored.model_copy(update={"failure_signature": None, "keywords": []})
    derived = completed(underived)
    untouched: dict[str, object] = {}
    if content.failure_signature == stored.failure_signature == derived.failure_signature:
        untouched["failure_signature"] = None
    if content.keywords == stored.keywords == derived.keywords:
        untouched["keywords"] = []
    return completed(content.model_copy(update=untouched))


def _signature(content: CardContent) -> FailureSignature:
    """The author's signature, completed by the card's symptoms, codes and kind; its hash is empty if it names none."""
    given = content.failure_signature or FailureSignature()
    stated = given.model_fields_set
    signature = given.model_copy(
        update={
            "primary_symptoms": given.primary_symptoms
            or (content.symptom_codes or [symptom.description for symptom in content.symptoms])[:MAX_PRIMARY_SYMPTOMS],
            "error_codes": fault_codes.normalised(given.error_codes, "failure_signature.error_codes")
            or content.error_codes,
            "subsystem": given.subsystem if "subsystem" in stated else content.subsystem_category,
            "failure_mode": given.failure_mode if "failure_mode" in stated else content.failure_mode,
        }
    )
    hashed = signature_hash(signature_fields(signature)) or ""
    # The id follows from the hash, so that loading the same card again changes nothing.
    return signature.model_copy(
        update={"signature_hash": hashed, "signature_id": f"sig_{hashed.partition(':')[2][:20]}" if hashed else ""}
    )


def signature_fields(signature: FailureSignature) -> SignatureFields:
    """The signature as the matching engine reads it."""
    return SignatureFields(
        primary_symptoms=tuple(signature.primary_symptoms),
        error_codes=tuple(signature.error_codes),
        subsystem=signature.subsystem,
        failure_mode=signature.failure_mode,
        temperature_range=signature.temperature_range,
        humidity_range=signature.humidity_range,
        load_condition=signature.load_condition,
        mileage_range=signature.mileage_range,
        vehicle_age_months=signature.vehicle_age_months,
        occurrence_pattern=signature.occurrence_pattern,
        time_of_day_pattern=signature.time_of_day_pattern,
    )


def extract_keywords(content: CardContent) -> list[str]:
    """The most telling words of a card, at most MAX_KEYWORDS, codes first.

    A term scores Σ weight of field · (1 + log of its count there), without function words and boilerplate. How rare a
    term is among cards is weighed when matching, not here: the same text always gives the same keywords.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for weight, text in _weighted_texts(content):
        counts = Counter(terms(text))
        for term in telling_terms(text, limit=len(counts)):
            scores[term] += weight * (1 + math.log(counts[term]))
        for word in words(text):
            if len(own := terms(word)) == 1:
                spellings[own[0]][word] += 1
    ranked = sorted(scores, key=lambda term: (-scores[term], term))
    spelled = [_spelling(term, spellings) for term in ranked]
    return list(dict.fromkeys([*content.error_codes, *spelled]))[:MAX_KEYWORDS]


def _spelling(term: str, spellings: dict[str, Counter[str]]) -> str:
    """Terms are stems; people read the commonest word behind one, the first in the alphabet among equals."""
    seen = spellings.get(term)
    return min(seen, key=lambda word: (-seen[word], word)) if seen else term


def _weighted_texts(content: CardContent) -> Iterable[tuple[float, str]]:
    yield 3.0, content.title.removeprefix(DRAFT_MARK)
    yield 2.0, " . ".join([content.symptom_text, *(symptom.description for symptom in content.symptoms)])
    yield 2.0, content.root_cause
    yield 1.5, " . ".join(part.part_name for part in content.required_parts)
    yield 1.0, " . ".join([content.description, content.root_cause_details, *content.secondary_causes])


def content_of(card: FailureCard) -> CardContent:
    """What authors wrote on a stored card."""
    return CardContent.model_validate({name: getattr(card, name) for name in CONTENT_FIELDS}, from_attributes=True)


def changed_fields(old: CardContent, new: CardContent) -> list[str]:
    """Names of the fields that differ, in the order of the card."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [name for name in CardContent.model_fields if before[name] != after[name]]
