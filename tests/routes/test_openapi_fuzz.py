"""Random requests over the whole API, generated from its own description: no answer is a failure of the service, and
none is of a kind that the description leaves out."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.security import Role
from tests import pictures
from tests.processes import Running, serving

PASSWORD = "a fuzzer's passphrase"
ADMIN, TECHNICIAN = "admin@efi.example.com", "tina@efi.example.com"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Signing out would end the session that all further requests use.
LEFT_OUT = {"/api/auth/logout", "/api/auth/password"}
EXAMPLES = {Role.admin: 6, Role.technician: 3}
"""Requests for each operation: as many as fit into a test run."""


@pytest.fixture(scope="module")
def service(
    database_url: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, dict[str, str]]]:
    """The running service with the starter knowledge, and one identifier of each kind that it has."""
    store = {"EFI_MONGO_URL": database_url, "EFI_MONGO_DATABASE": f"efi_fuzz_{worker_id}"}
    folder = tmp_path_factory.mktemp("fuzz") / "data"
    with (
        serving(folder, EFI_SEED="true", EFI_ADMIN_PASSWORD=PASSWORD, EFI_LOG_LEVEL="error", **store) as running,
        running.sign_in(PASSWORD) as admin,
    ):
        yield running, furnish(admin)


def furnish(admin: httpx.Client) -> dict[str, str]:
    """See that there is something of most kinds, so that requests get further than 404."""

    def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = admin.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    site = made("/api/sites", {"name": "Workshop"})["site_id"]
    organisation = made("/api/organisations", {"name": "Fleet"})["organisation_id"]
    account = {"name": "Tina", "password": PASSWORD, "roles": ["technician"], "site_ids": [site]}
    made("/api/users", account | {"email": TECHNICIAN})
    # Whom the requests may close, rename and lock out.
    user = made("/api/users", account | {"email": "tom@efi.example.com"})["user_id"]
    ticket = made("/api/tickets", {"title": "Does not charge", "vehicle_make": "Ather", "site_id": site})["ticket_id"]
    photo = admin.post(f"/api/tickets/{ticket}/photos", files={"file": ("lamp.jpg", pictures.jpeg(), "image/jpeg")})
    part = {"site_id": site, "part_number": "HALL-1", "part_name": "Hall sensor", "quantity_on_hand": 5}
    card = admin.get("/api/efi/failure-cards").json()["items"][0]["failure_id"]
    flag = made(f"/api/efi/failure-cards/{card}/flags", {"kind": "unclear", "text": "which connector?"})["flag_id"]
    content = {"title": "Said otherwise", "subsystem_category": "bms", "failure_mode": "degradation"}
    proposal = made(f"/api/efi/card-flags/{flag}/proposals", {"content": content, "reason": "clearer"})
    return {
        "flag_id": flag,
        "proposal_id": proposal["proposal_id"],
        "site_id": site,
        "organisation_id": organisation,
        "user_id": user,
        "ticket_id": ticket,
        "photo_id": photo.json()["photo_id"],
        "part_id": made("/api/parts", part)["part_id"],
        "vehicle_id": admin.get("/api/vehicles").json()["items"][0]["vehicle_id"],
        "failure_id": card,
        "symptom_code": admin.get("/api/efi/symptoms").json()["items"][0]["symptom_code"],
        "event_id": admin.get("/api/efi/events").json()["items"][0]["event_id"],
    }


@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", EXAMPLES)
def test_whatever_is_asked_gets_a_described_answer(service: tuple[Running, dict[str, str]], role: Role):
    running, known = service
    email = ADMIN if role is Role.admin else TECHNICIAN
    with running.sign_in(PASSWORD, email) as client:
        document = client.get("/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        wrong = []
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path not in LEFT_OUT:
                wrong += _try(operation, client, known, EXAMPLES[role])
    assert not wrong, "\n\n".join(wrong)


def _try(operation: schemathesis.APIOperation, client: httpx.Client, known: dict[str, str], examples: int) -> list[str]:
    """What is wrong with the answers of one operation, to requests that fit its description and to some that do not."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    both = st.one_of(right, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=both, real=st.booleans())
    def ask(case: schemathesis.Case, real: bool) -> None:
        if real:
            case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
        if operation.path.endswith("/stream"):
            case.query["seconds"] = 0
        headers = {"Authorization": client.headers["Authorization"]}
        response = case.call(base_url=str(client.base_url), headers=headers)
        case.validate_response(response, checks=CHECKS)

    try:
        ask()
    except FailureGroup as failures:
        return [f"{operation.method.upper()} {operation.path}\n{failures}"]
    return []
