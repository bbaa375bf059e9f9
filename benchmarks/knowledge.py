"""Made-up knowledge of any size, in the words of the starter knowledge; the same for the same seed."""

import asyncio
import random
from pathlib import Path

from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks.corpus import MAKES
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, CardSymptom, VehicleCompatibility
from seeds.starter import load_starter
from services.knowledge.loading import upsert_by_natural_key, upsert_symptoms

SEED = 20_26
BATCH = 100


def starter_sentences() -> list[str]:
    """What the starter cards say, sentence by sentence."""
    found: dict[str, None] = {}
    for _, card in load_starter().cards:
        for text in (card.symptom_text, card.root_cause, *(symptom.description for symptom in card.symptoms)):
            found |= dict.fromkeys(part.strip() for part in text.split(". ") if len(part.strip()) > 15)
    return list(found)


def cards(count: int) -> list[tuple[str, CardContent]]:
    """`count` cards by natural key, each put together out of several starter cards' sentences."""
    chance, phrases = random.Random(SEED), starter_sentences()
    made = []
    for number in range(count):
        make = chance.choice(list(MAKES))
        said = chance.sample(phrases, 5)
        content = CardContent(
            title=f"{said[0][:150]} ({number})",
            subsystem_category=chance.choice(list(SubsystemCategory)),
            failure_mode=chance.choice(list(FailureMode)),
            symptoms=[CardSymptom(description=said[1][:200])],
            symptom_text=". ".join(said[1:4]),
            root_cause=said[4],
            error_codes=[f"P{chance.randrange(0x4000):04X}"] if chance.random() < 0.5 else [],
            vehicle_models=[VehicleCompatibility(make=make, model=chance.choice(MAKES[make]))],
        )
        made.append((f"benchmark:{number}", content))
    return made


def complaints(count: int) -> list[dict[str, object]]:
    """`count` ticket bodies: two sentences of the same words, a vehicle, now and then a code."""
    chance, phrases = random.Random(SEED + 1), starter_sentences()
    made: list[dict[str, object]] = []
    for number in range(count):
        make = chance.choice(list(MAKES))
        said = chance.sample(phrases, 2)
        made.append(
            {
                "title": f"{said[0][:150]} #{number}",
                "description": ". ".join(said),
                "vehicle_make": make,
                "vehicle_model": chance.choice(MAKES[make]),
                "error_codes_reported": [f"P{chance.randrange(0x4000):04X}"] if chance.random() < 0.3 else [],
            }
        )
    return made


def prepare(data_dir: Path, count: int) -> None:
    """Fill the embedded store of `data_dir` with `count` approved cards and the symptom library."""

    async def fill() -> None:
        settings = Settings(_env_file=None, data_dir=data_dir, mongo_url="")
        async with open_store(settings):
            with acting_as(system("benchmark")):
                await upsert_symptoms(load_starter().symptoms)
                made = cards(count)
                for start in range(0, count, BATCH):
                    await upsert_by_natural_key(made[start : start + BATCH])

    asyncio.run(fill())
