"""Symptoms, edges of the graph, and the confidence report over HTTP."""

import csv
import io

import pytest

from app.security import Role, acting_as, system
from models.failure_card import FailureCard
from routes.api.card_schemas import CARD_EXAMPLE
from routes.api.csv_table import cell
from tests.support import Api

SYMPTOM = {"symptom_code": "SYM_BATT_001", "name": "Range drops", "category": "battery", "synonyms": ["goes less far"]}
EDGE = {
    "source_type": "symptom",
    "source_id": "SYM_BATT_001",
    "source_label": "Range drops",
    "relation_type": "affects",
    "target_type": "subsystem",
    "target_id": "battery",
    "target_label": "battery",
}
REPORT = "/api/efi/reports/confidence"


async def stands(**fields: object) -> FailureCard:
    with acting_as(system("test")):
        card = FailureCard.model_validate({**CARD_EXAMPLE, "status": "approved", **fields})
        await card.insert()
    return card


async def test_experts_keep_the_symptom_library(api: Api):
    expert, oem = await api.as_role(Role.expert), await api.as_role(Role.oem)
    made = await expert.post("/api/efi/symptoms", json=SYMPTOM)
    assert (made.status_code, made.json()["symptom_id"][:4]) == (201, "sym_")
    twice = await expert.post("/api/efi/symptoms", json={**SYMPTOM, "symptom_code": "SYM_BATT_002"})
    assert (twice.status_code, twice.json()["errors"][0]["field"]) == (409, "name")
    assert (await oem.post("/api/efi/symptoms", json=SYMPTOM)).status_code == 403

    one = "/api/efi/symptoms/SYM_BATT_001"
    read = await oem.get(one)
    assert read.json()["synonyms"] == ["goes less far"]
    changed = {**SYMPTOM, "safety_critical": True}
    assert (await expert.put(one, json=changed)).status_code == 428
    edited = await expert.put(one, json=changed, headers={"If-Match": read.headers["ETag"]})
    assert (edited.json()["safety_critical"], edited.headers["ETag"]) == (True, '"2"')
    renamed = await expert.put(one, json={**SYMPTOM, "symptom_code": "SYM_BATT_009"}, headers={"If-Match": '"2"'})
    assert renamed.status_code == 422
    listed = (await oem.get("/api/efi/symptoms", params={"code_prefix": "SYM_BATT", "category": "battery"})).json()
    assert [symptom["symptom_code"] for symptom in listed["items"]] == ["SYM_BATT_001"]
    assert (await oem.get("/api/efi/symptoms/SYM_BATT_404")).status_code == 404


async def test_experts_draw_edges(api: Api):
    expert, technician = await api.as_role(Role.expert), await api.as_role(Role.technician)
    missing = await expert.post("/api/efi/relations", json=EDGE)
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "source_id")
    await expert.post("/api/efi/symptoms", json=SYMPTOM)
    made = await expert.post("/api/efi/relations", json=EDGE)
    assert (made.status_code, made.json()["creation_method"], made.json()["evidence_count"]) == (201, "manual", 0)
    assert (await expert.post("/api/efi/relations", json=EDGE)).status_code == 409
    relation_id = made.json()["relation_id"]
    assert (await technician.get(f"/api/efi/relations/{relation_id}")).json() == made.json()
    found = (await technician.get("/api/efi/relations", params={"source_id": "SYM_BATT_001"})).json()["items"]
    assert [relation["relation_id"] for relation in found] == [relation_id]
    assert (await technician.post("/api/efi/relations", json=EDGE)).status_code == 403
    assert (await technician.get("/api/efi/relations/rel_gone")).status_code == 404


async def test_the_report_as_json(api: Api):
    expert = await api.as_role(Role.expert)
    card = await stands(confidence_score=0.95, confidence_level="verified", usage_count=4, success_count=3)
    report = (await expert.get(REPORT, params={"days": 7, "threshold": 0.4})).json()
    assert report["threshold"] == 0.4
    assert report["by_level"][0] == {
        "level": "verified",
        "cards": 1,
        "mean_confidence": 0.95,
        "never_used": 0,
        "uses": 4,
        "successes": 3,
        "fix_rate": 0.75,
    }
    assert report["by_vehicle"][0]["make"] == "Ather"
    assert report["by_subsystem"][0]["subsystem_category"] == "bms"
    assert (report["never_used_count"], report["never_used"]) == (0, [])
    assert card.id not in [line["failure_id"] for line in report["weak"]]


@pytest.mark.parametrize("by", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
async def test_the_report_as_csv(api: Api, by: dict[str, dict[str, str]]):
    expert = await api.as_role(Role.expert)
    card = await stands(title='=HYPERLINK("http://evil.example","x")')
    answer = await expert.get(REPORT, **by)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="confidence-')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["section"] for row in rows} == {"by_level", "by_subsystem", "by_vehicle", "never_used"}
    [unused] = [row for row in rows if row["section"] == "never_used"]
    assert (unused["failure_id"], unused["title"]) == (card.id, "'" + card.title)
    [medium] = [row for row in rows if row["level"] == "medium" and row["section"] == "by_level"]
    assert (medium["cards"], medium["fix_rate"]) == ("1", "")


async def test_the_report_is_for_experts(api: Api):
    technician = await api.as_role(Role.technician)
    assert (await technician.get(REPORT)).status_code == 403


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": 367}, {"threshold": 2}, {"format": "xls"}])
async def test_the_report_refuses_what_makes_no_sense(api: Api, wrong: dict[str, object]):
    expert = await api.as_role(Role.expert)
    assert (await expert.get(REPORT, params=wrong)).status_code == 422


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
def test_text_never_becomes_a_formula(text: str):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", ["a=b", "", 1, -0.02, True])
def test_other_values_stay_as_they_are(value: object):
    assert cell(value) == value
