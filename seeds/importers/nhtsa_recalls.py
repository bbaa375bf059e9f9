"""Recall campaigns of NHTSA, imported as approved failure cards: what makers state about a failure and its remedy."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from models.enums import Severity, SourceType
from models.failure_card import CardContent, CardSymptom, ResolutionStep, VehicleCompatibility
from seeds.importers.nhtsa import classify, clean, day, excerpt, model_year, sentences, shortened
from seeds.importers.reading import Refused, Row, Source
from seeds.importers.recall_text import cause_of, defect_of, effects_of, failure_mode_of, steps_of
from seeds.importers.runs import Item, Step, Stored
from services.knowledge.loading import upsert_by_natural_key

# Order of the fields in FLAT_RCL.txt (since 2024 FLAT_RCL_PRE_2010.txt and FLAT_RCL_POST_2010.txt), as NHTSA's layout
# document RCL.txt ("RECALLS") states it, as far as they are needed. The misspelling is NHTSA's.
COLUMNS = (
    "RECORD_ID", "CAMPNO", "MAKETXT", "MODELTXT", "YEARTXT", "MFGCAMPNO", "COMPNAME", "MFGNAME", "BGMAN", "ENDMAN",
    "RCLTYPECD", "POTAFF", "ODATE", "INFLUENCED_BY", "MFGTXT", "RCDATE", "DATEA", "RPNO", "FMVSS", "DESC_DEFECT",
    "CONEQUENCE_DEFECT", "CORRECTIVE_ACTION", "NOTES",
)  # fmt: skip

MAX_RANGES = 1000
_CAMPAIGN = re.compile(r"[0-9]{2}[A-Z][0-9A-Z]{3,9}")

Vehicle = tuple[str, str, int | None]
"""Make, model, model year."""


@dataclass(slots=True)
class Recall:
    """One campaign, out of one JSON object or of the flat file's rows for it (vehicle × component)."""

    campaign: str
    manufacturer: str
    reported: datetime | None
    summary: str
    consequence: str
    remedy: str
    components: list[str] = field(default_factory=list)
    vehicles: set[Vehicle] = field(default_factory=set)

    def add(self, other: "Recall") -> None:
        """Take in what another row of the campaign says."""
        self.components += [name for name in other.components if name not in self.components]
        self.vehicles |= other.vehicles


class RecallImporter:
    """Campaigns as cards, each known by its number: importing a newer file gives changed campaigns a new version."""

    name = "nhtsa-recalls"
    columns = COLUMNS

    def steps(self, source: Source, start: int) -> Iterator[Step[Recall]]:
        """One step for each campaign, as soon as its last row has been read.

        The flat file has rows of a campaign in several places. It is therefore read twice: first for where each
        campaign begins and ends, some hundred bytes of memory each; then only those begun and not ended are held.
        """
        with Source(source.path, COLUMNS) as first_reading:
            extents = _extents(first_reading)
        gathered: dict[str, Item[Recall]] = {}
        for row in source.rows(start):
            try:
                recall = read(row)
            except ValueError as error:
                yield Step(Refused(row.number, str(error), excerpt(row)), _resume_at(gathered, row.number))
                continue
            begin, end = extents[recall.campaign]
            if begin < start:
                continue  # it ended before the run was stopped, and is in
            if recall.campaign in gathered:
                gathered[recall.campaign].value.add(recall)
            else:
                gathered[recall.campaign] = Item(row.number, recall)
            if row.number == end:
                item = gathered.pop(recall.campaign)
                yield Step(item, _resume_at(gathered, row.number))

    async def store(self, items: list[Item[Recall]]) -> Stored:
        """Create or renew the cards. Within a transaction."""
        stored = Stored()
        numbers: dict[str, int] = {}
        contents: list[tuple[str, CardContent]] = []
        for item in items:
            key = f"nhtsa:recall:{item.value.campaign}"
            try:
                contents.append((key, card_of(item.value)))
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                reason = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                stored.refused.append(Refused(item.number, reason, item.value.campaign))
            numbers[key] = item.number
        loaded = await upsert_by_natural_key(contents)
        stored.created, stored.updated, stored.unchanged = loaded.created, loaded.updated, loaded.unchanged
        stored.refused += [Refused(numbers[key], str(error), key) for key, error in loaded.refused.items()]
        return stored


def _extents(source: Source) -> dict[str, tuple[int, int]]:
    """The first and last usable row of each campaign."""
    extents: dict[str, tuple[int, int]] = {}
    for row in source.rows():
        try:
            campaign = read(row).campaign
        except ValueError:
            continue
        extents[campaign] = (extents[campaign][0] if campaign in extents else row.number, row.number)
    return extents


def _resume_at(gathered: dict[str, Item[Recall]], row: int) -> int:
    return min((item.number for item in gathered.values()), default=row + 1)


def read(row: Row | Refused) -> Recall:
    """What one row says of its campaign. Raises ValueError naming what is missing or wrong."""
    if isinstance(row, Refused):
        raise ValueError(row.reason)  # noqa: TRY004 - one kind of error for every row that cannot be used
    recall = _from_json(row.fields) if "campaign" in row.fields else _from_flat(row.fields)
    if not _CAMPAIGN.fullmatch(recall.campaign):
        raise ValueError(f"has no campaign number but {recall.campaign[:40]!r}")
    if not recall.summary:
        raise ValueError("has no description of the defect")
    if not any(make for make, _, _ in recall.vehicles):
        raise ValueError("names no vehicle")
    return recall


