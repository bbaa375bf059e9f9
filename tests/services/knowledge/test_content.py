import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from services.knowledge.content import changed_fields, completed, completed_anew, extract_keywords
from services.knowledge.diff import Change, Difference, differences
from tests.services.knowledge.samples import a_card

STEPS = [{"step_number": 1, "action": "Isolate the pack"}, {"step_number": 2, "action": "Replace the board"}]


def found(old: dict, new: dict) -> list[tuple[str, str, object, object]]:
    return [(d.field, d.change.value, d.old, d.new) for d in differences(a_card(**old), a_card(**new))]


def test_codes_get_one_notation():
    card = completed(a_card(error_codes=["p0a80", "P0A80", "E-401"]))
    assert card.error_codes == ["P0A80", "E401"]


def test_illegal_codes_are_named_by_place():
    with pytest.raises(Invalid) as refused:
        completed(a_card(error_codes=["P0A80", "P4A80"]))
    [error] = refused.value.extra["errors"]
    assert (error["field"], error["value"]) == ("error_codes.1", "P4A80")


def test_symptom_codes_are_collected():
    card = completed(
        a_card(
            symptom_codes=["SYM_BATT_001"],
            symptoms=[
                {"symptom_code": "SYM_CHRG_003", "description": "Stops at 80 %"},
                {"symptom_code": "SYM_BATT_001", "description": "Range drops"},
                {"description": "Warm pack"},
            ],
        )
    )
    assert card.symptom_codes == ["SYM_BATT_001", "SYM_CHRG_003"]


def test_a_signature_follows_from_the_card():
    signature = completed(a_card(symptom_codes=["SYM_BATT_001"])).failure_signature
    assert signature is not None
    assert signature.primary_symptoms == ["SYM_BATT_001"]
    assert signature.error_codes == ["P0A80"]
    assert (signature.subsystem, signature.failure_mode) == ("bms", "degradation")
    assert signature.signature_hash.startswith("s1:")
    assert signature.signature_id


def test_equal_failures_share_a_hash_and_others_do_not():
    def hashed(**fields: object) -> str:
        signature = completed(a_card(**fields)).failure_signature
        assert signature is not None
        return signature.signature_hash

    assert hashed(error_codes=["P0A80", "E401"]) == hashed(error_codes=["e-401", "p0a80"], title="Otherwise told")
    assert hashed() != hashed(failure_mode="intermittent")
    assert hashed(error_codes=[]) == ""


def test_an_authors_signature_is_kept():
    signature = completed(
        a_card(failure_signature={"primary_symptoms": ["no charge above 80"], "load_condition": "charging"})
    ).failure_signature
    assert signature is not None
    assert (signature.primary_symptoms, signature.load_condition) == (["no charge above 80"], "charging")
    assert signature.subsystem == "bms"


def test_what_was_derived_is_derived_again_from_edited_content():
    stored = completed(a_card())
    edited = completed_anew(stored.model_copy(update={"error_codes": ["P1B2C"], "title": "Charger fan stalls"}), stored)
    assert edited.failure_signature is not None
    assert edited.failure_signature.error_codes == ["P1B2C"]
    assert "fan" in edited.keywords


def test_what_an_author_set_stays_through_edits():
    stored = completed(a_card(keywords=["balancer"], failure_signature={"primary_symptoms": ["no charge above 80"]}))
    edited = completed_anew(stored.model_copy(update={"title": "Charger fan stalls"}), stored)
    assert (edited.keywords, edited.failure_signature) == (stored.keywords, stored.failure_signature)


@given(title=st.text(min_size=3, max_size=80).filter(lambda t: len(t.strip()) >= 3 and t.isprintable()))
def test_completing_again_changes_nothing(title: str):
    once = completed(a_card(title=title, symptom_codes=["SYM_BATT_001"]))
    assert changed_fields(once, completed(once)) == []


def test_keywords_are_words_people_read():
    keywords = extract_keywords(a_card(description="The customer stated that the charging stops."))
    assert keywords[0] == "P0A80"
    assert keywords.index("balancing") < keywords.index("stops")
    assert {"cell", "circuit", "charge", "resistor"} <= set(keywords)
    assert not {"customer", "the", "stated", "80"} & set(keywords)


def test_an_authors_keywords_are_kept():
    assert completed(a_card(keywords=["balancer", "balancer", ""])).keywords == ["balancer"]


def test_equal_contents_do_not_differ():
    assert found({}, {}) == []


def test_a_plain_field_shows_old_and_new():
    assert found({"root_cause": "a"}, {"root_cause": "b"}) == [("root_cause", "changed", "a", "b")]


def test_values_that_come_and_go():
    assert found({}, {"estimated_parts_cost": "12.50"}) == [("estimated_parts_cost", "added", None, "12.50")]
    assert found({"estimated_parts_cost": "12.50"}, {}) == [("estimated_parts_cost", "removed", "12.50", None)]


def test_lists_of_words_differ_by_element():
    assert found({"tags": ["a", "b"]}, {"tags": ["b", "c"]}) == [
        ("tags[a]", "removed", "a", None),
        ("tags[c]", "added", None, "c"),
    ]


def test_steps_are_known_by_their_number():
    changed = [STEPS[0], {**STEPS[1], "action": "Replace the balancing board"}]
    assert found({"resolution_steps": STEPS}, {"resolution_steps": changed}) == [
        ("resolution_steps[2].action", "changed", "Replace the board", "Replace the balancing board")
    ]


def test_an_order_that_changes_is_one_difference():
    assert found({"tags": ["a", "b", "c"]}, {"tags": ["c", "a", "b"]}) == [
        ("tags", "moved", ["a", "b", "c"], ["c", "a", "b"])
    ]


def test_equal_elements_are_told_apart():
    assert found({"required_parts": [{"part_name": "Fuse"}]}, {"required_parts": [{"part_name": "Fuse"}] * 2}) == [
        (
            "required_parts[Fuse#2]",
            "added",
            None,
            a_card(required_parts=[{"part_name": "Fuse"}]).model_dump(mode="json")["required_parts"][0],
        )
    ]


def test_trees_differ_by_node():
    def tree(question: str) -> dict:
        node = {"node_id": "n1", "step_number": 1, "question": question, "check_action": "Measure"}
        return {"tree_id": "tree_1", "root_node_id": "n1", "nodes": [{**node, "leads_to_root_cause": "Board"}]}

    assert differences(a_card(diagnostic_tree=tree("Below 48 V?")), a_card(diagnostic_tree=tree("Below 46 V?"))) == [
        Difference("diagnostic_tree.nodes[n1].question", Change.changed, "Below 48 V?", "Below 46 V?")
    ]


values = st.lists(st.sampled_from("abcdef"), max_size=6)


@given(old=values, new=values)
def test_differences_of_lists_lead_from_old_to_new(old: list[str], new: list[str]):
    elements = list(old)
    for difference in differences(a_card(tags=old), a_card(tags=new)):
        if difference.change is Change.removed:
            elements.remove(difference.old)
        elif difference.change is Change.added:
            elements.append(difference.new)
    assert sorted(elements) == sorted(new)
