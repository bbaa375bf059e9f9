"""The skeleton of a diagnostic tree out of the checks that one repair made, for an author to complete."""

from models.failure_card import DiagnosticNode, DiagnosticTree
from models.technician_action import AttemptedDiagnostic, TechnicianAction

MAX_CHECKS = 20
DEFAULT_MINUTES = 5
ANOTHER_CAUSE = "Another failure than this one"


def skeleton(action: TechnicianAction) -> DiagnosticTree | None:
    """A chain of the checks with a finding: "yes" (it shows the same here) goes on, "no" hands over.

    What excluded other causes comes first, in the order it was done, then what confirmed the cause. None without a
    known cause or a confirming check: one repair that proved nothing is no guide.
    """
    made = [tried for tried in action.attempted_diagnostics if tried.result and tried.confirmed is not None]
    confirming = [tried for tried in made if tried.confirmed]
    if not confirming or not action.new_failure_root_cause:
        return None
    excluding = [tried for tried in made if not tried.confirmed][: max(0, MAX_CHECKS - len(confirming))]
    checks = [*excluding, *confirming[-MAX_CHECKS:]]
    minutes = max(1, action.diagnostic_time_minutes // len(checks)) if action.diagnostic_time_minutes else None
    nodes = [_node(number, tried, minutes, len(checks)) for number, tried in enumerate(checks, 1)]
    nodes[-1] = nodes[-1].model_copy(update={"leads_to_root_cause": _cut(action.new_failure_root_cause, 500)})
    return DiagnosticTree(root_node_id=nodes[0].node_id, nodes=nodes)


def _node(number: int, tried: AttemptedDiagnostic, minutes: int | None, count: int) -> DiagnosticNode:
    return DiagnosticNode(
        node_id=f"check-{number}",
        step_number=number,
        question=_cut(f"Is it the same here: {tried.result}", 199).rstrip(".?") + "?",
        check_action=tried.check_performed,
        expected_outcome=tried.result,
        tools_required=tried.tools_used[:20],
        duration_minutes=minutes or DEFAULT_MINUTES,
        if_yes=f"check-{number + 1}" if number < count else None,
        hands_over_to=(tried.hypothesis if not tried.confirmed else "") or ANOTHER_CAUSE,
    )


def _cut(text: str, length: int) -> str:
    """At most `length` characters, ended at a word."""
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0]
