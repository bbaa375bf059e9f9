"""The knowledge graph over HTTP: cards are linked by the running service, questions are asked about them."""

import pytest

from app.security import Role, acting_as, system
from models.failure_card import FailureCard
from routes.api.card_schemas import CARD_EXAMPLE
from services.knowledge import graph_edges
from tests.support import Api

SYMPTOM = {"type": "symptom", "id": "SYM_CHRG_003"}


@pytest.fixture
async def cards(api: Api) -> list[FailureCard]:
    made = []
    with acting_as(system("test")):
        for part in ("Balancing board", "Fuse"):
            content = {
                "status": "approved",
                "symptom_codes": ["SYM_CHRG_003"],
                "symptoms": [],
                "required_parts": [{"part_name": part}],
                "vehicle_models": [{"make": "Ather", "model": "450X"}],
            }
            card = FailureCard.model_validate({**CARD_EXAMPLE, **content})
            await card.insert()
            await graph_edges.link_card(card)
            made.append(card)
    return made


async def test_neighbours_and_their_pages(api: Api, cards: list[FailureCard]):
    technician = await api.as_role(Role.technician)
    found = (await technician.get("/api/efi/graph/neighbours", params=SYMPTOM)).json()
    assert {edge["target"]["id"] for edge in found["items"]} == {card.id for card in cards}
    assert (found["degree"], found["next"]) == (2, None)
    edge = found["items"][0]
    assert (edge["weight"], edge["evidence_count"], edge["stated"], edge["creation_method"]) == (
        0.5, 0, True, "inferred",
    )  # fmt: skip
    first = (await technician.get("/api/efi/graph/neighbours", params={**SYMPTOM, "limit": 1})).json()
    second = (
        await technician.get("/api/efi/graph/neighbours", params={**SYMPTOM, "limit": 1, "after": first["next"]})
    ).json()
    assert first["items"] + second["items"] == found["items"]
    filtered = {**SYMPTOM, "relation_type": ["requires", "affects"]}
    assert (await technician.get("/api/efi/graph/neighbours", params=filtered)).json()["items"] == []


async def test_the_neighbourhood_as_data_as_picture_and_analysed(api: Api, cards: list[FailureCard]):
    technician = await api.as_role(Role.technician)
    asked = {**SYMPTOM, "depth": 2}
    found = (await technician.get("/api/efi/graph/neighbourhood", params=asked)).json()
    assert {node["id"] for node in found["nodes"]} >= {"SYM_CHRG_003", "fuse", "balancing board", "ather|450x"}
    assert found["truncated"] is False
    picture = await technician.get("/api/efi/graph/neighbourhood.svg", params=asked)
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.count('class="node') == len(found["nodes"])
    analysed = (await technician.get("/api/efi/graph/analysis", params=asked)).json()
    assert {node["id"] for node in analysed["nodes"]} == {node["id"] for node in found["nodes"]}
    assert analysed["nodes"][0]["betweenness"] > 0


async def test_ways_cards_and_what_is_shared(api: Api, cards: list[FailureCard]):
    technician = await api.as_role(Role.technician)
    ends = {"source_type": "symptom", "source_id": "SYM_CHRG_003", "target_type": "part", "target_id": "fuse"}
    [way] = (await technician.get("/api/efi/graph/paths", params=ends)).json()["items"]
    assert [node["id"] for node in way["nodes"]] == ["SYM_CHRG_003", cards[1].id, "fuse"]
    assert way["strength"] == 0.25
    behind = (await technician.get("/api/efi/graph/cards", params={"symptom_code": "SYM_CHRG_003"})).json()["items"]
    assert {one["failure_id"] for one in behind} == {card.id for card in cards}
    assert behind[0]["ways"][0]["nodes"][0]["id"] == "SYM_CHRG_003"
    of_vehicle = (await technician.get("/api/efi/graph/vehicle", params={"make": "Ather", "model": "450X"})).json()
    assert {card.id for card in cards} < {node["id"] for node in of_vehicle["nodes"]}
    alone = {"symptom_code": "SYM_CHRG_003", "other": "SYM_CHRG_003"}
    assert (await technician.get("/api/efi/graph/shared", params=alone)).status_code == 422


