"""Fault codes: recognise, normalise and compare them, in a field of their own and inside free text.

Schemes: SAE J2012 diagnostic trouble codes with failure type byte, SAE J1939 SPN/FMI, ISO 14229 (UDS) three-byte
codes, charger error names (OCPP ChargePointErrorCode, MREC and EVerest style), and makers' own codes.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from matching.charger_codes import MREC_NAMES, NAMES

MAX_CODE_LENGTH = 64
MAX_SPN = 0x7FFFF  # J1939-73: the suspect parameter number has 19 bits
MAX_FMI = 31  # J1939-73: the failure mode identifier has 5 bits


class Scheme(StrEnum):
    dtc = "dtc"
    spn_fmi = "spn_fmi"
    charger = "charger"
    oem = "oem"


class InvalidCode(ValueError):
    """A code that breaks the rule named by `rule`; the message is a sentence for its author."""

    def __init__(self, text: str, rule: str, sentence: str) -> None:
        super().__init__(sentence)
        self.text = text
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Code:
    """A normalised code. `base` names the fault, `detail` refines it: failure type byte, FMI or MREC number.

    `status` (pending, confirmed, …) is what the scan tool said of this occurrence and never part of the identity.
    """

    scheme: Scheme
    base: str
    detail: str | None = None
    status: str | None = None

    def __str__(self) -> str:
        if self.scheme is Scheme.spn_fmi:
            return self.base if self.detail is None else f"{self.base} {self.detail}"
        if self.scheme is Scheme.charger:
            return f"{self.detail or ''}{self.base}"
        return self.base if self.detail is None else f"{self.base}-{self.detail}"

    @property
    def key(self) -> str:
        """Names the fault without its detail: equal keys are the same code, perhaps of another failure type."""
        return self.base.casefold() if self.scheme is Scheme.charger else self.base

    @property
    def family(self) -> str | None:
        """The first four characters of a DTC: J2012 numbers the variants of one circuit's fault consecutively."""
        return f"{self.base[:4]}*" if self.scheme is Scheme.dtc else None


SAME_CODE, DETAIL_UNKNOWN, OTHER_DETAIL, SAME_FAMILY = 1.0, 0.9, 0.6, 0.3
"""Credit for two codes: identical; one side without detail; another failure type or FMI; the same family."""


def affinity(a: Code, b: Code) -> float:
    """How far two codes speak of the same fault, in [0, 1]."""
    if a.key == b.key and a.scheme == b.scheme:
        if a.detail == b.detail:
            return SAME_CODE
        return DETAIL_UNKNOWN if a.detail is None or b.detail is None else OTHER_DETAIL
    if a.family is not None and a.family == b.family:
        return SAME_FAMILY
    return 0.0


