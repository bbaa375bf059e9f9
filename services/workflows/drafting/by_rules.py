"""Suggestions without a model: causes that the technicians' own sentences name, and causes of alike failures."""

import re
from collections.abc import Iterator

from models.draft_suggestion import SourceKind, SuggestedField, Suggestion
from services.workflows.drafting.passages import Alike, Material, Passage

RULES = "rules"
LEAST_SHARE = 0.1
"""Of the alike cards' whole score: a card below it is noise. The failure is held to be a new one, so what counts is how
the cards stand to each other, not how likely each of them is."""
MAX_CAUSES = 8

_SENTENCE = re.compile(r"[^.;!?\n]+(?:\.\d+[^.;!?\n]*)*")
_CAUSE = re.compile(
    r"\b(?:because of|due to|caused by|traced (?:back )?to|root cause(?: is| was)?:?|reason (?:is|was)|as a result of"
    r"|owing to|on account of)\s+(?:the fact that\s+)?(?P<cause>\S.{6,200})",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:not|never|no longer|n't|neither|ruled out)\b", re.IGNORECASE)


def suggestions(known: Material) -> list[Suggestion]:
    """Causes, the technicians' own first, each text once."""
    found: dict[str, Suggestion] = {}
    for suggestion in (*_stated(known.passages), *_alike(known.alike)):
        found.setdefault(suggestion.text.casefold(), suggestion)
    return [one.model_copy(update={"number": n}) for n, one in enumerate(list(found.values())[:MAX_CAUSES], 1)]


def _stated(passages: list[Passage]) -> Iterator[Suggestion]:
    """Sentences of ticket and work that name a cause; what a customer guesses is marked as theirs."""
    for passage in sorted(passages, key=lambda passage: passage.kind is not SourceKind.action):
        if passage.kind is SourceKind.card:
            continue
        for sentence in _SENTENCE.findall(passage.text):
            match = _CAUSE.search(sentence)
            if match is None or _DENIED.search(sentence[: match.start()]):
                continue
            cause = match["cause"].strip(" ,:")
            who = "The technician's" if passage.kind is SourceKind.action else "The ticket's"
            yield Suggestion(
                number=0,
                field=SuggestedField.root_cause,
                text=cause[:1].upper() + cause[1:],
                why=f"{who} own words",
                sources=[passage.source(sentence.strip())],
                made_by=RULES,
            )


def _alike(cards: list[Alike]) -> Iterator[Suggestion]:
    """Causes of the cards nearest to the failure that nobody ruled out."""
    whole = sum(one.candidate.score for one in cards)
    for one in cards:
        candidate = one.candidate
        cause = one.card.root_cause.split("\n")[0].strip()[:500]
        if candidate.score < LEAST_SHARE * whole or len(cause) < 3:
            continue
        reasons = "; ".join(reason.text for reason in candidate.reasons if reason.contribution > 0)
        yield Suggestion(
            number=0,
            field=SuggestedField.root_cause,
            text=cause,
            why=f"Cause of “{one.card.title}”, a failure alike: {reasons}"[:500],
            probability=candidate.probability,
            sources=[one.passage.source(cause)],
            made_by=RULES,
        )
