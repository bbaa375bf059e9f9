"""The parts that pages are made of: texts, drawings, tables, forms."""

import re
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Invalid
from models.failure_card import DiagnosticNode, DiagnosticTree
from routes import texts
from routes.portal import charts, diffs, render, tables, trees
from routes.portal.charts import Bar, Column, Foretold
from routes.portal.visit import own_path, zone_named
from services.knowledge.diff import Change, Difference

TEMPLATES = sorted((render.HERE / "templates").glob("*.html"))
SOURCES = sorted([*render.HERE.glob("*.py"), *render.HERE.parent.glob("printing/*.py")])
DYNAMIC = (
    "nav.",
    "tickets.title_",
    "tickets.view_",
    "tickets.none_",
    "tickets.count_",
    "tickets.order_",
    "diagnosis.end_",
    "missed.why_",
    "confidence.tab_",
    "health.tab_",
    "health.why_",
    "calibration.curve_",
    "models.is_",
    "models.of_",
    "incident.closed_",
    "word.",
    "age.",
    "flagging.said_",
    "form.yes",
    "form.no",
)
"""Keys that are put together where they are used."""


def keys_used() -> set[str]:
    quoted = re.compile(r"""["']([a-z_]+\.[a-z_]+)["']""")
    return {key for path in (*TEMPLATES, *SOURCES) for key in quoted.findall(path.read_text(encoding="utf-8"))}


def test_the_catalogue_holds_every_text_that_is_used_and_no_other():
    catalogue = set(texts._texts())
    sections = {key.partition(".")[0] for key in catalogue}
    used = {
        key for key in keys_used() if key.partition(".")[0] in sections and not key.endswith(("_", ".html", ".typ"))
    }
    assert used - catalogue == set()
    assert {key for key in catalogue - used - {"language"} if not key.startswith(DYNAMIC)} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_style_no_script_and_no_words(path: Path):
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?! src)|\| *safe|https?:", source)
    markup = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", source, flags=re.DOTALL)
    shown = re.sub(r"<[^>]*>|[a-z-]+=\"[^\"]*\"", " ", markup)
    assert re.findall(r"[A-Za-z]{3,}", shown.replace("nbsp", "").replace("EFI", "")) == []


def tree(*nodes: tuple[str, str | None, str | None, str | None, str | None]) -> DiagnosticTree:
    return DiagnosticTree(
        root_node_id=nodes[0][0],
        nodes=[
            DiagnosticNode(
                node_id=node_id,
                step_number=number,
                question=f"Question {node_id}?",
                check_action="look",
                if_yes=yes,
                if_no=no,
                leads_to_root_cause=cause,
                hands_over_to=other,
            )
            for number, (node_id, yes, no, cause, other) in enumerate(nodes, 1)
        ],
    )


def labels(drawing: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(drawing).iter("title")]


def test_draws_answers_below_their_question_and_shared_nodes_once():
    shared = tree(
        ("a", "b", "c", None, None), ("b", "c", None, None, "ends <here>"), ("c", None, None, "worn", "other")
    )
    drawing = trees.drawing(shared, "Diagnosis", "Yes", "No")
    assert labels(drawing) == [
        "1. Question a?",
        "2. Question b?",
        "3. Question c?",
        "worn",
        "other",
        "ends <here>",
        "↑ 3. Question c?",
    ]
    assert "ends &lt;here&gt;" in drawing


def test_draws_the_longest_tree_that_is_allowed():
    nodes = [(f"n{i}", f"n{i + 1}", f"n{i + 1}", None, None) for i in range(199)]
    assert len(labels(trees.drawing(tree(*nodes, ("n199", None, None, "worn", None)), "t", "y", "n"))) == 400


@given(st.lists(st.tuples(st.text(max_size=20), st.floats(0, 1e6)), max_size=6))
@settings(max_examples=50)
def test_charts_are_sound_whatever_the_labels(entries: list[tuple[str, float]]):
    printable = [("".join(filter(str.isprintable, label)), value) for label, value in entries]
    upright = [Column(label, [("low", value), ("high", 2 * value)]) for label, value in printable]
    drawn = (
        charts.bars("<t>", [Bar(*one) for one in printable]),
        charts.line("t", [*printable, ("z", 0.5)]),
        charts.columns("<t>", upright),
    )
    for chart in drawn:
        if chart:
            ET.fromstring(chart)


def test_upright_bars_stand_on_each_other():
    bars = ET.fromstring(charts.columns("t", [Column("a", [("low", 3.0), ("high", 1.0)]), Column("b", [("low", 2.0)])]))
    low, high, other = (one for one in bars.iter("rect"))
    heights = [float(one.get("height", 0)) for one in (low, high, other)]
    assert heights == pytest.approx([3 * heights[1], heights[1], 2 * heights[1]], abs=0.2)
    assert float(high.get("y", 0)) + heights[1] == pytest.approx(float(low.get("y", 0)), abs=0.2)


