"""Diagnostic trees over HTTP: validated, exported, put back."""

import httpx
import pytest

from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from services.knowledge.loading import upsert_by_natural_key
from tests.services.diagnosis.guided_samples import chain
from tests.support import Api


@pytest.fixture
async def card(api: Api) -> FailureCard:
    content = CardContent(
        title="Weak cell group",
        subsystem_category=SubsystemCategory.battery,
        failure_mode=FailureMode.degradation,
        diagnostic_tree=chain("Is the spread above 50 mV?", "Does one group sag?"),
    )
    with acting_as(system("test")):
        await upsert_by_natural_key([("weak", content)])
        found = await FailureCard.find_one()
    assert found is not None
    return found


@pytest.fixture
async def expert(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.expert)


async def test_a_sound_tree_is_measured_and_an_unsound_one_told_its_faults(expert: httpx.AsyncClient):
    path = "/api/efi/diagnostic-trees/validate"
    tree = chain("Is it dark?", "Is it cold?").model_dump(mode="json")

    sound = (await expert.post(path, json={"tree": tree})).json()
    assert (sound["sound"], sound["tree"]["total_paths"]) == (True, 3)
    assert sound["tree"]["avg_path_length"] == pytest.approx(5 / 3)

    tree["nodes"][0]["if_yes"] = "n9"
    broken = (await expert.post(path, json={"tree": tree})).json()
    assert broken["sound"] is False
    assert {fault["field"] for fault in broken["faults"]} >= {"diagnostic_tree.nodes.0.if_yes"}
    chart = (await expert.post(path, json={"mermaid": "flowchart TD\n  a --> b"})).json()
    assert chart["faults"][0]["field"] == "mermaid.line.2"
    assert (await expert.post(path, json={"tree": tree, "yaml": "x"})).status_code == 422


@pytest.mark.parametrize("form", ["yaml", "mermaid"])
async def test_export_edit_and_put_back(expert: httpx.AsyncClient, card: FailureCard, form: str):
    path = f"/api/efi/failure-cards/{card.id}/diagnostic-tree"
    exported = await expert.get(path, params={"format": form})
    assert exported.status_code == 200
    headers = {"If-Match": exported.headers["ETag"]}

    same = await expert.put(path, json={form: exported.text}, headers=headers)
    assert (same.status_code, same.headers["ETag"]) == (200, exported.headers["ETag"])

    body = {form: exported.text.replace("sag?", "sag on throttle?"), "change_summary": "Said when"}
    changed = await expert.put(path, json=body, headers=headers)
    assert changed.status_code == 200, changed.text
    assert changed.json()["tree_id"] == card.diagnostic_tree.tree_id
    assert (await expert.get(path)).json()["nodes"][1]["question"] == "Does one group sag on throttle?"
    versions = (await expert.get(f"/api/efi/failure-cards/{card.id}/versions")).json()["items"]
    assert versions[0]["version"] == 2
    assert (await expert.put(path, json=body, headers=headers)).status_code == 412


async def test_technicians_do_not_change_approved_cards(api: Api, card: FailureCard):
    technician = await api.as_role(Role.technician)
    path = f"/api/efi/failure-cards/{card.id}/diagnostic-tree"
    exported = await technician.get(path, params={"format": "yaml"})

    body = {"yaml": exported.text.replace("sag?", "break?")}
    refused = await technician.put(path, json=body, headers={"If-Match": exported.headers["ETag"]})

    assert refused.status_code == 403


async def test_a_card_without_a_tree_has_none(expert: httpx.AsyncClient, api: Api):
    with acting_as(system("test")):
        bare = FailureCard(
            title="Horn silent", subsystem_category=SubsystemCategory.body, failure_mode=FailureMode.complete_failure
        )
        await bare.insert()

    answer = await expert.get(f"/api/efi/failure-cards/{bare.id}/diagnostic-tree")

    assert answer.status_code == 404
