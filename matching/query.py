"""A case made ready for the channels: what several of them need is worked out once."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from matching.codes import NO_FAULT, Code, InvalidCode, find_codes, normalise_code
from matching.records import Case
from matching.signature import SignatureFields
from matching.spelling import Correction
from matching.text import is_keyword, spelled_terms


class Query:
    """Derived facts of one case. `memo` is scratch space where a channel keeps what it computed for this case.

    `corrections` tells by misspelt term what it is read as; `hints` are terms the complaint does not have, each with
    the name of the symptom it stands for.
    """

    def __init__(
        self,
        case: Case,
        known_codes: Collection[str] = (),
    ) -> None:
        self.case = case
        pairs = list(spelled_terms(case.text))
        self.terms = [term for term, _ in pairs]
        self._surface = dict(reversed(pairs))
        self.term_counts = Counter(self.terms)
        self.keywords = frozenset(filter(is_keyword, self.term_counts))
        self.codes = _case_codes(case, known_codes)
        self.corrections: Mapping[str, Correction] = {}
        self.hints: Mapping[str, str] = {}
        self.memo: dict[str, Any] = {}

    def surface(self, term: str) -> str:
        """The words of the complaint behind an index term, as they were written first."""
        return self._surface.get(term, term)

    def read(self, term: str) -> str:
        """The term as it is understood: itself, or what a misspelt one is read as."""
        correction = self.corrections.get(term)
        return term if correction is None else correction.term

    @cached_property
    def signature(self) -> SignatureFields | None:
        """The case's signature, built from its symptom ids and codes if none was given."""
        if self.case.signature is not None:
            return self.case.signature
        if not self.case.symptom_codes and not self.codes:
            return None
        return SignatureFields(
            primary_symptoms=self.case.symptom_codes,
            error_codes=tuple(str(code) for code in self.codes),
            subsystem=self.case.subsystem,
        )


def _case_codes(case: Case, known: Collection[str]) -> tuple[Code, ...]:
    """Reported codes first, then those found in the text. Illegal ones, the caller's to reject, are skipped."""
    found: dict[tuple[str, str | None], Code] = {}
    for text in case.error_codes:
        try:
            code = normalise_code(text)
        except InvalidCode:
            continue
        if code.key not in NO_FAULT:
            found.setdefault((code.key, code.detail), code)
    for code in find_codes(case.text, known):
        found.setdefault((code.key, code.detail), code)
    return tuple(found.values())
