"""Recall campaigns become approved cards, grouped out of scattered rows."""

import random

import pytest

from models.enums import FailureCardStatus, FailureMode, Severity, SourceType, SubsystemCategory
from models.event import EfiEvent
from models.failure_card import CardVersion, FailureCard
from seeds.importers.nhtsa import classify, sentences
from seeds.importers.nhtsa_recalls import COLUMNS, RecallImporter, ranges_of
from seeds.importers.reading import Source
from seeds.importers.recall_text import effects_of, failure_mode_of, steps_of
from seeds.importers.runs import Item, run_import
from tests.seeds.importers.excerpts import RECALL, json_lines, recall_line, written


async def imported(path):
    return await run_import(RecallImporter(), path)


async def only_card() -> FailureCard:
    [card] = await FailureCard.find({}).to_list()
    return card


async def test_a_campaign_of_json_lines(store, tmp_path):
    run = await imported(written(tmp_path / "r.jsonl", json_lines(RECALL)))

    assert (run.created, run.bad_count) == (1, 0)
    card = await only_card()
    assert (card.natural_key, card.status) == ("nhtsa:recall:22V100000", FailureCardStatus.approved)
    assert card.title == "Traction battery: The high-voltage battery may experience a short circuit"
    assert card.root_cause == "The high-voltage battery may experience a short circuit"
    assert [symptom.description for symptom in card.symptoms] == [
        "A loss of drive power", "A short circuit in the battery",
    ]  # fmt: skip
    assert (card.subsystem_category, card.failure_mode) == (SubsystemCategory.battery, FailureMode.short_circuit)
    assert (card.severity, card.source_type) == (Severity.critical, SourceType.oem_input)
    assert [step.action for step in card.resolution_steps] == ["Dealers will replace the battery modules."]
    assert card.resolution_summary == RECALL["remedy"]
    assert card.source_reference == "NHTSA recall campaign 22V100000, Volta Motors, Inc."
    [vehicle] = card.vehicle_models
    assert (vehicle.make, vehicle.model, vehicle.year_from, vehicle.year_to) == ("VOLTA", "CITY", 2020, 2021)
    assert card.first_detected_at.isoformat() == "2022-05-01T00:00:00+00:00"
    assert card.keywords
    assert [event.event_type for event in await EfiEvent.find({}).sort([("_id", 1)]).to_list()] == [
        "card.created", "card.approved",
    ]  # fmt: skip


async def test_both_formats_say_the_same(store, tmp_path):
    await imported(written(tmp_path / "r.jsonl", json_lines(RECALL)))
    lines = "\n".join(recall_line(YEARTXT=year) for year in ("2021", "2020"))
    run = await imported(written(tmp_path / "FLAT_RCL.txt", lines))
    assert (run.created, run.updated, run.unchanged) == (0, 0, 1)


async def test_scattered_rows_of_a_campaign_come_together(store, tmp_path):
    models = [f"M{n}" for n in range(12)]
    rows = [
        recall_line(CAMPNO=f"22V{100 + n}000", MODELTXT=model, COMPNAME=component)
        for n in range(8)
        for model in models
        for component in ("STEERING", "SUSPENSION")
    ]
    random.Random(3).shuffle(rows)
    run = await run_import(RecallImporter(), written(tmp_path / "FLAT_RCL.txt", "\n".join(rows)), batch=3)

    assert (run.created, run.updated) == (8, 0)
    for card in await FailureCard.find({}).to_list():
        assert {vehicle.model for vehicle in card.vehicle_models} == set(models)
        assert card.version == 1


def test_only_unfinished_campaigns_are_held(tmp_path):
    """What is given out as soon as it is complete is not kept: rows in order are grouped one campaign at a time."""
    rows = [recall_line(CAMPNO=f"22V{100 + n}000", YEARTXT=str(2000 + year)) for n in range(50) for year in range(10)]
    with Source(written(tmp_path / "FLAT_RCL.txt", "\n".join(rows)), COLUMNS) as source:
        for n, step in enumerate(RecallImporter().steps(source, 0)):
            assert isinstance(step.found, Item)
            assert step.resume_at == (n + 1) * 10


class Stopped(Exception):
    """What kills a run in the middle."""


async def test_a_stopped_run_resumes_without_losing_vehicles(store, tmp_path):
    """The first campaign ends before the stop, the second spans it."""
    order = [0, 1, 0, 1, 2, 2, 3, 3, 1, 4, 4, 5, 5]
    rows = [recall_line(CAMPNO=f"22V{100 + n}000", MODELTXT=f"M{place}") for place, n in enumerate(order)]
    path = written(tmp_path / "FLAT_RCL.txt", "\n".join(rows))

    def stop(_position, _size, run):
        if run.created >= 2:
            raise Stopped

    with pytest.raises(Stopped):
        await run_import(RecallImporter(), path, batch=1, progress=stop)
    run = await run_import(RecallImporter(), path, batch=1)

    assert run.created == 6
    cards = {card.natural_key: card for card in await FailureCard.find({}).to_list()}
    assert len(cards) == 6
    for n in range(6):
        card = cards[f"nhtsa:recall:22V{100 + n}000"]
        assert {v.model for v in card.vehicle_models} == {f"M{place}" for place, own in enumerate(order) if own == n}
        assert card.version == 1