def test_a_dot_on_the_broken_line_came_true_as_often_as_foretold():
    observed = [Foretold(0.25, 0.25, 0.1, 0.5, 90), Foretold(1.0, 0.0, 0.0, 0.2, 10)]
    picture = ET.fromstring(charts.reliability("t", "x", "y", observed))
    [ideal] = (one for one in picture.iter("line") if one.get("class") == "ideal")
    left, floor, right, top = (float(ideal.get(name, 0)) for name in ("x1", "y1", "x2", "y2"))
    first, last = picture.iter("circle")
    assert float(first.get("cx", 0)) == pytest.approx(left + 0.25 * (right - left), abs=0.1)
    assert float(first.get("cy", 0)) == pytest.approx(floor + 0.25 * (top - floor), abs=0.1)
    assert (float(last.get("cx", 0)), float(last.get("cy", 0))) == (right, floor)
    assert float(first.get("r", 0)) > float(last.get("r", 0))
    assert [text.text for text in picture.iter("text")].count("90") == 1


def test_a_probability_is_marked_where_it_stood_if_it_moved():
    moved, still = (ET.fromstring(charts.shift(before, 0.5)) for before in (0.25, 0.498))
    track, bar, mark = moved
    assert (float(track.get("width", 0)), float(bar.get("width", 0))) == (120, 60)
    assert float(mark.get("x", 0)) == pytest.approx(30, abs=1)
    assert len(still) == 2


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b"]), st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")), min_size=2
        ),
        max_size=5,
    )
)
@settings(max_examples=50)
def test_rows_that_are_given_back_are_read_again(rows: list[dict[str, str]]):
    expected = [
        {name: value.strip() for name, value in row.items()} for row in rows if any(map(str.strip, row.values()))
    ]
    assert tables.rows_of(tables.written(["a", "b"], rows), columns=frozenset("ab"), most=9) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,b\n1,2\n3,4\n5,6", "too many"), ("a,z\n1,2", "Unknown columns: z"), ('a\n"open', "not CSV")],
)
def test_refuses_what_is_no_table(content: str, said: str):
    with pytest.raises(Invalid, match=said):
        tables.rows_of(content, columns=frozenset("ab"), most=2)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\tx", " =1+1"])
def test_spreadsheets_see_text_where_text_is(cell: str):
    assert tables.line([cell, Decimal(-1), 3]).startswith(("'", "\"'"))


@pytest.mark.parametrize("target", ["//x", "/\\x", "https://x", "x", "", "/\n/x", "javascript:alert(1)"])
def test_own_paths_only(target: str):
    assert own_path(target) == "/"


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../../etc/passwd", "Europe", "\x00", "x" * 500])
def test_unknown_zones_are_none(name: str):
    assert zone_named(name) is None


@given(st.text(" ab.é\n", max_size=60), st.text(" ab.é\n", max_size=60))
def test_changed_words_are_marked_and_none_is_lost(old: str, new: str):
    [line] = diffs.readable([Difference("root_cause", Change.changed, old, new)])
    for side, whole in ((diffs.OLD, old), (diffs.NEW, new)):
        assert "".join(said for kind, said in line.pieces if kind in (diffs.SAME, side)) == whole
    assert all(said for _, said in line.pieces)


@pytest.mark.parametrize(
    ("difference", "where", "pieces"),
    [
        (
            Difference("root_cause", Change.changed, "The plug is wet", "The plug is dry"),
            "root cause",
            [("same", "The plug is "), ("old", "wet"), ("new", "dry")],
        ),
        (Difference("keywords[relay]", Change.added, new="relay"), "keywords", [("new", "relay")]),
        (
            Difference("diagnostic_tree.nodes[q1].if_yes", Change.changed, "q2", "q3"),
            "diagnostic tree › q1 › if yes",
            [("old", "q2"), ("new", "q3")],
        ),
        (
            Difference("universal_failure", Change.changed, False, True),
            "universal failure",
            [("old", "No"), ("new", "Yes")],
        ),
        (
            Difference("symptoms[Hums]", Change.removed, {"description": "Hums", "severity": "low", "frequency": None}),
            "symptoms › Hums",
            [("old", "description: Hums\nseverity: low")],
        ),
        (
            Difference("error_codes", Change.moved, ["P0A7E", "P0A80"], ["P0A80", "P0A7E"]),
            "error codes",
            [("same", "in another order: "), ("old", "P0A7E, P0A80"), ("new", "P0A80, P0A7E")],
        ),
    ],
)
def test_differences_are_told_in_words(difference: Difference, where: str, pieces: list[tuple[str, str]]):
    assert diffs.readable([difference]) == [diffs.Line(where, pieces)]


def test_what_follows_from_the_rest_is_no_difference():
    derived = ("diagnostic_tree.total_paths", "diagnostic_tree.tree_id", "failure_signature.signature_hash")
    assert diffs.readable([Difference(field, Change.changed, "1", "2") for field in derived]) == []
    assert diffs.readable([Difference("keywords", Change.moved, ["a"], ["b"])]) == []
