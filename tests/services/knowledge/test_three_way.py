from services.knowledge.content import completed
from services.knowledge.three_way import carried_over, conflicts, three_way
from tests.services.knowledge.samples import a_card

BASE = completed(a_card())


def test_changes_of_different_fields_go_together():
    present, proposed = completed(a_card(severity="critical")), completed(a_card(root_cause="The fuse is blown"))
    assert conflicts(BASE, present, proposed) == []
    mixed = carried_over(BASE, present, proposed)
    assert (mixed.severity, mixed.root_cause) == ("critical", "The fuse is blown")
    assert mixed == completed(a_card(severity="critical", root_cause="The fuse is blown"))


def test_the_same_field_changed_twice_is_a_conflict_unless_alike():
    present, proposed = completed(a_card(root_cause="Corrosion")), completed(a_card(root_cause="A blown fuse"))
    assert conflicts(BASE, present, proposed) == ["root_cause"]
    assert conflicts(BASE, present, present) == []
    disputed = {line.field: line for line in three_way(BASE, present, proposed)}["root_cause"]
    assert (disputed.base, disputed.present, disputed.proposed) == (BASE.root_cause, "Corrosion", "A blown fuse")
    assert disputed.conflict


def test_what_only_one_side_changed_is_shown_without_conflict():
    present, proposed = completed(a_card(severity="low")), completed(a_card(error_codes=["P0A80", "P0AA6"]))
    lines = {line.field: line for line in three_way(BASE, present, proposed)}
    assert (lines["severity"].present, lines["severity"].proposed) == ("low", "medium")
    assert lines["error_codes[P0AA6]"].proposed == "P0AA6"
    assert not any(line.conflict for line in lines.values())
