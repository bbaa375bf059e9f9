"""Help with drafts over HTTP."""

from app.security import Role
from tests.support import Api

TICKET = {
    "title": "Scooter stops charging",
    "description": "Stops charging in the rain. Call 98200 12345.",
    "vehicle_make": "Ather",
    "customer_name": "Rose Dias",
}
WORK = {
    "resolution_outcome": "success",
    "new_failure_discovered": True,
    "new_failure_description": "Latch sensor open, says Rose",
    "new_failure_root_cause": "Water behind the latch due to a cracked gasket",
    "attempted_diagnostics": [{"check_performed": "Measure", "result": "open", "confirmed": True}],
}


async def test_a_ticket_with_work_gives_the_content_of_a_card(api: Api):
    technician = await api.as_role(Role.technician)
    ticket = (await technician.post("/api/tickets", json=TICKET)).json()["ticket_id"]
    path = f"/api/tickets/{ticket}/draft-card"
    refused = await technician.get(path)
    assert (refused.status_code, "recorded work" in refused.json()["detail"]) == (409, True)

    await technician.post("/api/efi/technician-actions", json=WORK | {"ticket_id": ticket})
    draft = (await technician.get(path)).json()
    assert set(draft["redacted"]) == {"phone", "name or number on the ticket"}
    assert draft["content"]["title"] == "[DRAFT] Latch sensor open, says […]"
    assert draft["content"]["diagnostic_tree"]["nodes"][0]["leads_to_root_cause"] == WORK["new_failure_root_cause"]
    written = await technician.post("/api/efi/failure-cards", json=draft["content"])
    assert written.status_code == 201

    elsewhere = await api.as_role(Role.technician, site_ids=[])
    assert (await elsewhere.get(path)).status_code == 404
    assert (await (await api.as_role(Role.fleet_customer)).get(path)).status_code == 403


async def test_suggestions_are_asked_for_read_and_accepted(api: Api):
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    ticket = (await technician.post("/api/tickets", json=TICKET)).json()["ticket_id"]
    await technician.post("/api/efi/technician-actions", json=WORK | {"ticket_id": ticket})
    for _ in range(100):
        found = (await expert.get("/api/efi/review-queue")).json()["items"]
        if found:
            break
        await (await api.as_role(Role.admin)).post("/api/efi/events/process", json={})
    card = found[0]["failure_id"]
    path = f"/api/efi/failure-cards/{card}/suggestions"
    made = (await expert.get(path)).json()
    assert made["model_status"] == "off"
    assert made["suggestions"][0]["text"] == "A cracked gasket"
    assert made["suggestions"][0]["sources"][0]["kind"] == "action"

    assert (await expert.post(f"{path}/1/accept")).status_code == 428
    stale = await expert.post(f"{path}/1/accept", headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    taken = await expert.post(f"{path}/1/accept", headers={"If-Match": '"1"'})
    assert taken.status_code == 200
    assert taken.json()["secondary_causes"] == ["A cracked gasket"]
    assert (await expert.post(f"{path}/1/dismiss")).status_code == 409
    missing = await expert.post(f"{path}/77/accept", headers={"If-Match": taken.headers["etag"]})
    assert missing.status_code == 404

    again = await expert.post(path)
    assert (again.status_code, again.json()["suggestions"][0]["accepted_by"]) == (201, None)
    aside = await expert.post(f"{path}/1/dismiss")
    by = aside.json()["suggestions"][0]["dismissed_by"]
    assert (aside.status_code, by is not None) == (200, True)
    assert (await (await api.as_role(Role.admin)).post(f"{path}/1/dismiss")).json()["suggestions"][0][
        "dismissed_by"
    ] == by
    assert (await expert.post(f"{path}/77/dismiss")).status_code == 404
    stranger = await api.as_role(Role.technician)
    assert (await stranger.post(path)).status_code == 403
    assert (await stranger.post(f"{path}/1/dismiss")).status_code == 403


async def test_a_card_without_suggestions_says_so(api: Api):
    expert = await api.as_role(Role.expert)
    content = {"title": "Horn sounds", "subsystem_category": "low_voltage", "failure_mode": "erratic"}
    card = (await expert.post("/api/efi/failure-cards", json=content)).json()["failure_id"]
    assert (await expert.get(f"/api/efi/failure-cards/{card}/suggestions")).status_code == 404
    made = await expert.post(f"/api/efi/failure-cards/{card}/suggestions")
    assert (made.status_code, made.json()["suggestions"]) == (201, [])
