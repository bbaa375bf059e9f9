"""The service is killed without warning while people work, and started again."""

import asyncio
import random
from pathlib import Path

import pytest

from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks import knowledge
from benchmarks.books import Books, compare
from benchmarks.crash import Load, suffer
from models.event import EfiEvent, EventReceipt, EventType
from models.failure_card import FailureCard
from models.learning import CardOutcome
from models.technician_action import TechnicianAction

KILLS = 3


@pytest.fixture(scope="module")
def suffered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Load]:
    """A data directory whose service was killed three times under load, and what had been acknowledged."""
    data_dir = tmp_path_factory.mktemp("data")
    knowledge.prepare(data_dir, 10)
    # Hashed words, since opening the sentence model takes longer than all the rest of a start.
    load = suffer(data_dir, kills=KILLS, longest=0.5, chance=random.Random(), least=20, EFI_EMBEDDER="hashing")
    return data_dir, load


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_and_no_effect_happens_twice(suffered: tuple[Path, Load]):
    data_dir, load = suffered
    books = asyncio.run(compare(data_dir, load.acknowledged))
    assert books.events > 0
    assert (books.findings, books.dead_letters) == ([], 0)
    assert not load.refused


@pytest.mark.timeout(300)
def test_the_comparison_would_have_noticed(suffered: tuple[Path, Load]):
    """Spoils the books one by one. Runs last: it leaves them spoilt."""
    data_dir, load = suffered
    books = asyncio.run(_spoil(data_dir, load))
    assert any("acknowledged and gone: ticket tkt_never" in finding for finding in books.lost)
    assert any("acknowledged and gone: action" in finding for finding in books.lost)
    for twice in ("uses of", "outcomes of"):
        assert any(finding.startswith(twice) for finding in books.twice), twice
    for missing in ("no receipt", "changes of confidence of"):
        assert any(finding.startswith(missing) for finding in books.missing), missing


async def _spoil(data_dir: Path, load: Load) -> Books:
    async with open_store(Settings(_env_file=None, data_dir=data_dir, mongo_url="")):
        with acting_as(system("test")):
            outcome = await CardOutcome.find_one({})
            assert outcome is not None
            cards = FailureCard.get_pymongo_collection()
            await cards.update_one({"_id": outcome.card_id}, {"$inc": {"usage_count": 5}})
            await outcome.model_copy(update={"id": "out_again", "resolution_round": 9}).insert()
            receipt = await EventReceipt.find_one({})
            assert receipt is not None
            await receipt.delete()
            change = await EfiEvent.find_one({"event_type": EventType.confidence_updated})
            assert change is not None
            await change.delete()
            action = next(identifier for kind, identifier in load.acknowledged if kind == "action")
            await TechnicianAction.get_pymongo_collection().delete_one({"_id": action})
    return await compare(data_dir, [*load.acknowledged, ("ticket", "tkt_never")])
