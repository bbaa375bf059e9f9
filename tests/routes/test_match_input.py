"""Matching takes what people and machines type: a sensible answer or a clear refusal, never a crash, never NaN."""

import json
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pymongo import MongoClient

from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, VehicleCompatibility
from models.match_run import MatchRun
from services.knowledge.loading import upsert_by_natural_key
from tests.databases import empty
from tests.support import running, settings_for_tests

# One application for all: what is asked changes nothing.
pytestmark = pytest.mark.asyncio(loop_scope="module")

SCORERS = ["calibrated", "efi_v2"]


async def know_something() -> None:
    """One card for most ways of being found, and one that says nothing but its title."""
    kind = {"subsystem_category": SubsystemCategory.bms, "failure_mode": FailureMode.degradation}
    ather = [VehicleCompatibility(make="Ather", model="450X")]
    contents = (
        CardContent(title="BMS cell imbalance", symptom_text="stops charging", error_codes=["P0A80"], **kind),
        CardContent(title="बैटरी चार्ज नहीं होती", symptom_text="स्कूटर चार्ज नहीं हो रहा", **kind),
        CardContent(title="Horn", vehicle_models=ather, **kind),
    )
    with acting_as(system("test")):
        await upsert_by_natural_key([(str(number), content) for number, content in enumerate(contents)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def technician(
    _admin: MongoClient[dict[str, Any]],
    database_url: str,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[httpx.AsyncClient]:
    database = f"efi_input_{worker_id}"
    empty(_admin, database)
    async with running(settings_for_tests(database_url, database, tmp_path_factory.mktemp("data"))) as api:
        await know_something()
        yield await api.as_role(Role.technician)


async def asked(client: httpx.AsyncClient, body: dict[str, Any] | bytes) -> tuple[int, dict[str, Any]]:
    """Status and answer; every number in it is finite."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post("/api/efi/match", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text
    return answer.status_code, json.loads(answer.content, parse_constant=_no_number)


def _no_number(name: str) -> float:
    raise AssertionError(f"{name} in an answer")


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    "text",
    [
        "charging",
        "x",
        "the and of",
        "charging " * 2222,
        "p0a80 " * 3333,
        "ab " * 6666,
        "x" * 20_000,
        "स्कूटर चार्ज नहीं हो रहा है",
        "电池无法充电，仪表显示故障",
        "🔋🔥🔋",
        "👩🏽‍🔧 charging 👍🏿",
        "P0A80 P0AA6-1A SPN 639 FMI 14",
        "!?.,;:-–…/\\|()[]{}<>\"'`",
        "\u202efdp.exe\u202c charging",
        "\u200b\ufeff\u00ad",
        "cha\u0301rging i\u0307",
        "ﬁrmware Ⅷ ½ ²",
        "\t\n charging \r\n",
        "1e400 -0 NaN Infinity 0x1F 99999999999999999999",
        "' OR 1=1; {$where: 1} $ne ../../etc/passwd <script>alert(1)</script> %00 {{7*7}}",
        "\U0010ffff\uffff",
        "\x7f\x85",
    ],
)
async def test_any_text_gets_a_sensible_answer(technician: httpx.AsyncClient, text: str, scorer: str):
    status, answer = await asked(technician, {"symptom_text": text, "scorer": scorer})
    assert status == 200, answer
    assert all(map(math.isfinite, numbers(answer)))
    assert all(0 < match["match_score"] <= 1 for match in answer["matches"])
    with acting_as(system("test")):
        run = await MatchRun.find_one({"_id": answer["match_run_id"]})
    assert run is not None
    assert run.case.text == text.strip()


@pytest.mark.parametrize("scorer", SCORERS)
async def test_a_complaint_in_another_script_finds_its_card(technician: httpx.AsyncClient, scorer: str):
    _, answer = await asked(technician, {"symptom_text": "चार्ज नहीं होती", "scorer": scorer, "limit": 1})
    assert [match["title"] for match in answer["matches"]] == ["बैटरी चार्ज नहीं होती"]


@pytest.mark.parametrize("scorer", SCORERS)
async def test_codes_alone_are_a_complaint(technician: httpx.AsyncClient, scorer: str):
    _, answer = await asked(technician, {"error_codes": ["p0a80"], "scorer": scorer, "limit": 1})
    assert [match["title"] for match in answer["matches"]] == ["BMS cell imbalance"]


async def test_a_symptom_of_no_library_is_a_complaint_nobody_knows(technician: httpx.AsyncClient):
    _, answer = await asked(technician, {"symptom_codes": ["SYM_NONE_999"]})
    assert answer["no_known_failure"] is True


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "", "name a symptom"),
        ({"symptom_text": ""}, "", "name a symptom"),
        ({"symptom_text": " \t\r\n "}, "", "name a symptom"),
        ({"vehicle_make": "Ather", "vehicle_model": "450X", "vehicle_year": 2023}, "", "name a symptom"),
        ({"symptom_text": "battery " * 20_000}, "symptom_text", "at most 20000 characters"),
        ({"symptom_text": "x\x00y"}, "symptom_text", "control character U+0000"),
        ({"symptom_text": "x\x1b[31m"}, "symptom_text", "control character U+001B"),
        ({"symptom_text": "x", "vehicle_make": "\x07"}, "vehicle_make", "control character U+0007"),
        ({"symptom_text": 7}, "symptom_text", "string"),
        ({"symptom_text": ["x"]}, "symptom_text", "string"),
        ({"symptom_text": None}, "symptom_text", "string"),
        ({"symptom_text": "x", "error_codes": ["P0A80"] * 51}, "error_codes", "at most 50 items"),
        ({"symptom_text": "x", "error_codes": [""]}, "error_codes.0", "at least 1 character"),
        ({"symptom_text": "x", "conditions": [" "]}, "conditions.0", "at least 1 character"),
        ({"symptom_text": "x", "conditions": ["wet"] * 21}, "conditions", "at most 20 items"),
        ({"symptom_text": "x", "limit": 10**30}, "limit", "less than or equal to 50"),
        ({"symptom_text": "x", "limit": -1}, "limit", "greater than or equal to 1"),
        ({"symptom_text": "x", "limit": 2.5}, "limit", "integer"),
        ({"symptom_text": "x", "min_score": -0.1}, "min_score", "greater than or equal to 0"),
        ({"symptom_text": "x", "min_probability": 1.1}, "min_probability", "less than or equal to 1"),
        ({"symptom_text": "x", "scorer": "efi_v2", "min_probability": 0.1}, "min_probability", "gives no probability"),
        ({"symptom_text": "x", "scorer": "astrology"}, "scorer", "choose one of calibrated, efi_v2"),
        ({"symptom_text": "x", "scorer": "x" * 41}, "scorer", "at most 40 characters"),
        ({"symptom_text": "x", "vehicle_year": 20_230}, "vehicle_year", "less than or equal to 2100"),
        ({"symptom_text": "x", "vehicle_mileage_km": -1}, "vehicle_mileage_km", "greater than or equal to 0"),
    ],
)
async def test_a_refusal_says_what_is_wrong_with_what(
    technician: httpx.AsyncClient, body: dict[str, Any], field: str, said: str
):
    status, answer = await asked(technician, body)
    assert (status, answer["code"]) == (422, "invalid")
    (error,) = answer["errors"]
    assert error["field"].removeprefix("body").removeprefix(".") == field
    assert said in error["rule"]
    assert len(json.dumps(answer)) < 2000  # nobody needs their novel back


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (rb'{"symptom_text": "charging \ud83d\udd0b"}', 200),
        (rb'{"symptom_text": "charging \ud800"}', 400),
        (rb'{"symptom_text": "charging \uDFFF\uD800 horn"}', 400),
        (rb'{"symptom_text": "x", "error_codes": ["\ud83d"]}', 400),
        (rb'{"symptom_text": "x", "\ud83d": 1}', 400),
        (b'{"symptom_text": "x", "min_score": NaN}', 400),
        (b'{"symptom_text": "x", "min_score": 1e999}', 422),
        (b'{"symptom_text": "x", "limit": 1' + b"0" * 5000 + b"}", 400),
        (b'{"symptom_text": "x", "symptom_text": "y"}', 400),
        (b'{"symptom_text": "\xff\xfe"}', 400),
        (b'{"symptom_text": "x"', 400),
        (b"[" * 100_000, 400),
        (b"null", 422),
        (b'"charging"', 422),
        (b"", 422),
    ],
)
async def test_what_is_no_json_is_refused(technician: httpx.AsyncClient, raw: bytes, status: int):
    answered, problem = await asked(technician, raw)
    assert answered == status, problem


async def test_words_that_nobody_knows_are_an_unknown_failure(technician: httpx.AsyncClient):
    _, answer = await asked(technician, {"symptom_text": "zzz qqq"})
    assert answer["no_known_failure"] is True
    assert answer["none_probability"] > 0.5