def _from_json(fields: dict[str, Any]) -> Recall:
    vehicles = fields.get("vehicles")
    if not isinstance(vehicles, list) or not all(isinstance(one, dict) for one in vehicles):
        raise ValueError("vehicles is not a list of objects")
    return Recall(
        campaign=clean(fields["campaign"]),
        manufacturer=clean(fields.get("manufacturer")),
        reported=day(fields.get("report_date")),
        summary=clean(fields.get("summary")) or clean(fields.get("notes")),
        consequence=clean(fields.get("consequence")),
        remedy=clean(fields.get("remedy")),
        components=[clean(fields.get("component"))],
        vehicles={_vehicle(one.get("make"), one.get("model"), one.get("year")) for one in vehicles},
    )


def _from_flat(fields: dict[str, Any]) -> Recall:
    if "NOTES" not in fields:
        raise ValueError(f"has {len(fields)} fields, too few for a recall")
    product = clean(fields["RCLTYPECD"])
    if product not in ("", "V"):
        raise ValueError(f"is not about vehicles but products of type {product}")
    return Recall(
        campaign=clean(fields["CAMPNO"]),
        manufacturer=clean(fields["MFGTXT"]) or clean(fields["MFGNAME"]),
        reported=day(fields["RCDATE"]),
        # Campaigns of the early years have their description in the notes.
        summary=clean(fields["DESC_DEFECT"]) or clean(fields["NOTES"]),
        consequence=clean(fields["CONEQUENCE_DEFECT"]),
        remedy=clean(fields["CORRECTIVE_ACTION"]),
        components=[clean(fields["COMPNAME"])],
        vehicles={_vehicle(fields["MAKETXT"], fields["MODELTXT"], fields["YEARTXT"])},
    )


def _vehicle(make: Any, model: Any, year: Any) -> Vehicle:
    return shortened(clean(make), 120), shortened(clean(model), 120), model_year(year)


def card_of(recall: Recall) -> CardContent:
    """The card that a campaign makes. Raises pydantic's ValidationError for texts beyond a card's limits."""
    subsystem, _ = classify(recall.components)
    defect = defect_of(recall.summary)
    return CardContent(
        title=_title(recall, defect),
        description="\n\n".join(filter(None, (recall.summary, recall.consequence))),
        subsystem_category=subsystem,
        failure_mode=failure_mode_of(f"{defect} {recall.consequence}"),
        severity=severity_of(recall),
        symptoms=[CardSymptom(description=shortened(effect, 200)) for effect in effects_of(defect, recall.consequence)],
        symptom_text=" ".join(filter(None, (defect, recall.consequence))),
        root_cause=cause_of(defect),
        root_cause_details=recall.summary,
        resolution_steps=[
            ResolutionStep(step_number=number, action=shortened(step, 500))
            for number, step in enumerate(steps_of(recall.remedy), start=1)
        ],
        resolution_summary=recall.remedy,
        vehicle_models=ranges_of(recall.vehicles),
        tags=["nhtsa", "recall"],
        source_type=SourceType.oem_input,
        source_reference=shortened(f"NHTSA recall campaign {recall.campaign}, {recall.manufacturer}".rstrip(", "), 500),
        first_detected_at=recall.reported,
    )


def _title(recall: Recall, defect: str) -> str:
    """The component's last level and the defect: what tells this campaign from others of the same component."""
    component = recall.components[0].rsplit(":", 1)[-1].strip().capitalize() if recall.components else ""
    return shortened(": ".join(filter(None, (component, cause_of(sentences(defect)[0]).rstrip(".")))), 200)


_CRITICAL = re.compile(
    r"\bfire|electrocut|electric(al)? shock|death|fatal|explo|thermal runaway|loss of (vehicle )?control|"
    r"(loss of|without|reduced) (steering|braking|brake)|loss of (drive|motive) power|rollaway|roll away",
    re.IGNORECASE,
)
_HIGH = re.compile(r"crash|accident|collision|injur", re.IGNORECASE)
_LABELS = re.compile(r"LABEL|MANUAL", re.IGNORECASE)


def severity_of(recall: Recall) -> Severity:
    """By the consequence that NHTSA states; a wrong label or manual is never severe."""
    if recall.components and all(_LABELS.search(component) for component in recall.components):
        return Severity.low
    if _CRITICAL.search(recall.consequence):
        return Severity.critical
    return Severity.high if _HIGH.search(recall.consequence) else Severity.medium


def ranges_of(vehicles: Iterable[Vehicle]) -> list[VehicleCompatibility]:
    """Make and model with ranges of model years, gaps kept. A model whose years are not known covers all years.

    More than a card can hold are summed up to one range for each make.
    """
    years: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for make, model, year in vehicles:
        if make:
            years[make, model].update([year] if year else [])
    ranges = [
        VehicleCompatibility(make=make, model=model, year_from=begin, year_to=end)
        for (make, model), known in sorted(years.items())
        for begin, end in _consecutive(sorted(known))
    ]
    if len(ranges) <= MAX_RANGES:
        return ranges
    by_make: defaultdict[str, set[int]] = defaultdict(set)
    for (make, _), known in years.items():
        by_make[make] |= known
    return [
        VehicleCompatibility(make=make, year_from=min(known, default=None), year_to=max(known, default=None))
        for make, known in sorted(by_make.items())
    ][:MAX_RANGES]


def _consecutive(years: list[int]) -> Iterator[tuple[int | None, int | None]]:
    if not years:
        yield None, None
        return
    begin = end = years[0]
    for year in years[1:]:
        if year > end + 1:
            yield begin, end
            begin = year
        end = year
    yield begin, end
