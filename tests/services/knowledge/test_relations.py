from datetime import timedelta

import pytest

from app import clock
from app.errors import Duplicate, Invalid, NotFound
from models.enums import CreationMethod
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import relations
from services.knowledge.edge_weights import HAND_MADE_LIMIT, UNSTATED_WEIGHT
from tests.services.knowledge.samples import stored_card

pytestmark = pytest.mark.usefixtures("as_system")

DAY = timedelta(days=1)


def edge(**fields: object) -> RelationContent:
    return RelationContent.model_validate(
        {
            "source_type": "part",
            "source_id": "F-12",
            "source_label": "Fuse",
            "relation_type": "similar_to",
            "target_type": "part",
            "target_id": "F-13",
            "target_label": "Fuse, new form",
            **fields,
        }
    )


async def stored(relation_id: str) -> KnowledgeRelation:
    return await relations.get(relation_id)


async def test_an_edge_is_drawn_by_hand_once_and_starts_weak():
    made = await relations.create(edge(weight=0.9))
    found = await stored(made.id)
    assert (found.creation_method, found.created_by, found.stated) == ("manual", "system:test", True)
    assert (found.weight, found.confidence, found.evidence_count) == (HAND_MADE_LIMIT, HAND_MADE_LIMIT, 0)
    assert found.ends == ["part:F-12", "part:F-13"]
    with pytest.raises(Duplicate):
        await relations.create(edge(weight=0.1))
    with pytest.raises(NotFound):
        await relations.get("rel_gone")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"target_id": "F-12"}, "target_id"),
        ({"target_type": "failure_card", "target_id": "fc_gone"}, "target_id"),
        ({"source_type": "symptom", "source_id": "SYM_BATT_404"}, "source_id"),
        ({"source_type": "subsystem", "source_id": "flux capacitor"}, "source_id"),
    ],
)
async def test_both_ends_must_exist_and_differ(fields: dict[str, str], field: str):
    with pytest.raises(Invalid) as refused:
        await relations.create(edge(**fields))
    assert refused.value.extra["errors"][0]["field"] == field


async def test_repairs_strengthen_and_time_weakens():
    made = await relations.create(edge(weight=0.3))
    for day in range(3):
        await relations.write([relations.observed(await stored(made.id), made.created_at + DAY * day, support=1)])
    found = await stored(made.id)
    assert (found.evidence_count, found.counter_count) == (3, 0)
    assert found.weight == pytest.approx((4 * 0.3 + 3) / 7, abs=0.01)
    assert found.last_observed == made.created_at + DAY * 2
    weight, confidence = relations.weigher(made.created_at + DAY * 365 * 30)(found.model_dump())
    assert (weight, confidence) == (pytest.approx(0.3, abs=0.001), pytest.approx(0.3, abs=0.001))

    await relations.write([relations.observed(found, made.created_at + DAY * 2, support=-1, doubt=1)])
    doubted = await stored(made.id)
    assert (doubted.evidence_count, doubted.counter_count) == (2, 1)
    assert doubted.weight == pytest.approx((4 * 0.3 + 2) / 7, abs=0.01)


async def test_the_order_of_observations_does_not_matter():
    weights = set()
    for number, days in enumerate(([0, 90, 400], [400, 0, 90])):
        made = await relations.create(edge(target_id=f"F-2{number}"))
        for day in days:
            await relations.write([relations.observed(await stored(made.id), made.created_at + DAY * day, support=1)])
        weights.add(round((await stored(made.id)).weight, 6))
    assert len(weights) == 1


async def test_stored_weights_are_reckoned_anew_as_time_passes(monkeypatch: pytest.MonkeyPatch):
    lasting = await relations.create(edge(weight=0.3))
    shown = relations.new_edge(edge(target_id="F-14"), CreationMethod.inferred, stated=False)
    await relations.write([], [shown])
    assert shown.weight == UNSTATED_WEIGHT
    for made in (lasting, shown):
        await relations.write([relations.observed(await stored(made.id), made.created_at, support=2)])
    assert await relations.refresh_faded() == 0

    strong, later = (await stored(lasting.id)).weight, clock.now() + DAY * 365
    monkeypatch.setattr(clock, "now", lambda: later)
    assert await relations.refresh_faded() == 2
    assert 0.3 < (await stored(lasting.id)).weight < strong
    assert (await stored(shown.id)).ended_at is None
    for years in range(2, 8):
        later = lasting.created_at + DAY * 365 * years
        await relations.refresh_faded()
    over = await stored(shown.id)
    assert (over.ended_at is not None, over.ends, over.weight, over.evidence_count) == (True, [], 0, 2)
    assert (await stored(lasting.id)).weight == pytest.approx(0.3, abs=0.02)


async def test_lists_by_source_target_and_type():
    card = await stored_card()
    for target in ("F-13", "F-14"):
        await relations.create(edge(target_id=target))
    last = await relations.create(
        edge(relation_type="requires", source_type="failure_card", source_id=card.id, target_id="F-13")
    )

    async def listed(**wanted: object) -> int:
        return len((await relations.list_relations(**wanted)).items)

    assert await listed() == 3
    assert await listed(source_id="F-12") == 2
    assert await listed(target_id="F-13") == 2
    assert await listed(relation_type="requires") == 1
    assert await listed(target_id="F-13", relation_type="similar_to") == 1
    assert (await relations.list_relations(limit=1)).items[0].id == last.id
