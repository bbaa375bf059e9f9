"""Reports on the knowledge."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from models.enums import ConfidenceLevel, FailureCardStatus, SubsystemCategory
from models.types import UtcDatetime
from routes.api import csv_table
from routes.api.csv_table import AsksForCsv
from routes.api.http import api_router
from routes.api.schemas import Out
from services.knowledge import reports
from services.knowledge.reports import ConfidenceReport

router = api_router("/efi/reports", tag="reports")


class GroupOut(Out):
    cards: int
    mean_confidence: float
    never_used: int
    uses: int
    successes: int
    fix_rate: float | None = Field(description="Successes / uses; null without uses.")


class LevelOut(GroupOut):
    level: ConfidenceLevel


class SubsystemOut(GroupOut):
    subsystem_category: SubsystemCategory


class VehicleOut(GroupOut):
    make: str
    model: str


class CardLineOut(Out):
    failure_id: str
    title: str
    status: FailureCardStatus
    confidence_score: float
    confidence_level: ConfidenceLevel
    usage_count: int
    evidence_mean: float
    evidence_low: float
    evidence_n: float


class MoverOut(CardLineOut):
    change: float = Field(description="Of the confidence score within the period.")
    outcomes: int


class FallingOut(CardLineOut):
    recent_rate: float = Field(description="Share of repairs that worked in the period.")
    recent_outcomes: int
    earlier_rate: float = Field(description="The same in the period of equal length before.")
    earlier_outcomes: int


class ConfidenceReportOut(Out):
    generated_at: UtcDatetime
    since: UtcDatetime
    threshold: float
    by_level: list[LevelOut]
    by_subsystem: list[SubsystemOut]
    by_vehicle: list[VehicleOut] = Field(description="The vehicles with most cards.")
    gained: list[MoverOut]
    lost: list[MoverOut]
    weak: list[CardLineOut] = Field(
        description="Lower bound of evidence under the threshold in spite of three or more outcomes."
    )
    falling: list[FallingOut] = Field(description="Worked less often in the period than in the one before it.")
    never_used: list[CardLineOut] = Field(description="The oldest approved cards that nobody has used.")
    never_used_count: int


@router.get("/confidence", response_model=ConfidenceReportOut, responses=csv_table.RESPONSE)
async def get_confidence_report(
    as_csv: AsksForCsv,
    days: Annotated[int, Query(ge=1, le=366, description="The period: so many days back from now.")] = 30,
    threshold: Annotated[float, Query(ge=0, le=1, description="Of the lower bound of evidence.")] = 0.5,
) -> Any:
    """How far the knowledge can be trusted: cards by level, movers, cards losing trust, never used, by subsystem and
    by vehicle. As JSON or as one CSV table whose first column names the section."""
    report = await reports.confidence_report(days=days, threshold=threshold)
    return confidence_file(report) if as_csv else ConfidenceReportOut.model_validate(report)


_SECTIONS = ("by_level", "by_subsystem", "by_vehicle", "gained", "lost", "weak", "falling", "never_used")
_COLUMNS = (
    "level",
    "subsystem_category",
    "make",
    "model",
    "cards",
    "mean_confidence",
    "never_used",
    "uses",
    "successes",
    "fix_rate",
    *FallingOut.model_fields,
    "change",
    "outcomes",
)


def confidence_file(report: ConfidenceReport) -> Response:
    """Every section of the report, one below the other; the first column names it."""
    filename = f"confidence-{report.generated_at:%Y-%m-%d}.csv"
    return csv_table.csv_response(("section", *_COLUMNS), _lines(report), filename)


def _lines(report: ConfidenceReport) -> Iterator[list[object]]:
    for section in _SECTIONS:
        for entry in getattr(report, section):
            values = asdict(entry) | ({"fix_rate": entry.fix_rate} if hasattr(entry, "fix_rate") else {})
            yield [section, *(values.get(column) for column in _COLUMNS)]
