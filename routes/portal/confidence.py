"""How far the knowledge can be trusted: cards, the promises of matching, what of the tickets is covered, and the models
that weigh matches."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from models.match_model import MatchModel
from routes.portal import render
from routes.portal.charts import Bar, Column, Foretold
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import Visit, see_other
from services.diagnosis.calibration import ENOUGH, Curve, calibration
from services.diagnosis.training import models
from services.knowledge.reports import ConfidenceReport, confidence_report
from services.knowledge.trust import trust_over_time
from services.repairs.coverage import Covered, coverage_report

router = page_router()

PERIODS = (7, 30, 90, 365)
VEHICLES_SHOWN = 20
MONTHS = 12
TRAININGS_SHOWN = 30
SECTIONS = (
    ("trust", "/confidence"),
    ("calibration", "/confidence/calibration"),
    ("coverage", "/confidence/coverage"),
    ("models", "/confidence/models"),
)


@router.get("/confidence")
async def show_confidence(visit: CurrentVisit) -> Response:
    days = asked_days(visit)
    report = await confidence_report(days=days)
    points = await trust_over_time(days=days)
    return visit.page(
        "confidence.html",
        sections=SECTIONS,
        report=report,
        days=days,
        periods=PERIODS,
        levels=_levels(report),
        points=points,
        course=[(_day(visit, one.at), one.mean_confidence) for one in points if one.mean_confidence is not None],
        layers=[Column(_day(visit, one.at), list(one.levels.items())) for one in points],
        subsystems=[(render.word(group.subsystem_category), group) for group in report.by_subsystem],
        vehicles=[(f"{group.make} {group.model}", group) for group in report.by_vehicle[:VEHICLES_SHOWN]],
    )


def asked_days(visit: Visit) -> int:
    """The period that the address asks for."""
    asked = visit.request.query_params.get("days", "")
    return int(asked) if asked in map(str, PERIODS) else 30


def _levels(report: ConfidenceReport) -> list[Bar]:
    return [Bar(render.word(group.level), group.cards, group.level, f"{group.cards:,}") for group in report.by_level]


def _day(visit: Visit, instant: datetime) -> str:
    return f"{instant.astimezone(visit.zone):%d %b %Y}"


@router.get("/confidence/calibration")
async def show_calibration(visit: CurrentVisit) -> Response:
    """What matches promised, against what repairs decided."""
    found = await calibration(timedelta(days=visit.settings.return_window_days))
    curves = [(name, getattr(found, name)) for name in ("best", "none", "shown")]
    return visit.page(
        "calibration.html",
        sections=SECTIONS,
        found=found,
        needed=ENOUGH,
        curves=[(name, curve, _drawn(curve)) for name, curve in curves],
    )


def _drawn(curve: Curve) -> list[Foretold]:
    return [Foretold(one.mean, one.share, one.low, one.high, one.count) for one in curve.bins]


@router.get("/confidence/coverage")
async def show_coverage(visit: CurrentVisit) -> Response:
    """What share of the tickets a known failure explained."""
    report = await coverage_report(months=MONTHS)
    return visit.page(
        "coverage.html",
        sections=SECTIONS,
        report=report,
        months=[_share_bar(f"{one.month:%b %Y}", one) for one in report.by_month],
        makes=[(one.make or render.text("coverage.no_make"), one) for one in report.by_make],
    )


def _share_bar(label: str, one: Covered) -> Bar:
    said = render.text("coverage.of", share=render.share(one.coverage), n=one.resolved) if one.resolved else "–"
    return Bar(label, one.coverage or 0.0, "plain", said)


@dataclass(frozen=True, slots=True)
class Shown:
    """One training; `standing` says what became of it."""

    model: MatchModel
    standing: str


async def _load(version: Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,60}$")]) -> MatchModel:
    return await models.get(version)


CurrentModel = Annotated[MatchModel, Depends(_load)]


@router.get("/confidence/models")
async def list_models(visit: CurrentVisit) -> Response:
    """Every training, the latest first, and the prior that the service comes with."""
    found, serving = await models.all_models(), await models.active()
    kept = [one for one in found if one.record is None or one.id == serving.id]
    latest = [one for one in found if one not in kept][:TRAININGS_SHOWN]
    shown = [Shown(one, _standing(one, serving)) for one in found if one in latest or one in kept]
    return visit.page("models.html", sections=SECTIONS, shown=shown, left_out=len(found) - len(shown))


def _standing(model: MatchModel, serving: MatchModel) -> str:
    if model.id == serving.id:
        return "serving"
    if model.refused:
        return "refused"
    return "kept" if model.base == serving.base else "of_another_release"


@router.post("/confidence/models/{version}/activate")
async def activate_model(visit: CurrentVisit, model: CurrentModel) -> Response:
    """Let it serve: forward, or back to an earlier one."""

    async def work() -> Response:
        await models.activate(model)
        return see_other("/confidence/models")

    return await submit(visit, work, lambda: list_models(visit))
