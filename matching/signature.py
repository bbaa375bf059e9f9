"""FailureSignature: the symptom and condition fingerprint of a failure, and its hash for fast lookup."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, fields
from functools import lru_cache

from matching.codes import canonical_code

SIGNATURE_VERSION = 1
"""Part of every hash: a change to the canonical form below must raise it, so that old and new hashes never meet."""


@dataclass(frozen=True, slots=True)
class SignatureFields:
    """The fields of a FailureSignature that identify it. `primary_symptoms` are symptom ids or phrases."""

    primary_symptoms: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    subsystem: str | None = None
    failure_mode: str | None = None
    temperature_range: str | None = None
    humidity_range: str | None = None
    load_condition: str | None = None
    mileage_range: str | None = None
    vehicle_age_months: int | None = None
    occurrence_pattern: str | None = None
    time_of_day_pattern: str | None = None

    @property
    def identifies(self) -> bool:
        """Whether it names a symptom or a code: conditions alone would lump unrelated failures together."""
        return any(_fold(text) for text in self.primary_symptoms) or any(_fold(code) for code in self.error_codes)


CONDITION_FIELDS = tuple(f.name for f in fields(SignatureFields) if f.name not in ("primary_symptoms", "error_codes"))


def signature_hash(signature: SignatureFields) -> str | None:
    """Stable hash `s1:<32 hex>` of a signature, None if it names neither a symptom nor a code.

    Symptoms and codes are sets here: their order, repetition, letter case, spacing and notation ("p0a80 1a",
    "P0A80-1A") do not matter. Absent and empty conditions are the same.
    """
    if not signature.identifies:
        return None
    symptoms, codes, conditions = _canonical(signature)
    canonical = {"primary_symptoms": sorted(symptoms), "error_codes": sorted(codes), **conditions}
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"s{SIGNATURE_VERSION}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def signature_agreement(a: SignatureFields, b: SignatureFields) -> tuple[float, list[str]]:
    """Agreement in [0, 1] of two signatures and the names of the fields that agree.

    Symptoms and codes count by overlap (Dice) with weight 2 each, every condition both sides state with weight 1;
    a field that one side leaves out is no evidence either way.
    """
    weight = agreed = 0.0
    names: list[str] = []
    (symptoms, codes, conditions), (other_symptoms, other_codes, other_conditions) = _canonical(a), _canonical(b)
    for name, left, right in (("primary_symptoms", symptoms, other_symptoms), ("error_codes", codes, other_codes)):
        if left and right:
            weight += 2
            if shared := len(left & right):
                agreed += 2 * 2 * shared / (len(left) + len(right))
                names.append(name)
    if not names:
        return 0.0, []
    for name in conditions.keys() & other_conditions.keys():
        weight += 1
        if conditions[name] == other_conditions[name]:
            agreed += 1
            names.append(name)
    return agreed / weight, names


@lru_cache(maxsize=1 << 16)
def _canonical(signature: SignatureFields) -> tuple[frozenset[str], frozenset[str], dict[str, str]]:
    """Symptoms, codes and stated conditions of a signature, evened out."""
    symptoms = frozenset(folded for text in signature.primary_symptoms if (folded := _fold(text)))
    codes = frozenset(canonical_code(code) for code in signature.error_codes if _fold(code))
    values = ((name, getattr(signature, name)) for name in CONDITION_FIELDS)
    conditions = {name: folded for name, value in values if value is not None and (folded := _fold(str(value)))}
    return symptoms, codes, conditions


def _fold(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
