"""Cards on paper, read back: their text by a PDF reader, their code by a scanner."""

import io
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pypdf
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app import clock
from app.security import Role, acting_as, system
from models.failure_card import CardContent, FailureCard
from routes.printing.card import card_pdf
from routes.printing.typesetting import printable, typeset
from services.knowledge.confidence import Evidence
from services.knowledge.learning import Decayed, fix_rate
from services.knowledge.loading import upsert_by_natural_key
from tests.support import Api

ADDRESS = "https://efi.example.com/cards/fc_1"
CONTENT: dict[str, Any] = {
    "title": "Stops charging at 80 per cent",
    "subsystem_category": "bms",
    "failure_mode": "degradation",
    "symptom_text": "बैटरी बंद",
    "symptoms": [{"description": "Range is short"}],
    "error_codes": ["P0A80"],
    "failure_conditions": [{"condition": "ambient temperature", "value": "above 40", "unit": "°C"}],
    "root_cause": "A cell group has aged",
    "diagnostic_tree": {
        "root_node_id": "spread",
        "nodes": [
            {
                "node_id": "sag",
                "step_number": 2,
                "question": "Does one group sag?",
                "check_action": "Load the pack",
                "leads_to_root_cause": "Weak cell group",
                "hands_over_to": "The meter of the BMS",
            },
            {
                "node_id": "spread",
                "step_number": 1,
                "question": "Is the spread above 50 mV?",
                "check_action": "Measure each group at rest",
                "safety_warnings": ["Cells cannot be switched off."],
                "if_yes": "sag",
                "hands_over_to": "The charger",
            },
        ],
    },
    "resolution_steps": [{"step_number": 1, "action": "Swap the module", "safety_warnings": ["No rings."]}],
    "required_parts": [{"part_name": "Module", "part_number": "BM-17", "quantity": 2}],
    "vehicle_models": [{"make": "Ather", "model": "450X", "year_from": 2020}],
}


def card(**changes: Any) -> FailureCard:
    content = CardContent.model_validate(CONTENT | changes)
    return FailureCard.model_construct(
        **dict(content), id="fc_1", version=3, status="approved", confidence_level="high", updated_at=clock.now()
    )


def tried() -> Evidence:
    sums = Decayed(clock.now(), successes=11, failures=1)
    return Evidence("*", 12, fix_rate(sums), 0, sums)


async def pages_of(one: FailureCard) -> list[pypdf.PageObject]:
    content = await card_pdf(one, tried(), address=ADDRESS, zone=ZoneInfo("Asia/Kolkata"))
    return pypdf.PdfReader(io.BytesIO(content)).pages


def scanned(page: pypdf.PageObject) -> str:
    code = page.images[0].image.convert("L")
    large = code.resize((code.width * 8, code.height * 8), Image.Resampling.NEAREST)
    return zxingcpp.read_barcodes(large)[0].text


async def test_says_all_that_is_needed_at_the_vehicle():
    pages = await pages_of(card())
    said = " ".join(pages[0].extract_text().split())
    for wanted in (
        "Stops charging at 80 per cent",
        "fc_1",
        "Version: 3, of",
        "n = 12",
        "P0A80",
        "Ather 450X 2020",
        "Range is short",
        "ambient temperature above 40 °C",
        "A cell group has aged",
        "• Cells cannot be switched off.",
        "• No rings.",
        "2 × Module BM-17",
    ):
        assert wanted in said, wanted
    assert "बंद" in said
    # The root comes first wherever the author put it, and each answer says where it leads.
    assert said.index("1. Is the spread above 50 mV?") < said.index("Yes: go to step 2") < said.index("2. Does one")
    assert "No: not this failure, go on with: The charger" in said
    assert "Yes: cause confirmed: Weak cell group" in said
    assert scanned(pages[0]) == ADDRESS


async def test_is_readable_for_a_screen_reader():
    content = await card_pdf(card(), tried(), address=ADDRESS, zone=ZoneInfo("UTC"))
    catalogue = pypdf.PdfReader(io.BytesIO(content)).trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert catalogue["/Lang"] == "en"
    assert b"pdfuaid" in catalogue["/Metadata"].get_object().get_data()


