"""A value that must be unique is free again once its document has given it up."""

import asyncio

import pytest
from pymongo.errors import DuplicateKeyError

from app.errors import Stale
from models.account import Organisation
from services.writing import update

pytestmark = pytest.mark.usefixtures("as_system")


async def test_a_name_that_was_given_up_can_be_taken():
    first = await Organisation(name="Fleet One").insert()

    renamed = await update(first, {"name": "Fleet Two", "currency": "EUR"})
    second = await Organisation(name="Fleet One").insert()

    assert (renamed.id, renamed.name, renamed.currency, renamed.revision) == (first.id, "Fleet Two", "EUR", 2)
    assert renamed.created_at == first.created_at
    with pytest.raises(DuplicateKeyError):
        await update(second, {"name": "Fleet Two"})
    assert (await Organisation.get(second.id)).revision == 1


async def test_a_name_goes_round():
    one, two = await Organisation(name="One").insert(), await Organisation(name="Two").insert()

    one = await update(one, {"name": "Spare"})
    two = await update(two, {"name": "One"})
    one = await update(one, {"name": "Two"})

    assert {entry.id: entry.name async for entry in Organisation.find_all()} == {one.id: "Two", two.id: "One"}


async def test_of_two_who_rename_at_once_one_is_told():
    one = await Organisation(name="One").insert()

    results = await asyncio.gather(*(update(one, {"name": f"Name {n}"}) for n in range(4)), return_exceptions=True)

    won = [result for result in results if isinstance(result, Organisation)]
    assert len(won) == 1
    assert all(isinstance(result, Organisation | Stale) for result in results)
    assert [entry.name async for entry in Organisation.find_all()] == [won[0].name]