_STATUSES = "pending|confirmed|permanent|stored|active|inactive|history|historic|current|intermittent|sporadic"
_STATUS = re.compile(
    rf"^({_STATUSES})\s*[:,-]?\s+(?:codes?\s+)?(?=\S*\d)|[\s,;(\[-]*\b({_STATUSES})\b[)\]]*\s*$", re.IGNORECASE
)
_ADORNMENT = re.compile(
    r"^(?:DTCS?|OBD-?(?:II|2)?|(?:FAULT|TROUBLE|ERROR)\s+CODES?)\s*[:#-]?\s+(?=\S)|[\s,;.*]+$", re.IGNORECASE
)
_BYTE = "(?:0X)?([0-9A-F]{2})H?"
_DTC = re.compile(
    rf"([PCBU])([0-3O])([0-9A-FO]{{3}})(?:\s*(?:[-:/_. (]|FTB)\s*{_BYTE}\)?|([0-9A-F]{{2}}))?"
    rf"(?:\s*[-:/ \[]\s*{_BYTE}\]?)?",
    re.IGNORECASE,
)
_DTC_SHAPED = re.compile(r"[PCBU][0-9A-Z]{4}", re.IGNORECASE)
_UDS = re.compile(
    rf"(?:(?:0X|\$)([0-9A-F]{{6}})H?|([0-9A-F]{{6}})H|{_BYTE}[ -]{_BYTE}[ -]{_BYTE})"
    rf"(?:\s*[-:/ \[]?\s*{_BYTE}\]?)?",
    re.IGNORECASE,
)
_NUMBER = r"(0X[0-9A-F]{1,5}|\d+)"
_SPN = rf"(?:J1939\s*[-:]?\s*)?SPN?\s*[:#=-]?\s*{_NUMBER}"
_FMI = rf"F(?:MI)?\s*[:#=-]?\s*{_NUMBER}"
_SPN_FMI = re.compile(
    rf"(?:{_SPN}(?:[\s,;:/(-]{{0,4}}(?:and\s+)?(?:{_FMI}|(?<=[/(-]){_NUMBER})\)?)?|{_FMI}[\s,;:/-]{{0,4}}{_SPN}"
    rf"|(?:SPN[-/ ]FMI\s*:?\s*)?{_NUMBER}\s*[/.:-]\s*{_NUMBER})(?:[\s,;]*(?:OC|CM|SA)\s*[:#=]?\s*\d+)*",
    re.IGNORECASE,
)
_SHORT_SPN = re.compile(r"^S(?=[\s:#=-]{0,2}\d+[\s,;:/-]+F[\s:#=-]{0,2}\d+$)", re.IGNORECASE)
_CHARGER = re.compile(r"(?:[A-Za-z0-9_.]+/)?(?:(?i:(MREC))\s?0?(\d{1,2})[\s_-]*)?([A-Za-z][A-Za-z _-]*)")
_CHARGER_NUMBER = re.compile(r"(?:CX0|MREC[\s_-]?0?)(\d{1,2})", re.IGNORECASE)
_CHARGER_OWN = re.compile(r"[a-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*/[A-Z][A-Za-z]*")
_HUMPED = re.compile(r"(?=[A-Z]*[a-z])(?:[A-Z][a-z]+|[A-Z]{2,4}(?![a-z])){2,}")
_OEM = re.compile(r"[^\W_][\w .:/+#-]*", re.ASCII)
_OEM_WORD = re.compile(r"^(?:ERROR|ERR|FAULT|TROUBLE|ALARM|DTC|CODE|NO|NUMBER)+(?=[A-Z]*\d)")
OEM_MAX_LENGTH = 32

_ENDINGS = """
fault failure error warning timeout voltage current temperature failed detected stop derate loss mode insertion
latch cable charged open close lock unlock inoperative conflict signal
"""
_CHARGER_ENDINGS = tuple(_ENDINGS.split())
"""Endings by which a name in humps that no list has is still held for a charger's."""

NO_FAULT = frozenset({"noerror"})
"""Keys that report the absence of a fault: legal in a field, never evidence for a card."""


def normalise_code(text: str) -> Code:
    """The code written in a field of its own. Raises InvalidCode naming the rule it breaks."""
    cleaned = unicodedata.normalize("NFKC", text).strip()
    _check_shape(text, cleaned)
    status = None
    if found := _STATUS.search(cleaned):
        status = (found[1] or found[2]).lower()
        cleaned = (cleaned[: found.start()] + cleaned[found.end() :]).strip()
        if not cleaned:
            raise InvalidCode(text, "code_empty", f"{text!r} names a status but no code.")
    cleaned = _ADORNMENT.sub("", cleaned) or cleaned
    code = (
        _charger_number(cleaned)
        or _dtc(text, cleaned)
        or _uds(cleaned)
        or _spn_fmi(text, cleaned)
        or _charger(cleaned)
        or _oem(text, cleaned)
    )
    return code if status is None else replace(code, status=status)


def canonical_code(text: str) -> str:
    """Canonical notation of a code; text that is no legal code only gets its case and spacing evened out."""
    try:
        return str(normalise_code(text))
    except InvalidCode:
        return " ".join(unicodedata.normalize("NFKC", text).upper().split())


