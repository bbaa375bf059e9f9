"""The checks of one repair as a tree that an author can complete."""

from models.enums import ResolutionOutcome
from models.technician_action import AttemptedDiagnostic, TechnicianAction
from services.knowledge.diagnostic_tree import check_tree
from services.workflows.drafting.tree import ANOTHER_CAUSE, MAX_CHECKS, skeleton


def _action(*tried: AttemptedDiagnostic, cause: str = "Cracked gasket", minutes: int = 30) -> TechnicianAction:
    return TechnicianAction(
        ticket_id="tkt_1",
        technician_id="usr_1",
        resolution_outcome=ResolutionOutcome.success,
        attempted_diagnostics=list(tried),
        new_failure_root_cause=cause,
        diagnostic_time_minutes=minutes,
    )


def _check(what: str, result: str, confirmed: bool | None, hypothesis: str = "") -> AttemptedDiagnostic:
    return AttemptedDiagnostic(check_performed=what, result=result, confirmed=confirmed, hypothesis=hypothesis)


def test_what_excluded_comes_first_and_the_confirming_check_decides():
    tree = skeleton(
        _action(
            _check("Measure the sensor", "open instead of below 5 Ω", True),
            _check("Check the pilot line", "1 kΩ as it should be.", False, "pilot line broken"),
            _check("Look at the plug", "", None),
        )
    )
    assert tree is not None
    first, last = tree.nodes
    assert (first.check_action, first.question) == (
        "Check the pilot line",
        "Is it the same here: 1 kΩ as it should be?",
    )
    assert (first.if_yes, first.hands_over_to) == (last.node_id, "pilot line broken")
    assert (last.leads_to_root_cause, last.hands_over_to) == ("Cracked gasket", ANOTHER_CAUSE)
    assert first.duration_minutes + last.duration_minutes == 30
    assert check_tree(tree).total_paths == 3


def test_a_repair_that_proved_nothing_gives_no_tree():
    assert skeleton(_action()) is None
    assert skeleton(_action(_check("Measure", "fine", False))) is None
    assert skeleton(_action(_check("Measure", "open", True), cause="")) is None


def test_long_protocols_and_long_words_stay_within_bounds():
    many = [_check(f"Check {n}", "result " * 60, n % 2 == 0) for n in range(50)]
    tree = skeleton(_action(*many, cause="cause " * 300, minutes=0))
    assert tree is not None
    assert len(tree.nodes) == MAX_CHECKS
    assert check_tree(tree).avg_path_length > 1
