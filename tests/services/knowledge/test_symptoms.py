import pytest

from app.errors import Duplicate, Invalid, NotFound, Stale
from models.symptom import SymptomContent
from services.knowledge import symptoms

pytestmark = pytest.mark.usefixtures("as_system")


def content(code: str = "SYM_BATT_001", name: str = "Range drops", **fields: object) -> SymptomContent:
    return SymptomContent.model_validate({"symptom_code": code, "name": name, "category": "battery", **fields})


async def test_a_symptom_is_found_by_its_code():
    made = await symptoms.create(content(synonyms=["goes less far"]))
    assert (await symptoms.get("SYM_BATT_001")).id == made.id
    with pytest.raises(NotFound):
        await symptoms.get("SYM_BATT_002")


@pytest.mark.parametrize(
    ("code", "name", "field"), [("SYM_BATT_001", "Other", "symptom_code"), ("SYM_BATT_002", " range  DROPS", "name")]
)
async def test_codes_and_names_are_unique(code: str, name: str, field: str):
    await symptoms.create(content())
    with pytest.raises(Duplicate) as refused:
        await symptoms.create(content(code, name))
    assert refused.value.extra["errors"][0]["field"] == field


async def test_a_symptom_is_edited_under_its_revision():
    symptom = await symptoms.create(content())
    other = await symptoms.create(content("SYM_BATT_002", "Pack is hot"))
    edited = await symptoms.edit(symptom, content(name="Range falls", safety_critical=True), revision=1)
    assert (edited.name, edited.safety_critical, edited.revision) == ("Range falls", True, 2)
    with pytest.raises(Stale):
        await symptoms.edit(edited, content(), revision=1)
    with pytest.raises(Invalid):
        await symptoms.edit(edited, content("SYM_BATT_009"), revision=2)
    with pytest.raises(Duplicate):
        await symptoms.edit(edited, content(name="pack is hot"), revision=2)
    assert (await symptoms.get(other.symptom_code)).revision == 1


async def test_lists_by_category_prefix_and_danger():
    for code, fields in {
        "SYM_BATT_001": {},
        "SYM_BATT_002": {"safety_critical": True},
        "SYM_CHRG_001": {"category": "charger"},
    }.items():
        await symptoms.create(content(code, f"name of {code}", **fields))

    async def listed(**wanted: object) -> list[str]:
        return [found.symptom_code for found in (await symptoms.list_symptoms(**wanted)).items]

    assert await listed() == ["SYM_CHRG_001", "SYM_BATT_002", "SYM_BATT_001"]
    assert await listed(category="charger") == ["SYM_CHRG_001"]
    assert await listed(code_prefix="SYM_BATT") == ["SYM_BATT_002", "SYM_BATT_001"]
    assert await listed(safety_critical=True) == ["SYM_BATT_002"]


async def test_unknown_codes_are_all_named():
    await symptoms.create(content())
    await symptoms.require(["SYM_BATT_001"])
    await symptoms.require([])
    with pytest.raises(Invalid) as refused:
        await symptoms.require(["SYM_BATT_001", "SYM_BATT_404", "SYM_BATT_405"])
    assert [error["value"] for error in refused.value.extra["errors"]] == ["SYM_BATT_404", "SYM_BATT_405"]
