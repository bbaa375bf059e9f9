"""Fault codes as people type them, brought into the one notation in which they are stored and matched."""

from collections.abc import Iterable

from app.errors import Invalid
from matching.codes import InvalidCode, normalise_code


def normalised(codes: Iterable[str], field: str) -> list[str]:
    """The codes in canonical notation, each once. Raises Invalid with every illegal one, by its place in `field`."""
    found: dict[str, None] = {}
    errors: list[dict[str, str]] = []
    for place, text in enumerate(codes):
        try:
            found[str(normalise_code(text))] = None
        except InvalidCode as error:
            errors.append({"field": f"{field}.{place}", "rule": str(error), "code": error.rule, "value": text[:200]})
    if errors:
        raise Invalid("; ".join(error["rule"] for error in errors[:5]), errors=errors)
    return list(found)
