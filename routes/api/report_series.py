"""Reports that are drawn as curves: trust over time, calibration of match probabilities, coverage of tickets."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from starlette.requests import Request

from app.settings import Settings
from models.enums import ConfidenceLevel
from models.types import UtcDatetime
from routes.api import csv_table
from routes.api.csv_table import AsksForCsv
from routes.api.http import api_router
from routes.api.schemas import Out, Score
from services.diagnosis.calibration import Calibration, calibration
from services.knowledge.trust import TrustPoint, trust_over_time
from services.repairs.coverage import CoverageReport, coverage_report

router = api_router("/efi/reports", tag="reports")

Days = Annotated[int, Query(ge=1, le=366, description="The period: so many days back from now.")]
Months = Annotated[int, Query(ge=1, le=36, description="This month and those before it, so many in all.")]


class TrustPointOut(Out):
    at: UtcDatetime
    cards: int = Field(description="In use at this moment.")
    mean_confidence: Score | None
    levels: dict[ConfidenceLevel, int]


class TrustOut(Out):
    points: list[TrustPointOut] = Field(description="At equal distances, oldest first, the last one now.")


@router.get("/trust", response_model=TrustOut, responses=csv_table.RESPONSE)
async def get_trust_over_time(as_csv: AsksForCsv, days: Days = 90) -> Any:
    """Mean confidence and levels of the cards in use at each moment of the period."""
    points = await trust_over_time(days=days)
    return trust_file(points) if as_csv else TrustOut.model_validate({"points": points})


def trust_file(points: list[TrustPoint]) -> Response:
    """A row for each moment."""
    levels = list(ConfidenceLevel)
    rows = ([one.at.isoformat(), one.cards, one.mean_confidence, *map(one.levels.get, levels)] for one in points)
    return csv_table.csv_response(("at", "cards", "mean_confidence", *levels), rows, "trust.csv")


class BinOut(Out):
    mean: Score = Field(description="Mean of the probabilities in it.")
    share: Score = Field(description="Of them that came true.")
    low: Score = Field(description="90 % interval of the share (Wilson).")
    high: Score
    count: int


class CurveOut(Out):
    count: int = Field(description="Probabilities that were shown.")
    bins: list[BinOut] = Field(description="Ten of equal width, those without any left out.")
    ece: Score | None = Field(description="Mean |probability − share| over the bins, by their counts.")
    brier: Score | None = Field(description="Mean squared error.")


class CalibrationOut(Out):
    generated_at: UtcDatetime
    since: UtcDatetime | None = Field(description="When the earliest of these tickets was decided.")
    decided: int = Field(description="Tickets whose return window has passed and whose repair says what it was.")
    tickets: int = Field(description="Of these, those that had been shown probabilities before.")
    enough: bool = Field(description="Whether there are enough of them to conclude anything.")
    scorer_versions: dict[str, int] = Field(description="Which model had given the probabilities, by tickets.")
    shown: CurveOut = Field(description="Of every card that was shown, that it explains the ticket.")
    best: CurveOut = Field(description="Of the first card.")
    none: CurveOut = Field(description="That no known failure explains the ticket.")


@router.get("/calibration", response_model=CalibrationOut, responses=csv_table.RESPONSE)
async def get_calibration(request: Request, as_csv: AsksForCsv) -> Any:
    """What matches promised, against what repairs decided: of the latest 1,000 decided tickets."""
    settings: Settings = request.app.state.settings
    found = await calibration(timedelta(days=settings.return_window_days))
    return calibration_file(found) if as_csv else CalibrationOut.model_validate(found)


def calibration_file(found: Calibration) -> Response:
    """A row for each bin of each curve."""
    columns = tuple(BinOut.model_fields)

    def rows() -> Iterator[list[object]]:
        for name in ("shown", "best", "none"):
            for one in getattr(found, name).bins:
                yield [name, *(asdict(one)[column] for column in columns)]

    return csv_table.csv_response(("of", *columns), rows(), "calibration.csv")


class CoveredOut(Out):
    tickets: int = Field(description="That came in.")
    resolved: int = Field(description="Of these, resolved by now.")
    known: int = Field(description="Of these, explained by a card.")
    coverage: Score | None = Field(description="Known / resolved; null without any.")


class MonthCoveredOut(CoveredOut):
    month: UtcDatetime = Field(description="Its beginning.")


class MakeCoveredOut(CoveredOut):
    make: str = Field(description="Empty where tickets name none.")


class CoverageOut(Out):
    generated_at: UtcDatetime
    since: UtcDatetime
    total: CoveredOut
    by_month: list[MonthCoveredOut] = Field(description="By when tickets came in, oldest month first.")
    by_make: list[MakeCoveredOut] = Field(description="The 50 makes with most tickets.")


@router.get("/coverage", response_model=CoverageOut, responses=csv_table.RESPONSE)
async def get_coverage(as_csv: AsksForCsv, months: Months = 12) -> Any:
    """The share of resolved tickets that a known failure explained, by month and by make."""
    report = await coverage_report(months=months)
    return coverage_file(report) if as_csv else CoverageOut.model_validate(report)


def coverage_file(report: CoverageReport) -> Response:
    """A row for each month, then for each make."""

    def rows() -> Iterator[list[object]]:
        for one in report.by_month:
            yield ["by_month", f"{one.month:%Y-%m}", one.tickets, one.resolved, one.known, one.coverage]
        for make in report.by_make:
            yield ["by_make", make.make, make.tickets, make.resolved, make.known, make.coverage]

    return csv_table.csv_response(("section", "group", *CoveredOut.model_fields), rows(), "coverage.csv")
