"""Trees as YAML and Mermaid: there and back, and what is refused."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Invalid
from models.failure_card import DiagnosticTree
from seeds.starter import load_starter
from services.knowledge.diagnostic_tree import check_tree
from services.knowledge.tree_formats import DERIVED, from_mermaid, from_yaml, to_mermaid, to_yaml

FORMATS = {"yaml": (to_yaml, from_yaml), "mermaid": (to_mermaid, from_mermaid)}
CHART = """
flowchart TD
  start["Is the charger lamp dark?"] -->|yes| fuse{"Is the fuse open?"}
  start -->|No| h1(["Hand over: BMS card"])
  fuse -->|"yes"| c1(["confirmed: fuse blown"])
  fuse -->|no| h1
"""


def written(tree: DiagnosticTree) -> dict:
    return tree.model_dump(exclude=DERIVED)


@pytest.mark.parametrize("form", FORMATS)
def test_every_starter_tree_comes_back_the_same(form: str):
    export, restore = FORMATS[form]
    for key, card in load_starter().cards:
        root_first = sorted(card.diagnostic_tree.nodes, key=lambda n: n.node_id != card.diagnostic_tree.root_node_id)
        tree = card.diagnostic_tree.model_copy(update={"nodes": root_first})
        assert written(restore(export(tree))) == written(tree), key


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).map(
    str.strip
)


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)
@given(question=texts.filter(bool), cause=texts.filter(bool), node_id=st.from_regex(r"\A[A-Za-z0-9_.-]{1,20}\Z"))
def test_whatever_the_texts_hold(form: str, question: str, cause: str, node_id: str):
    node = {"node_id": node_id, "step_number": 3, "question": question, "check_action": cause}
    tree = DiagnosticTree(
        root_node_id=node_id, nodes=[node | {"leads_to_root_cause": cause, "hands_over_to": question}]
    )
    export, restore = FORMATS[form]

    assert written(restore(export(tree))) == written(tree)


def test_a_chart_drawn_by_hand():
    tree = check_tree(from_mermaid(CHART))

    first, second = tree.nodes
    assert (tree.root_node_id, first.if_yes, first.hands_over_to) == ("start", "fuse", "BMS card")
    assert (second.leads_to_root_cause, second.hands_over_to) == ("fuse blown", "BMS card")
    assert second.check_action == second.question == "Is the fuse open?"
    assert (tree.total_paths, tree.avg_path_length) == (3, pytest.approx(5 / 3))


def test_a_chart_without_a_question_says_so():
    with pytest.raises(Invalid, match="mermaid: draws no question"):
        from_mermaid("flowchart TD\n")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('a -->|maybe| b{"B?"}', "no answer"),
        ("a --> b", "no question"),
        ("subgraph one", "neither"),
        ('a{"A?"} -->|yes| b(["Perhaps: x"])', "begins with"),
        ("%% a {broken}", "JSON is broken"),
    ],
)
def test_what_no_tree_draws_is_refused_with_its_line(line: str, rule: str):
    with pytest.raises(Invalid, match=rule) as refused:
        from_mermaid(f"flowchart TD\n{line}")
    assert refused.value.extra["errors"][0]["field"] == "mermaid.line.2"


@pytest.mark.parametrize(
    "text",
    ["nodes: [", "- 1", "a: &x [1]\nb: *x", "root_node_id: n1", "root_node_id: n1\nnodes: [{node_id: n1, wheels: 3}]"],
)
def test_yaml_that_is_no_tree_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        from_yaml(text)
    assert refused.value.extra["errors"][0]["field"].startswith("yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 20_000, "nested more than 10 deep"),
        ("{a: " * 20_000, "nested more than 10 deep"),
        ("".join(f"{' ' * level}a:\n" for level in range(300)), "nested more than 10 deep"),
        ("nodes:\n" + "- a\n" * 100_000, "no more than 15,000 values"),
        ("".join(f"k{number}: v\n" for number in range(40_000)), "no more than 15,000 values"),
    ],
)
def test_yaml_larger_than_any_tree_is_given_up_early(text: str, why: str):
    with pytest.raises(Invalid, match=why) as refused:
        from_yaml(text)
    assert refused.value.status == 422


def test_the_largest_tree_comes_back_the_same():
    texts = ["question", "check_action", "expected_outcome", "leads_to_root_cause", "hands_over_to"]
    node = dict.fromkeys(texts, "text") | {"step_number": 1, "duration_minutes": 7, "if_yes": None, "if_no": None}
    node |= {"tools_required": ["tool"] * 20, "safety_warnings": ["gloves"] * 20}
    nodes = [node | {"node_id": f"n{number}"} for number in range(200)]
    tree = DiagnosticTree.model_validate({"root_node_id": "n0", "nodes": nodes})
    for export, restore in FORMATS.values():
        assert written(restore(export(tree))) == written(tree)


@pytest.mark.parametrize(
    "line",
    ['a{"' + "x" * 40_000, "a -->" + " " * 40_000 + "!", "a -->|" + " " * 40_000, "x " * 20_000, 'a["' * 15_000],
)
def test_a_long_line_of_a_chart_costs_its_length_and_not_the_square_of_it(line: str):
    started = time.process_time()
    with pytest.raises(Invalid, match="neither a box"):
        from_mermaid(f"flowchart TD\n{line}")
    assert time.process_time() - started < 1