def _check_shape(text: str, cleaned: str) -> None:
    if not cleaned:
        raise InvalidCode(text, "code_empty", "A code must not be empty.")
    if len(cleaned) > MAX_CODE_LENGTH:
        raise InvalidCode(text, "code_length", f"A code has at most {MAX_CODE_LENGTH} characters, not {len(cleaned)}.")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in cleaned):
        raise InvalidCode(text, "code_characters", "A code must not contain control characters.")


def _dtc(text: str, cleaned: str) -> Code | None:
    if match := _DTC.fullmatch(cleaned):
        letter, area, number, spaced, attached, status = match.groups()
        return _make_dtc(letter + area + number, spaced or attached, _status(status))
    head = re.split(r"[\s:/_-]", cleaned, maxsplit=1)[0]
    if _DTC_SHAPED.fullmatch(head) and sum(character.isdigit() for character in head) >= 3:
        if head[1].upper() not in "0123O":
            rule, why = "dtc_second_character", "its second character must be 0 to 3"
        elif not re.fullmatch(r"[0-9A-FO]{3}", head[2:], re.IGNORECASE):
            rule, why = "dtc_hexadecimal", "its last three characters must be hexadecimal digits"
        else:
            rule, why = "dtc_failure_type", "what follows it must be a failure type byte of two hexadecimal digits"
        raise InvalidCode(text, rule, f"{cleaned!r} is not a legal SAE J2012 code: {why}.")
    return None


def _make_dtc(code: str, failure_type: str | None, status: str | None = None) -> Code:
    # Owners and scanned forms write the letter O for a zero: no code has an O after its first letter.
    code = code.upper()
    base = code[0] + code[1:].replace("O", "0")
    return Code(Scheme.dtc, base, failure_type.upper() if failure_type else None, status)


def _status(byte: str | None) -> str | None:
    """ISO 14229-1 D.2: bit 3 confirmedDTC, bit 2 pendingDTC."""
    bits = int(byte, 16) if byte else 0
    return "confirmed" if bits & 0x08 else "pending" if bits & 0x04 else None


def _uds(cleaned: str) -> Code | None:
    """ISO 14229-1 over SAE J2012-DA: two bytes of code (top two bits: P, C, B, U), then the failure type byte.

    Six bare digits are left to the makers, some of whom number their faults so.
    """
    match = _UDS.fullmatch(cleaned)
    if match is None:
        return None
    raw = int(match[1] or match[2] or match[3] + match[4] + match[5], 16)
    base = f"{'PCBU'[raw >> 22]}{raw >> 20 & 0x3}{raw >> 8 & 0xFFF:03X}"
    return Code(Scheme.dtc, base, f"{raw & 0xFF:02X}", _status(match[6]))


def _spn_fmi(text: str, cleaned: str) -> Code | None:
    match = _SPN_FMI.fullmatch(_SHORT_SPN.sub("SPN", cleaned))
    if match is None:
        return None
    spn, fmi = _pair(match)
    if spn > MAX_SPN:
        raise InvalidCode(text, "spn_range", f"An SPN is at most {MAX_SPN}, not {spn}.")
    if fmi is not None and fmi > MAX_FMI:
        raise InvalidCode(text, "fmi_range", f"An FMI is at most {MAX_FMI}, not {fmi}.")
    return _make_spn(spn, fmi)


def _pair(match: re.Match[str]) -> tuple[int, int | None]:
    """SPN and FMI of a match of `_SPN_FMI`, in whichever order they were written."""
    spn, fmi_named, fmi_bare, fmi_first, spn_second, spn_bare, fmi_last = match.groups()
    fmi = fmi_named or fmi_bare or fmi_first or fmi_last
    return _integer(spn or spn_second or spn_bare), None if fmi is None else _integer(fmi)


def _integer(digits: str) -> int:
    return int(digits, 16) if digits[:2].upper() == "0X" else int(digits)


def _make_spn(spn: int, fmi: int | None) -> Code:
    return Code(Scheme.spn_fmi, f"SPN {spn}", None if fmi is None else f"FMI {fmi}")


def _charger_number(cleaned: str) -> Code | None:
    match = _CHARGER_NUMBER.fullmatch(cleaned)
    name = MREC_NAMES.get(int(match[1])) if match else None
    return Code(Scheme.charger, name, f"MREC{int(match[1])}") if match and name else None


