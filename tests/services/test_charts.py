"""Charts are whole SVG documents that say in words what they show."""

from xml.etree import ElementTree

from services.charts import Observed, dots, picture, reliability

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> ElementTree.Element:
    rows = [("BM25 <plain> & simple", (0.25, 0.5, 1.0)), ("calibrated", (0.6, 0.8, 0.9))]
    pieces = [
        dots("Found", ("hit@1", "hit@3", "hit@10"), rows),
        reliability("Believed", [Observed(0.1, 0.0, 0.0, 0.2, 9), Observed(0.9, 1.0, 0.8, 1.0, 36)]),
    ]
    return ElementTree.fromstring(picture("How well", "In words: <all> of it.", pieces))


def test_a_picture_has_a_name_and_a_description():
    root = drawn()
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    named = [root.find(f"*[@id='{id_}']") for id_ in (root.get("aria-labelledby") or "").split()]
    assert [one.text for one in named if one is not None] == ["How well", "In words: <all> of it."]
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")


def test_marks_stand_where_their_shares_are_and_every_mark_says_what_it_is():
    root = drawn()
    marks = {
        path.findtext(f"{SVG}title"): float((path.get("d") or "M0").removeprefix("M").split()[0])
        for path in root.iter(f"{SVG}path")
    }
    quarter, half, whole = (
        marks[f"BM25 <plain> & simple, {name}: {value}"]
        for name, value in (("hit@1", "0.250"), ("hit@3", "0.500"), ("hit@10", "1.000"))
    )
    assert whole - half == 2 * (half - quarter) > 0
    circles = list(root.iter(f"{SVG}circle"))
    assert [circle.findtext(f"{SVG}title") for circle in circles] == [
        "foretold 0.10, true 0.00 (0.00 to 0.20), 9 cases",
        "foretold 0.90, true 1.00 (0.80 to 1.00), 36 cases",
    ]
    few, many = (float(circle.get("r") or 0) for circle in circles)
    assert few < many
    assert float(circles[0].get("cy") or 0) > float(circles[1].get("cy") or 0)


def test_nothing_to_show_is_a_picture_too():
    assert ElementTree.fromstring(picture("Empty", "Nothing.", [])).tag == f"{SVG}svg"
