"""How much a word of a complaint says: what every owner writes says little, whatever the cards are about.

The shares come from a shipped table counted over public owner complaints; it knows no card and no failure.
"""

import json
import math
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def _shares() -> tuple[dict[str, float], float]:
    table = json.loads(files("matching.models").joinpath("owner_language.json").read_text("utf-8"))
    return table["share"], table["floor"]


@lru_cache(maxsize=65536)
def telling(term: str) -> float:
    """Weight in (0, 1] of a term in a complaint: 1 up to the table's floor, less the more complaints contain it."""
    shares, floor = _shares()
    share = max(shares.get(term, floor), floor)
    # The square root: half-way between trusting the owners' statistics and the cards' own.
    return math.sqrt(math.log(1 + 1 / share) / math.log(1 + 1 / floor))