async def test_importing_again_changes_nothing_and_news_make_a_version(store, tmp_path):
    path = written(tmp_path / "r.jsonl", json_lines(RECALL))
    await imported(path)
    before = await only_card()
    again = await imported(path)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 1)
    assert await only_card() == before

    news = RECALL | {"remedy": "Dealers will replace the whole battery, free of charge."}
    run = await imported(written(tmp_path / "r2.jsonl", json_lines(news)))
    assert (run.created, run.updated) == (0, 1)
    assert (await only_card()).version == 2
    assert await CardVersion.find({}).count() == 2


async def test_bad_rows_are_listed_and_the_rest_goes_in(store, tmp_path):
    rows = [
        RECALL | {"campaign": "what"},
        RECALL | {"summary": "", "notes": ""},
        RECALL | {"vehicles": []},
        RECALL | {"vehicles": ["VOLTA"]},
        RECALL | {"campaign": "22V200000", "remedy": "x" * 20_001},
        RECALL,
    ]
    run = await imported(written(tmp_path / "r.jsonl", json_lines(*rows)))
    assert (run.created, run.bad_count) == (1, 5)
    reasons = {bad.row: bad.reason for bad in run.bad_rows}
    assert "campaign number" in reasons[1]
    assert "no description" in reasons[2]
    assert "names no vehicle" in reasons[3]
    assert "list of objects" in reasons[4]
    assert reasons[5].startswith("resolution_summary: ")


async def test_rows_of_the_early_years_and_of_other_products(store, tmp_path):
    lines = [
        recall_line(CAMPNO="66V002000", DESC_DEFECT="", CONEQUENCE_DEFECT="", NOTES="BRAKE HOSE MAY LEAK."),
        recall_line(CAMPNO="22E001000", RCLTYPECD="E"),
        "22V9\ttoo short",
    ]
    run = await imported(written(tmp_path / "FLAT_RCL.txt", "\n".join(lines), "latin-1"))
    assert (run.created, run.bad_count) == (1, 2)
    card = await only_card()
    assert (card.root_cause, card.failure_mode) == ("BRAKE HOSE MAY LEAK.", FailureMode.leakage)


def test_years_become_ranges_with_their_gaps():
    vehicles = [("A", "X", year) for year in (2015, 2011, 2010, 2016, 2012)] + [("A", "Y", None), ("B", "Z", 2020)]
    assert [(r.make, r.model, r.year_from, r.year_to) for r in ranges_of(vehicles)] == [
        ("A", "X", 2010, 2012),
        ("A", "X", 2015, 2016),
        ("A", "Y", None, None),
        ("B", "Z", 2020, 2020),
    ]
    many = [("A", f"M{n}", 2000 + n % 20) for n in range(1500)]
    assert [(r.make, r.model, r.year_from, r.year_to) for r in ranges_of(many)] == [("A", "", 2000, 2019)]


@pytest.mark.parametrize(
    ("component", "subsystem"),
    [
        ("ELECTRICAL SYSTEM:PROPULSION SYSTEM:TRACTION BATTERY", SubsystemCategory.battery),
        ("ELECTRICAL SYSTEM:PROPULSION SYSTEM:TRACTION BATTERY:THERMAL MANAGEMENT", SubsystemCategory.thermal),
        ("HYBRID PROPULSION SYSTEM: INVERTER", SubsystemCategory.inverter),
        ("SERVICE BRAKES, HYDRAULIC:POWER ASSIST", SubsystemCategory.brakes),
        ("ELECTRICAL SYSTEM:12V/24V/48V BATTERY", SubsystemCategory.low_voltage),
        ("ENGINE AND ENGINE COOLING:ENGINE:GASOLINE:TURBO/SUPERCHARGER", SubsystemCategory.engine),
        ("SEAT BELTS:FRONT", SubsystemCategory.restraints),
        ("SEATS:FRONT ASSEMBLY", SubsystemCategory.body),
        ("Other/I am not sure", SubsystemCategory.other),
    ],
)
def test_components_find_their_subsystem(component, subsystem):
    assert classify([component])[0] is subsystem
    assert classify(["UNKNOWN OR OTHER", component])[0] is subsystem


def test_sentences_do_not_end_at_abbreviations():
    text = 'Volta Motors, Inc. Is recalling FMVSS No. 111 vehicles. The pump may fail. "It stops."'
    assert sentences(text) == [
        "Volta Motors, Inc. Is recalling FMVSS No. 111 vehicles.", "The pump may fail.", '"It stops."',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("remedy", "steps"),
    [
        (
            "Volta will notify owners, and dealers will replace the latch, free of charge.",
            ["Dealers will replace the latch."],
        ),
        (
            "DEALERS WILL RE-TORQUE ALL FASTENERS. OWNERS MAY CONTACT VOLTA TO CHECK.",
            ["DEALERS WILL RE-TORQUE ALL FASTENERS."],
        ),
        ("The remedy for this recall is still under development. The recall began May 9, 2019.", []),
        ("", []),
    ],
)
def test_steps_are_work_not_paperwork(remedy, steps):
    assert steps_of(remedy) == steps


def test_effects_are_named_once():
    defect = "The ICCU may become damaged, which can result in a loss of drive power."
    assert effects_of(defect, "A loss of drive power increases the risk of a crash.") == ["A loss of drive power"]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("the harness may be shorted and overheat", FailureMode.short_circuit),
        ("the battery may overheat", FailureMode.overheating),
        ("may stop within a short distance", FailureMode.complete_failure),
        ("the weld may crack", FailureMode.physical_damage),
    ],
)
def test_failure_modes(text, mode):
    assert failure_mode_of(text) is mode