def _charger(cleaned: str) -> Code | None:
    """A name of the lists in any case and spacing; another in humps by its ending; any word behind an interface."""
    if match := _CHARGER.fullmatch(cleaned):
        detail = f"MREC{int(match[2])}" if match[1] else None
        name = re.sub(r"[ _-]", "", match[3])
        if known := NAMES.get(name.casefold()):
            return Code(Scheme.charger, known, detail)
        if detail or (_HUMPED.fullmatch(name) and name.casefold().endswith(_CHARGER_ENDINGS)):
            return Code(Scheme.charger, name, detail)
    return Code(Scheme.charger, cleaned) if _CHARGER_OWN.fullmatch(cleaned) else None


def _oem(text: str, cleaned: str) -> Code:
    if len(cleaned) > OEM_MAX_LENGTH:
        raise InvalidCode(text, "oem_length", f"A maker's code has at most {OEM_MAX_LENGTH} characters.")
    if len(cleaned.split()) > 3 or not _OEM.fullmatch(cleaned):
        raise InvalidCode(
            text,
            "oem_characters",
            f"{cleaned!r} is not a code: up to three words of letters, digits and . : / + # - _.",
        )
    base = _oem_base(cleaned)
    if len(base) > OEM_MAX_LENGTH:  # a bare number is longer with its "ERR"
        raise InvalidCode(text, "oem_length", f"A maker's code has at most {OEM_MAX_LENGTH} characters.")
    return Code(Scheme.oem, base)


def _oem_base(text: str) -> str:
    """Upper case without separators; "Error 07", "Err-7" and "7" are one code, "Error E-401" and "E401" another."""
    bare = _OEM_WORD.sub("", re.sub(r"[^0-9A-Z]", "", text.upper()))
    return f"ERR{int(bare)}" if bare.isdigit() else bare


# Free text. Every pattern is anchored so that it cannot start or end inside a longer word or number.
_TEXT_DTC = re.compile(
    rf"(?<![\w-])(?:({_STATUSES})\s+(?:codes?\s+)?)?([PCBU][0-3O][0-9A-FO]{{3}})"
    rf"(?:\s?[-:/(]\s?([0-9A-F]{{2}})\b\)?|([0-9A-F]{{2}}))?(?!\w)(?:\s*[-(]?\s*({_STATUSES})\b)?",
    re.IGNORECASE,
)
_TEXT_UDS = re.compile(r"(?<!\w)0X[0-9A-F]{6}(?!\w)", re.IGNORECASE)
_TEXT_SPN = re.compile(
    r"(?<!\w)(?:SPN\s*[:#=-]?\s*(\d{1,6})(?!\d)"
    r"(?:[\s,;/(-]{0,3}(?:and\s+)?FMI\s*[:#=-]?\s*(\d{1,2})(?!\d)|\s?[/-]\s?(\d{1,2})(?!\d))?"
    r"|FMI\s*[:#=-]?\s*(\d{1,2})[\s,;/-]{1,3}SPN\s*[:#=-]?\s*(\d{1,6})(?!\d))",
    re.IGNORECASE,
)
_TEXT_CHARGER = re.compile(rf"(?<![\w/])(?:[a-z_]+/)?(?:MREC\d{{1,2}})?{_HUMPED.pattern}(?!\w)|(?<!\w)CX0\d\d(?!\w)")
_TEXT_ALERT = re.compile(r"(?<!\w)[A-Z]{2,12}_[AFUW]\d{3}(?!\w)", re.IGNORECASE)
_TOKEN = r"[A-Z]{1,4}[-_]?\d{1,5}[A-Z]?|(?:0X)?\d{1,5}"  # noqa: S105 - a pattern of codes
_LETTERED = r"[A-Z]{1,4}[-_]?\d{1,5}[A-Z]?"
_MARKS = r"\s*(?:no\.?|is|was|of|were|are)?\s*[:#-]?\s*"
_LISTED = r"((?:{0})(?:\s*(?:,|/|&|and|or)\s*(?:{0}))*)(?!\w)"
_TEXT_MARKED = re.compile(
    rf"(?<!\w)(?:(?:error|fault|trouble|alarm|diagnostic)\s+codes?|err|dtcs?){_MARKS}{_LISTED.format(_TOKEN)}",
    re.IGNORECASE,
)
_TEXT_LETTERED = re.compile(
    rf"(?<!\w)(?:(\w+)\s+)?(?:codes?|errors?|faults?){_MARKS}{_LISTED.format(_LETTERED)}", re.IGNORECASE
)
_TEXT_SHOWN = re.compile(
    rf"(?<!\w)(?:show(?:s|ed|ing|n)?|display(?:s|ed|ing)?|flash(?:es|ed|ing)?|blink(?:s|ed|ing)?|reads?|reading)\s+"
    rf"(?:an?\s+)?{_LISTED.format(r'E(?:RR?)?[-_]?[0-9]{1,4}')}",
    re.IGNORECASE,
)
_TEXT_WORD = re.compile(r"(?<!\w)[A-Z]{1,8}[-_]?\d{1,6}[A-Z]?(?!\w)", re.IGNORECASE)

