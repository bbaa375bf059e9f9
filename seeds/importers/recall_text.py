"""Reading the standing prose of recall notices: the defect, what follows from it, and what is done about it."""

import re

from models.enums import FailureMode
from seeds.importers.nhtsa import sentences

MAX_SYMPTOMS = 8
MAX_STEPS = 100

_BOILERPLATE = re.compile(
    r"(is|are) recalling|^VEHICLE DESCRIPTION|fails? to comply with|fail(s|ed)? to conform"
    r"|^CERTAIN\b.*\b(VEHICLES|TRUCKS)\.?$",
    re.IGNORECASE,
)
_EFFECT = re.compile(
    r",?\s*(?:and )?(?:which|that|this)?\s*(?:can|could|may|might|possibly|potentially)?\s*"
    r"(?P<verb>result(?:s|ing)? in|caus(?:e|es|ing)|lead(?:s|ing)? to)\s+(?P<effect>[^.;]+)",
    re.IGNORECASE,
)
_RISK = re.compile(
    r",?\s*(?:and )?(?:thereby |thus )?(?:which )?(?:can |could |may |might |will )?(?:also )?"
    r"increas(?:e|es|ing) (?:the )?(?:risk|likelihood|possibility)\b.*$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(an?|the) ")
_TOLD_OWNERS = re.compile(r"^[^,.]*\bnotif\w+[^,.]*,?\s+and\s+", re.IGNORECASE)
_FREE = re.compile(r",?\s*(at no (cost|charge)( to (the )?\w+)?|free of charge)(?=[.,;]|$)", re.IGNORECASE)
_WORK = re.compile(
    r"\b(replac|repair|inspect|updat|(re)?program|install|tighten|(re-?)?torque|adjust|remov|test|check|seal|rerout|"
    r"modif|recalibrat|calibrat|align|appl|secur|correct|reflash|lubricat|(re)?weld|(re)?bond|attach|move|rework|"
    r"refund|repurchas|analy[sz]|provid|swap|clean|refill)",
    re.IGNORECASE,
)
_PAPERWORK = re.compile(
    r"^((an )?interim |the )?(owners?|letters?|recall|vehicles previously|this recall|remedy for this)\b"
    r"|^the manufacturer has not|customer service|number for (this|the) recall|\bletters? (was|were|is|are)\b",
    re.IGNORECASE,
)
_MODES: list[tuple[re.Pattern[str], FailureMode]] = [
    (re.compile(pattern, re.IGNORECASE), mode)
    for pattern, mode in [
        (r"short[- ]circuit|\bshort(s|ed|ing)\b|electrical short\b", FailureMode.short_circuit),
        (r"overheat|melt|thermal (event|runaway)", FailureMode.overheating),
        (r"\bleak|seep", FailureMode.leakage),
        (r"open circuit|disconnect|broken (wire|connection)|loss of electrical connection", FailureMode.open_circuit),
        (r"los(s|e|es|ing) (of )?communication|communication (error|failure|loss)", FailureMode.communication_loss),
        (r"intermittent", FailureMode.intermittent),
        (r"unexpected|unintended|inadvertent|without warning|unwanted", FailureMode.erratic),
        (
            r"inaccurate|incorrect(ly)? (display|read|indicat)|false(ly)?\b|may not (display|indicate|illuminate)",
            FailureMode.false_reading,
        ),
        (r"noise|vibrat", FailureMode.noise_vibration),
        (r"corro|\bwear|\bworn|deteriorat|degrad|fatigue", FailureMode.degradation),
        (r"crack|fractur|break|broke|detach|separat|loose|bent|tear|torn|rupture|damage", FailureMode.physical_damage),
    ]
]


def defect_of(summary: str) -> str:
    """The summary without the sentences that only say which vehicles are recalled and which standard they fail."""
    telling = [sentence for sentence in sentences(summary) if not _BOILERPLATE.search(sentence)]
    return " ".join(telling) or summary


def cause_of(defect: str) -> str:
    """The defect without what follows from it."""
    cause = _EFFECT.split(defect, maxsplit=1)[0].strip(" ,;")
    return cause if len(cause) >= 20 else defect


def effects_of(defect: str, consequence: str) -> list[str]:
    """What an owner or technician notices: stated effects of the defect, then the consequence without its risk."""
    stated = [
        match["effect"].strip()
        for match in _EFFECT.finditer(defect)
        # "cause the engine to stall" leaves no phrase that stands alone; the consequence says it again.
        if not (match["verb"].lower().startswith("caus") and " to " in match["effect"].lower())
    ]
    followed = [_RISK.sub("", sentence).strip(" .,") for sentence in sentences(consequence)]
    found: dict[str, str] = {}
    for text in (*stated, *followed):
        if len(text) >= 8:
            found.setdefault(_ARTICLE.sub("", text.casefold()), text[0].upper() + text[1:])
    return list(found.values())[:MAX_SYMPTOMS]


def steps_of(remedy: str) -> list[str]:
    """What is done to the vehicle, sentence by sentence, without letters, dates and telephone numbers."""
    steps = []
    for sentence in sentences(remedy):
        action = _FREE.sub("", _TOLD_OWNERS.sub("", sentence)).strip()
        if _WORK.search(action) and not _PAPERWORK.search(action):
            steps.append(action[0].upper() + action[1:])
    return steps[:MAX_STEPS]


def failure_mode_of(text: str) -> FailureMode:
    """How it fails, by the first telling words; a complete failure where none are."""
    return next((mode for pattern, mode in _MODES if pattern.search(text)), FailureMode.complete_failure)