async def test_a_long_card_flows_over_pages_and_each_says_what_it_is():
    steps = [{"step_number": n, "action": f"Step number {n}", "details": "Look closely. " * 60} for n in range(1, 41)]
    pages = await pages_of(card(resolution_steps=steps))
    assert len(pages) > 3
    assert all("fc_1 · version 3" in page.extract_text() for page in pages)
    assert "Step number 40" in "".join(page.extract_text() for page in pages)


@pytest.mark.parametrize(
    "said", ['#panic("x") *b* _i_ $x$ `c` <l> @r \\ // #let', "<script>alert(1)</script>", "= no = title"]
)
async def test_hostile_text_is_text(said: str):
    page = (await pages_of(card(root_cause=said)))[0]
    assert said in page.extract_text()


async def test_a_title_of_marks_only_is_printed_as_nothing():
    assert "fc_1" in (await pages_of(card(title="\u202e\u202e\u202e")))[0].extract_text()


async def test_what_cannot_be_printed_is_said():
    data = {"title": "电池 fault", "facts": [], "warnings": [], "sections": [], "code": [], "footer": "", "status": ""}
    told = "Some characters are missing"
    code = io.BytesIO()
    Image.new("1", (21, 21)).save(code, "PNG")
    data |= {"lang": "en", "address": "", "code": list(code.getvalue()), "code_alt": "code"}
    lacking = await typeset("card.typ", data, gaps=told, fonts_of_machine=False)
    assert told in pypdf.PdfReader(io.BytesIO(lacking)).pages[0].extract_text()
    whole = await typeset("card.typ", data | {"title": "Fault"}, gaps=told, fonts_of_machine=False)
    assert told not in pypdf.PdfReader(io.BytesIO(whole)).pages[0].extract_text()


@given(st.text(max_size=300))
def test_printable_text_turns_nothing_around_and_can_be_broken(said: str):
    shown = printable(said)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\x00\x07") & set(shown)
    assert printable({"a": [said]}) == {"a": [shown]}


def test_long_words_can_be_broken_but_not_before_a_mark():
    assert max(map(len, printable("x" * 300).split("\u200b"))) == 40
    assert "\u200b\u094d" not in printable("क्" * 100)


async def stored(api: Api, *, status: str = "draft") -> str:
    with acting_as(system("test")):
        await upsert_by_natural_key([("printed", CardContent.model_validate(CONTENT))])
        found = await FailureCard.find_one({"natural_key": "printed"})
        assert found is not None
        await FailureCard.get_pymongo_collection().update_one({"_id": found.id}, {"$set": {"status": status}})
        return found.id


async def test_over_http_for_those_who_may_see_the_card(api: Api):
    identifier = await stored(api)
    path = f"/api/efi/failure-cards/{identifier}/pdf"
    sent = await (await api.as_role(Role.technician)).get(path)
    assert (sent.status_code, sent.headers["content-type"]) == (200, "application/pdf")
    page = pypdf.PdfReader(io.BytesIO(sent.content)).pages[0]
    assert "Not approved knowledge (draft)" in page.extract_text()
    assert scanned(page) == f"http://efi.test/cards/{identifier}"
    assert (await (await api.as_role(Role.oem)).get(path)).status_code == 404
    await stored(api, status="approved")
    approved = await (await api.as_role(Role.oem)).get(path)
    assert "Not approved" not in pypdf.PdfReader(io.BytesIO(approved.content)).pages[0].extract_text()


async def test_the_code_leads_to_the_public_address(api: Api):
    identifier = await stored(api)
    object.__setattr__(api.settings, "public_url", "https://efi.example.com/")
    client: httpx.AsyncClient = await api.as_role(Role.technician)
    sent = await client.get(f"/api/efi/failure-cards/{identifier}/pdf")
    assert scanned(pypdf.PdfReader(io.BytesIO(sent.content)).pages[0]) == f"https://efi.example.com/cards/{identifier}"