_OTHER = "recall campaign notification dealer postal zip area part parts paint color colour key promo problem pin"
_OTHER_CODES = frozenset(_OTHER.split())
"""Words before "code" that make it something else than a fault's."""

# Trucks named like body and chassis codes: "Mazda B2300", "Chevrolet C1500".
_MODEL_NAMES = frozenset({"B2000", "B2200", "B2300", "B2500", "B2600", "B3000", "C1500", "C2500", "C3500"})


def find_codes(text: str, known: Collection[str] = ()) -> list[Code]:
    """The codes written in free text, without repetition, in order of scheme and then of appearance.

    `known` holds keys of codes that some card carries: they are recognised bare, while a maker's code nobody knows
    needs a word such as "error code" before it, lest every "E85" and "F150" becomes a fault.
    """
    found: dict[tuple[str, str | None], Code] = {}
    for code in _scan(unicodedata.normalize("NFKC", text), known):
        found.setdefault((code.key, code.detail), code)
    return [code for code in found.values() if code.key not in NO_FAULT]


def _scan(text: str, known: Collection[str]) -> Iterator[Code]:
    for match in _TEXT_DTC.finditer(text):
        before, base, spaced, attached, after = match.groups()
        base = base.upper()
        if sum(character.isdigit() for character in base) >= 2 and (base not in _MODEL_NAMES or base in known):
            yield _make_dtc(base, spaced or attached, (before or after or "").lower() or None)
    for match in _TEXT_UDS.finditer(text):
        if code := _uds(match[0]):
            yield code
    for match in _TEXT_SPN.finditer(text):
        spn, fmi = int(match[1] or match[5]), match[2] or match[3] or match[4]
        if spn <= MAX_SPN and (fmi is None or int(fmi) <= MAX_FMI):
            yield _make_spn(spn, None if fmi is None else int(fmi))
    for match in _TEXT_CHARGER.finditer(text):
        # The interface before a name may be any word before a stroke here.
        if code := _charger_number(match[0]) or _charger(match[0].rpartition("/")[2]):
            yield code
    for match in _TEXT_ALERT.finditer(text):
        yield Code(Scheme.oem, _oem_base(match[0]))
    yield from _scan_oem(text, known)


def _scan_oem(text: str, known: Collection[str]) -> Iterator[Code]:
    for pattern in (_TEXT_MARKED, _TEXT_LETTERED, _TEXT_SHOWN):
        for match in pattern.finditer(text):
            if match.re is _TEXT_LETTERED and (match[1] or "").casefold() in _OTHER_CODES:
                continue
            for token in re.findall(_TOKEN, match[match.lastindex or 1], re.IGNORECASE):
                if not _DTC.fullmatch(token):
                    yield Code(Scheme.oem, _oem_base(token))
    if known:
        for match in _TEXT_WORD.finditer(text):
            base = _oem_base(match[0])
            if base in known and not _DTC.fullmatch(match[0]):
                yield Code(Scheme.oem, base)
