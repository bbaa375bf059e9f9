from decimal import Decimal

import pytest
from beanie.odm.utils.dump import get_dict

from models.failure_card import CardVersion
from services.knowledge.versions import snapshot
from services.writing import insert_many, stored_form
from tests.services.knowledge.samples import a_card, stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def test_documents_written_in_bulk_are_what_beanie_would_write():
    costs = {"required_parts": [{"part_name": "Board", "unit_cost": "1850.50"}], "estimated_total_cost": "2000.00"}
    card = await stored_card(**costs)
    version = snapshot(card, a_card(**costs), "first")

    assert stored_form(card) == get_dict(card)
    assert stored_form(version) == get_dict(version)

    await insert_many([version])
    read = await CardVersion.find_one({"_id": version.id})
    assert read.content == version.content
    assert read.content.required_parts[0].unit_cost == Decimal("1850.50")


async def test_nothing_to_insert_is_no_mistake():
    await insert_many([])
