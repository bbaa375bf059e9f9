"""What work on a vehicle costs, in the organisation's currency; and the cheapest way to a repair without more tests.

Decision-theoretic troubleshooting: Heckerman, Breese & Rommelse, "Decision-theoretic troubleshooting" (CACM 38(3),
1995); Jensen et al., "The SACSO methodology for troubleshooting complex systems" (AI EDAM 15(4), 2001); Langseth &
Jensen, "Decision theoretic troubleshooting of coherent systems" (RESS 80(1), 2003).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Economics:
    """Rates of a workshop. `hand_over` is what it costs to give up and call somebody who finds out, beyond the repair
    that follows: an expert's day, transport, and a commercial vehicle that stands for some days meanwhile. `in_vain` is
    what a repair that does not help costs beyond its price: finding that out, which takes a test drive at best and a
    customer who comes back at worst, and starting over."""

    labour_per_minute: float = 12.0
    hand_over: float = 15_000.0
    unknown_repair: float = 6000.0
    out_of_stock: float = 800.0
    in_vain: float = 2000.0


@dataclass(frozen=True, slots=True)
class Repair:
    """What a card's repair costs with labour and parts, and how often it works where the card is the cause."""

    cost: float
    works: float = 0.95


@dataclass(frozen=True, slots=True)
class Outlook:
    """The cheapest way on without a further test, for each of several beliefs.

    `cost`: expected cost until the vehicle is repaired, by whomever. `first`: card to repair first, -1: hand over.
    """

    cost: np.ndarray
    first: np.ndarray


def outlook(beliefs: np.ndarray, repairs: np.ndarray, works: np.ndarray, economics: Economics) -> Outlook:
    """`beliefs`: rows of probabilities over cards, the unknown failure last; `repairs` and `works` by card.

    One failure at a time: repairs are tried in descending order of chance of success per cost, each is paid for as long
    as none before it has worked, and at the cheapest point the rest is handed over (Heckerman et al., eq. 3). A repair
    costs its price, and `in_vain` unless it works; exchanging two neighbours shows that the order is then by chance per
    sum of both. Whoever takes over still has to pay for the repair that the vehicle needs.
    """
    fixes = beliefs[:, :-1] * works
    order = np.argsort(-fixes / (repairs + economics.in_vain), axis=1, kind="stable")
    fixed = np.take_along_axis(fixes, order, axis=1)
    price = repairs[order]
    left = 1.0 - np.cumsum(fixed, axis=1)
    reach = np.concatenate([np.ones((len(beliefs), 1)), left], axis=1)
    tried = reach[:, :-1] * price + np.maximum(left, 0.0) * economics.in_vain
    spent = np.concatenate([np.zeros((len(beliefs), 1)), np.cumsum(tried, axis=1)], axis=1)
    # What remains unrepaired at each point: the cards not tried, those tried in vain, and the unknown failure.
    owed = (beliefs[:, :-1] @ repairs + beliefs[:, -1] * economics.unknown_repair)[:, None]
    due = owed - np.concatenate([np.zeros((len(beliefs), 1)), np.cumsum(fixed * price, axis=1)], axis=1)
    cost = spent + np.maximum(reach, 0.0) * economics.hand_over + due
    best = np.argmin(cost, axis=1)
    rows = np.arange(len(beliefs))
    first = np.where(best > 0, order[:, 0] if order.shape[1] else -1, -1)
    return Outlook(cost[rows, best], first)
