import pytest

from app.security import acting_as
from models.event import EfiEvent, EventType
from models.failure_card import CardVersion, FailureCard
from models.symptom import Symptom, SymptomContent
from services.knowledge import access, cards, lifecycle, loading
from tests.services.knowledge.samples import EXPERT, a_card, events_of

pytestmark = pytest.mark.usefixtures("as_system")
TREE = {
    "root_node_id": "n1",
    "nodes": [
        {
            "node_id": "n1",
            "step_number": 1,
            "question": "Open?",
            "check_action": "Measure",
            "leads_to_root_cause": "Resistor",
        }
    ],
}


async def load(**cards_by_key: dict) -> tuple[int, int, int, list[str]]:
    result = await loading.upsert_by_natural_key([(key, a_card(**fields)) for key, fields in cards_by_key.items()])
    return result.created, result.updated, result.unchanged, list(result.refused)


async def card(key: str) -> FailureCard:
    found = await FailureCard.find_one({"natural_key": key})
    assert found is not None
    return found


async def test_new_cards_are_approved_with_version_and_events():
    assert await load(a={"diagnostic_tree": TREE}, b={}) == (2, 0, 0, [])
    loaded = await card("a")
    assert (loaded.status, loaded.version, loaded.confidence_level) == ("approved", 1, "medium")
    assert loaded.signature_hash
    assert loaded.keywords
    assert loaded.diagnostic_tree is not None
    assert loaded.diagnostic_tree.total_paths == 1
    assert await CardVersion.find({"card_id": loaded.id}).count() == 1
    assert len(await events_of(EventType.card_approved)) == len(await events_of(EventType.card_created)) == 2


async def test_loading_again_writes_nothing():
    await load(a={"diagnostic_tree": TREE}, b={})
    before = [card.revision for card in await FailureCard.find_all().sort("_id").to_list()]
    assert await load(a={"diagnostic_tree": TREE}, b={}) == (0, 0, 2, [])
    assert [card.revision for card in await FailureCard.find_all().sort("_id").to_list()] == before
    assert await EfiEvent.find_all().count() == 4


async def test_changed_content_makes_a_version_and_keeps_what_was_learnt():
    await load(a={}, b={})
    await FailureCard.get_pymongo_collection().update_one({"natural_key": "a"}, {"$set": {"success_count": 7}})
    assert await load(a={"root_cause": "Corroded joint"}, b={}) == (0, 1, 1, [])
    changed = await card("a")
    assert (changed.version, changed.status, changed.root_cause) == (2, "approved", "Corroded joint")
    assert changed.success_count == 7
    [event] = await events_of(EventType.card_updated)
    assert event.data["change"] == "loaded"


async def test_an_experts_edit_survives_the_loading_of_what_was_loaded():
    await load(a={})
    with acting_as(EXPERT):
        await cards.edit(await card("a"), a_card(root_cause="Measured in the workshop"), edition=1)
    assert await load(a={}) == (0, 0, 1, [])
    assert (await card("a")).root_cause == "Measured in the workshop"
    assert await load(a={"root_cause": "New from the maker"}) == (0, 1, 0, [])
    assert ((await card("a")).version, (await card("a")).root_cause) == (3, "New from the maker")


async def test_what_an_expert_wrote_already_is_no_change():
    await load(a={})
    with acting_as(EXPERT):
        await cards.edit(await card("a"), a_card(root_cause="Same words"), edition=1)
    assert await load(a={"root_cause": "Same words"}) == (0, 0, 1, [])
    assert (await card("a")).version == 2


async def test_a_deprecated_card_stays_deprecated():
    await load(a={})
    with acting_as(EXPERT):
        await lifecycle.deprecate(await card("a"), "wrong")
    assert await load(a={"root_cause": "else"}) == (0, 0, 1, [])
    assert (await card("a")).status == "deprecated"


async def test_bad_entries_are_refused_and_the_others_loaded():
    result = await load(
        good={},
        codes={"error_codes": ["P4A80"]},
        symptom={"symptom_codes": ["SYM_BATT_404"]},
        tree={"diagnostic_tree": {**TREE, "root_node_id": "n9"}},
    )
    assert result == (1, 0, 0, ["codes", "symptom", "tree"])
    assert (await access.load_visible((await card("good")).id)).version == 1


def symptom(number: int, name: str) -> SymptomContent:
    return SymptomContent(symptom_code=f"SYM_BATT_{number:03}", name=name, category="battery", synonyms=["flat"])


async def test_symptoms_are_loaded_once_and_updated():
    first = await loading.upsert_symptoms([symptom(1, "Range drops"), symptom(2, "Pack is hot")])
    again = await loading.upsert_symptoms([symptom(1, "Range drops"), symptom(2, "Pack gets hot")])
    assert (first.created, first.updated, first.unchanged) == (2, 0, 0)
    assert (again.created, again.updated, again.unchanged) == (0, 1, 1)
    names = {found.symptom_code: found.name for found in await Symptom.find_all().to_list()}
    assert names == {"SYM_BATT_001": "Range drops", "SYM_BATT_002": "Pack gets hot"}
