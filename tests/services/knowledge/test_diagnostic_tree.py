import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from models.failure_card import DiagnosticNode, DiagnosticTree
from services.knowledge.diagnostic_tree import MAX_PATHS, branches, check_tree


def node(node_id, if_yes=None, if_no=None, confirms=None, hands_over=None):
    return DiagnosticNode(
        node_id=node_id,
        step_number=1,
        question=f"Is the reading of {node_id} in range?",
        check_action="Measure it",
        if_yes=if_yes,
        if_no=if_no,
        leads_to_root_cause=confirms,
        hands_over_to=hands_over,
    )


def tree(*nodes, root="a"):
    return DiagnosticTree(root_node_id=root, nodes=list(nodes))


def faults(*nodes, root="a"):
    with pytest.raises(Invalid) as caught:
        check_tree(tree(*nodes, root=root))
    return [(fault["field"], fault["rule"]) for fault in caught.value.extra["errors"]]


def places(*nodes, root="a"):
    return [field.removeprefix("diagnostic_tree.") for field, _ in faults(*nodes, root=root)]


def test_a_sound_tree_is_counted_and_named_and_the_original_left_alone():
    original = tree(
        node("a", if_yes="b", if_no="c"),
        node("b", if_no="c", confirms="worn brushes"),
        node("c", confirms="open winding", hands_over="the controller"),
    )
    checked = check_tree(original)
    # a-b(yes), a-b-c(yes), a-b-c(no), a-c(yes), a-c(no)
    assert checked.total_paths == 5
    assert checked.avg_path_length == pytest.approx((2 + 3 + 3 + 2 + 2) / 5)
    assert checked.tree_id.startswith("tree_")
    assert (original.tree_id, original.total_paths) == ("", 0)


def test_a_given_tree_id_is_kept():
    assert check_tree(
        DiagnosticTree(tree_id="tree_mine", root_node_id="a", nodes=[node("a", confirms="x")])
    ).tree_id == ("tree_mine")


def test_a_single_leaf_is_one_path_of_one_step():
    checked = check_tree(tree(node("a", confirms="blown fuse")))
    assert (checked.total_paths, checked.avg_path_length) == (1, 1.0)


@pytest.mark.parametrize("verdict", ["confirms", "hands_over"])
@pytest.mark.parametrize("branch", ["if_yes", "if_no"])
def test_the_answer_without_a_branch_may_carry_the_verdict(branch, verdict):
    checked = check_tree(tree(node("a", **{branch: "b", verdict: "there"}), node("b", hands_over="elsewhere")))
    assert checked.total_paths == 2


def test_200_nodes_that_share_successors_are_counted_without_enumerating():
    nodes = [node(f"n{i}", if_yes=f"n{i + 1}", if_no=f"n{i + 2}") for i in range(72)]
    nodes += [node("n72", confirms="x"), node("n73", confirms="y")]
    checked = check_tree(tree(*nodes, root="n0"))
    fibonacci = [1, 1]
    while len(fibonacci) < 74:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    assert checked.total_paths == fibonacci[73]
    assert 37 <= checked.avg_path_length <= 73


def test_more_paths_than_can_be_counted_exactly_are_refused():
    nodes = [node(f"n{i}", if_yes=f"n{i + 1}", if_no=f"n{min(i + 2, 199)}") for i in range(199)]
    assert faults(*nodes, node("n199", confirms="x"), root="n0") == [
        ("diagnostic_tree.nodes", f"the nodes form more than {MAX_PATHS} paths")
    ]


def test_a_chain_of_200_nodes_needs_no_deep_recursion():
    nodes = [node(f"n{i}", if_yes=f"n{i + 1}", hands_over="elsewhere") for i in range(199)]
    assert check_tree(tree(*nodes, node("n199", confirms="x"), root="n0")).total_paths == 200


def test_a_missing_root_is_named_and_hides_no_other_fault():
    assert places(node("a"), root="z") == ["root_node_id", "nodes.0"]


def test_a_dangling_branch_is_named():
    assert faults(node("a", if_yes="b", confirms="x")) == [
        ("diagnostic_tree.nodes.0.if_yes", "names no node of this tree")
    ]


def test_a_repeated_id_is_named_where_it_repeats():
    assert places(node("a", confirms="x"), node("a", confirms="y")) == ["nodes.1.node_id"]


def test_an_unreachable_node_is_named():
    assert places(node("a", confirms="x"), node("b", if_yes="c", confirms="y"), node("c", confirms="z")) == [
        "nodes.1",
        "nodes.2",
    ]


def test_a_loop_is_named_with_the_branch_that_closes_it():
    assert faults(
        node("a", if_yes="b", confirms="x"),
        node("b", if_yes="c", confirms="x"),
        node("c", if_yes="b", confirms="x"),
    ) == [("diagnostic_tree.nodes.2.if_yes", "closes the loop b → c → b")]


def test_a_node_that_leads_to_itself_is_a_loop():
    assert faults(node("a", if_no="a", confirms="x")) == [("diagnostic_tree.nodes.0.if_no", "closes the loop a → a")]


def test_a_loop_out_of_reach_is_named_too():
    assert places(
        node("a", confirms="x"), node("b", if_yes="c", confirms="x"), node("c", if_yes="b", confirms="x")
    ) == ["nodes.1", "nodes.2", "nodes.2.if_yes"]


def test_every_loop_is_reported():
    assert places(node("a", if_yes="b", if_no="a"), node("b", if_yes="a", if_no="b")) == [
        "nodes.1.if_yes",
        "nodes.1.if_no",
        "nodes.0.if_no",
    ]