@pytest.mark.parametrize(
    ("kind", "written", "node"),
    [
        ("part", "FUSE", "fuse"),
        ("part", " balancing  Board", "balancing board"),
        ("part", "bms-bal-16", "BMS-BAL-16"),
        ("vehicle", "Ather|450X", "ather|450x"),
        ("vehicle", "ATHER | 450x", "ather|450x"),
        ("vehicle", "Ather 450X", "ather|450x"),
        ("vehicle", "Ola S1 Pro", "ola|s1 pro"),
        ("vehicle", "Hero Electric Optima", "hero electric|optima"),
        ("symptom", "sym_chrg_003", "SYM_CHRG_003"),
        ("subsystem", "BMS", "bms"),
    ],
)
async def test_nodes_are_found_as_people_write_them(
    api: Api, cards: list[FailureCard], kind: str, written: str, node: str
):
    with acting_as(system("test")):
        numbered = {"part_name": "Balancing board", "part_number": "BMS-BAL-16"}
        others = [{"make": "Ola", "model": "S1 Pro"}, {"make": "Hero Electric", "model": "Optima"}]
        content = {"subsystem_category": "bms", "required_parts": [numbered], "vehicle_models": others}
        card = FailureCard.model_validate({**CARD_EXAMPLE, "status": "approved", **content})
        await card.insert()
        await graph_edges.link_card(card)
    technician = await api.as_role(Role.technician)
    asked = {"type": kind, "id": written}
    for path in ("neighbours", "neighbourhood", "neighbourhood.svg", "analysis"):
        answer = await technician.get(f"/api/efi/graph/{path}", params=asked)
        assert answer.status_code == 200, answer.text
    assert (await technician.get("/api/efi/graph/neighbours", params=asked)).json()["node"]["id"] == node


async def test_ways_and_cards_are_found_in_any_case(api: Api, cards: list[FailureCard]):
    technician = await api.as_role(Role.technician)
    ends = {"source_type": "symptom", "source_id": "sym_chrg_003", "target_type": "part", "target_id": "Fuse"}
    [way] = (await technician.get("/api/efi/graph/paths", params=ends)).json()["items"]
    assert way["nodes"][-1]["id"] == "fuse"
    behind = await technician.get("/api/efi/graph/cards", params={"symptom_code": "sym_chrg_003"})
    assert len(behind.json()["items"]) == 2


async def test_an_edge_drawn_by_hand_ends_at_the_nodes_that_are_there(api: Api, cards: list[FailureCard]):
    expert = await api.as_role(Role.expert)
    body = {"source_type": "vehicle", "source_id": "Ather|450X", "source_label": "Ather 450X", "target_type": "part"}
    body |= {"target_id": "FUSE", "target_label": "Fuse", "relation_type": "requires"}
    drawn = await expert.post("/api/efi/relations", json=body)
    assert drawn.status_code == 201, drawn.text
    assert (drawn.json()["source_id"], drawn.json()["target_id"]) == ("ather|450x", "fuse")
    again = await expert.post("/api/efi/relations", json=body | {"target_id": "fuse"})
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("neighbours", {"type": "symptom", "id": "SYM_NONE_001"}, 404, "not_found"),
        ("neighbourhood.svg", {"type": "part", "id": "none"}, 404, "not_found"),
        ("neighbours", {**SYMPTOM, "after": "?"}, 422, "invalid"),
        ("neighbours", {"type": "wizard", "id": "x"}, 422, "invalid"),
        ("neighbourhood", {**SYMPTOM, "depth": 3}, 422, "invalid"),
        (
            "paths",
            {"source_type": "part", "source_id": "fuse", "target_type": "subsystem", "target_id": "motor"},
            404,
            "no_path",
        ),
        ("vehicle", {"make": "Nobody"}, 404, "not_found"),
        ("cards", {}, 422, "invalid"),
    ],
)
async def test_errors_are_clear(
    api: Api, cards: list[FailureCard], path: str, params: dict[str, object], status: int, code: str
):
    technician = await api.as_role(Role.technician)
    answer = await technician.get(f"/api/efi/graph/{path}", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_customers_have_no_business_here(api: Api):
    customer = await api.as_role(Role.fleet_customer)
    assert (await customer.get("/api/efi/graph/neighbours", params=SYMPTOM)).status_code == 403
