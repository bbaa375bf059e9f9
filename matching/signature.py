"""FailureSignature: the symptom and condition fingerprint of a failure, and its hash for fast lookup."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, fields

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
    canonical = {
        "primary_symptoms": sorted({folded for text in signature.primary_symptoms if (folded := _fold(text))}),
        "error_codes": sorted({canonical_code(code) for code in signature.error_codes if _fold(code)}),
    }
    for name in CONDITION_FIELDS:
        value = getattr(signature, name)
        folded = "" if value is None else _fold(str(value))
        if folded:
            canonical[name] = folded
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"s{SIGNATURE_VERSION}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def signature_agreement(a: SignatureFields, b: SignatureFields) -> tuple[float, list[str]]:
    """Agreement in [0, 1] of two signatures and the names of the fields that agree.

    Symptoms and codes count by overlap (Dice) with weight 2 each, every condition both sides state with weight 1;
    a field that one side leaves out is no evidence either way.
    """
    weight = agreed = 0.0
    names: list[str] = []
    for name, normal in (("primary_symptoms", _fold), ("error_codes", canonical_code)):
        left = {normal(value) for value in getattr(a, name) if _fold(value)}
        right = {normal(value) for value in getattr(b, name) if _fold(value)}
        if left and right:
            weight += 2
            if shared := len(left & right):
                agreed += 2 * 2 * shared / (len(left) + len(right))
                names.append(name)
    if not names:
        return 0.0, []
    for name in CONDITION_FIELDS:
        left, right = getattr(a, name), getattr(b, name)
        if left not in (None, "") and right not in (None, ""):
            weight += 1
            if _fold(str(left)) == _fold(str(right)):
                agreed += 1
                names.append(name)
    return agreed / weight, names


def _fold(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