@pytest.mark.parametrize(
    ("first", "place"),
    [
        (node("a"), "nodes.0"),
        (node("a", if_yes="b"), "nodes.0.if_no"),
        (node("a", if_no="b"), "nodes.0.if_yes"),
        (node("a", if_yes="b", confirms="x", hands_over="y"), "nodes.0.if_no"),
        (node("a", if_yes="b", if_no="b", confirms="x"), "nodes.0.leads_to_root_cause"),
        (node("a", if_yes="b", if_no="b", hands_over="x"), "nodes.0.hands_over_to"),
    ],
    ids=[
        "empty leaf",
        "no without a way",
        "yes without a way",
        "two verdicts for one answer",
        "idle verdict",
        "idle hand-over",
    ],
)
def test_an_answer_leads_to_exactly_one_place(first, place):
    others = [node("b", confirms="y")] if branches(first) else []
    assert places(first, *others) == [place]


def test_the_value_and_the_number_of_faults_are_shown():
    with pytest.raises(Invalid) as caught:
        check_tree(tree(node("a", if_yes="b", if_no="c")))
    assert caught.value.detail == "diagnostic_tree.nodes.0.if_yes: names no node of this tree (and 1 more)"
    assert [fault["value"] for fault in caught.value.extra["errors"]] == ["b", "c"]


VERDICT = st.sampled_from([None, "a verdict"])


@st.composite
def any_trees(draw):
    """Mostly unsound: any branch may point anywhere, ids may repeat."""
    ids = st.sampled_from("abcde")
    targets = st.none() | ids
    nodes = draw(st.lists(st.builds(node, ids, targets, targets, VERDICT, VERDICT), min_size=1, max_size=6))
    return tree(*nodes, root=draw(ids))


@st.composite
def sound_trees(draw):
    """Branches point to later nodes only; every later node has a predecessor."""
    size = draw(st.integers(1, 9))
    parents = [draw(st.integers(0, i - 1)) for i in range(1, size)]
    nodes = []
    for i in range(size):
        children = [child + 1 for child, parent in enumerate(parents) if parent == i][:2]
        if children and len(children) < 2 and draw(st.booleans()):
            children.append(draw(st.integers(i + 1, size - 1)))
        names = [f"n{child}" for child in draw(st.permutations(children))]
        one, other = draw(st.permutations(["confirms", "hands_over"]))
        match names:
            case [yes, no]:
                nodes.append(node(f"n{i}", if_yes=yes, if_no=no))
            case [only]:
                nodes.append(node(f"n{i}", **{draw(st.sampled_from(["if_yes", "if_no"])): only, one: "x"}))
            case _:
                nodes.append(node(f"n{i}", **{one: "x"}, **({other: "y"} if draw(st.booleans()) else {})))
    used, waiting = set(), ["n0"]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += [target for _, target in branches(nodes[int(name[1:])])]
    return tree(*draw(st.permutations([n for n in nodes if n.node_id in used])), root="n0")


def paths_of(sound, node_id, so_far=1):
    """Every path by brute force: the length in nodes of each."""
    by_id = {n.node_id: n for n in sound.nodes}
    current = by_id[node_id]
    lengths = [so_far for verdict in (current.leads_to_root_cause, current.hands_over_to) if verdict]
    for _, target in branches(current):
        lengths += paths_of(sound, target, so_far + 1)
    return lengths


@given(sound_trees())
def test_counts_equal_those_of_enumeration(sound):
    checked = check_tree(sound)
    lengths = paths_of(sound, sound.root_node_id)
    assert checked.total_paths == len(lengths)
    assert checked.avg_path_length == pytest.approx(sum(lengths) / len(lengths))
    assert check_tree(checked) == checked


def outcome(candidate):
    try:
        return check_tree(candidate), []
    except Invalid as refused:
        return None, refused.extra["errors"]


@given(any_trees(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_what_passes_always_ends_in_one_verdict_and_what_fails_names_fields_that_exist(candidate, answers):
    checked, refused = outcome(candidate)
    if refused:
        assert all(fault["rule"] for fault in refused)
        for fault in refused:
            value = {"diagnostic_tree": candidate.model_dump()}
            for step in fault["field"].split("."):
                value = value[int(step)] if isinstance(value, list) else value[step]
        return
    by_id = {n.node_id: n for n in checked.nodes}
    current = by_id[checked.root_node_id]
    for answer in answers:
        target = current.if_yes if answer else current.if_no
        if target is None:
            break
        current = by_id[target]
    assert current.leads_to_root_cause or current.hands_over_to


@given(sound_trees(), st.data())
def test_one_broken_branch_is_reported_alone_where_it_is(sound, data):
    with_branches = [i for i, n in enumerate(sound.nodes) if branches(n)]
    if not with_branches:
        return
    place = data.draw(st.sampled_from(with_branches))
    field, _ = data.draw(st.sampled_from(branches(sound.nodes[place])))
    setattr(sound.nodes[place], field, "nowhere")
    with pytest.raises(Invalid) as caught:
        check_tree(sound)
    named = [fault["field"] for fault in caught.value.extra["errors"]]
    assert f"diagnostic_tree.nodes.{place}.{field}" in named
    # What hung on that branch alone is now out of reach, and nothing else is wrong.
    assert all(fault["rule"] == "cannot be reached from the root" for fault in caught.value.extra["errors"][1:])
