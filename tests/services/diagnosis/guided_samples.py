"""Trees and planners that the tests of guided diagnosis share."""

from typing import Any

import numpy as np

from models.failure_card import DiagnosticTree
from services.diagnosis.guided import likelihoods
from services.diagnosis.guided.catalogue import build
from services.diagnosis.guided.economics import Economics, Repair
from services.diagnosis.guided.planner import Planner


def node(node_id: str, question: str, **fields: Any) -> dict[str, Any]:
    return {"node_id": node_id, "step_number": 1, "question": question, "check_action": "Look", **fields}


def leaf(question: str, *, cause: str = "Found", **fields: Any) -> DiagnosticTree:
    """A tree of one question: yes confirms, no hands over."""
    only = node("n1", question, leads_to_root_cause=cause, hands_over_to="Another card", **fields)
    return DiagnosticTree(root_node_id="n1", nodes=[only])


def chain(*questions: str, minutes: int = 5) -> DiagnosticTree:
    """Questions one after another: yes goes on and finally confirms, every no hands over."""
    nodes = []
    for n, question in enumerate(questions, 1):
        last = n == len(questions)
        onward = {"leads_to_root_cause": "Found"} if last else {"if_yes": f"n{n + 1}"}
        nodes.append(node(f"n{n}", question, duration_minutes=minutes, hands_over_to="Another card", **onward))
    return DiagnosticTree(root_node_id="n1", nodes=nodes)


def planner(
    trees: dict[str, DiagnosticTree | None],
    prior: list[float],
    repairs: list[float] | None = None,
    *,
    works: float = 0.95,
    learnt: likelihoods.Learnt | None = None,
    economics: Economics | None = None,
) -> Planner:
    """`prior` has one entry more than there are trees: the unknown failure."""
    catalogue = build(trees)
    prices = repairs or [2000.0] * len(trees)
    table = likelihoods.table(catalogue, learnt)
    return Planner(catalogue, np.array(prior), table, [Repair(price, works) for price in prices], economics)
