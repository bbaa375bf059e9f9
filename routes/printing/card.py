"""A failure card on paper: all that somebody needs who stands at the vehicle without a screen."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import segno
from starlette.requests import Request
from starlette.responses import Response

from app import clock
from app.settings import Settings
from models.failure_card import DiagnosticNode, FailureCard, RequiredPart, ResolutionStep, VehicleCompatibility
from routes.printing.typesetting import typeset
from routes.texts import share, text, word
from services.knowledge.confidence import Evidence, evidence_of
from services.knowledge.diagnostic_tree import answers, decides_at_once

QUIET_ZONE = 4
"""Light modules around the code, as ISO/IEC 18004 wants them."""

Block = dict[str, Any]


async def answer(request: Request, card: FailureCard, zone: ZoneInfo) -> Response:
    """The card as a file that a browser shows and names after the card. Its code leads to EFI_PUBLIC_URL, or, while
    that is not set, to where the request came to."""
    settings: Settings = request.app.state.settings
    base = settings.public_url or str(request.base_url)
    everywhere, _ = await evidence_of(card.id)
    content = await card_pdf(card, everywhere, address=f"{base.rstrip('/')}/cards/{card.id}", zone=zone)
    headers = {"Content-Disposition": f'inline; filename="{card.id}-v{card.version}.pdf"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="application/pdf")


async def card_pdf(card: FailureCard, evidence: Evidence, *, address: str, zone: ZoneInfo) -> bytes:
    """The card as a PDF. `evidence` is what repairs say of it everywhere, `address` where its page is, which the code
    leads to; dates are in `zone`."""
    return await typeset("card.typ", _content(card, evidence, address, zone), gaps=text("print.gaps"))


def _content(card: FailureCard, evidence: Evidence, address: str, zone: ZoneInfo) -> dict[str, Any]:
    updated, now = card.updated_at.astimezone(zone), clock.now().astimezone(zone)
    return {
        "lang": text("language"),
        "title": card.title,
        "status": "" if card.status == "approved" else text("print.not_approved", status=word(card.status)),
        "facts": list(_facts(card, evidence, f"{updated:%d %b %Y}")),
        "warnings": list(dict.fromkeys(_warnings(card))),
        "warnings_title": text("print.safety"),
        "warning": text("print.warning"),
        "sections": [section for section in _sections(card) if section["blocks"]],
        "address": address,
        "code": list(_code(address)),
        "code_alt": text("print.code", address=address),
        "footer": text("print.footer", id=card.id, version=card.version, day=f"{now:%d %b %Y, %H:%M %Z}"),
    }


def _code(address: str) -> bytes:
    """A QR code of it, as a picture of one pixel per module."""
    picture = segno.make_qr(address, error="m").png_data_uri(border=QUIET_ZONE)
    return base64.b64decode(picture.partition(",")[2])


def _facts(card: FailureCard, evidence: Evidence, day: str) -> Iterator[tuple[str, str]]:
    yield text("print.id"), card.id
    yield text("print.version"), text("print.version_of", version=card.version, day=day)
    yield text("print.trust"), _trust(card, evidence)
    yield text("card.subsystem"), f"{word(card.subsystem_category)}, {word(card.failure_mode)}"
    yield text("card.severity"), word(card.severity)
    yield text("tickets.codes"), ", ".join(card.error_codes) or "–"
    vehicles = [_vehicle(one) for one in card.vehicle_models]
    yield text("card.vehicles"), text("card.universal") if card.universal_failure else "; ".join(vehicles) or "–"
    yield text("card.skill"), word(card.skill_level_required)
    if card.estimated_repair_time_minutes:
        yield text("print.time"), text("print.minutes", n=card.estimated_repair_time_minutes)


def _trust(card: FailureCard, evidence: Evidence) -> str:
    rate, n = evidence.fix_rate, evidence.outcomes
    said = text("suspect.trust", mean=share(rate.mean), low=share(rate.low), high=share(rate.high), n=n)
    return f"{word(card.confidence_level)}; {text('suspect.fix_works')} {said if n else text('card.untried')}"


def _vehicle(one: VehicleCompatibility) -> str:
    years = f"{one.year_from or ''}–{one.year_to or ''}" if one.year_from or one.year_to else ""
    return " ".join(filter(None, (one.make, one.model, years, *one.variants)))


def _warnings(card: FailureCard) -> Iterator[str]:
    nodes = card.diagnostic_tree.nodes if card.diagnostic_tree else []
    for step in (*nodes, *card.resolution_steps):
        yield from step.safety_warnings
    yield from (step.safety_warning for step in card.verification_steps if step.safety_warning)


def _sections(card: FailureCard) -> Iterator[Block]:
    symptoms = [one.description for one in card.symptoms]
    when = [" ".join(filter(None, (one.condition, one.value, one.unit))) for one in card.failure_conditions]
    said = _texts(card.description, card.symptom_text)
    yield _section("card.symptoms", said, _list(symptoms), _list(when, text("print.when")))
    causes = _texts(card.root_cause, card.root_cause_details)
    yield _section("card.cause", causes, _list(card.secondary_causes, text("card.secondary")))
    yield _section("card.tree", _steps(_nodes(card)))
    checks = [_step(one.action, [one.expected_result], [one.safety_warning]) for one in card.verification_steps]
    yield _section("print.verification", _steps(checks))
    repair = [_repair(one) for one in card.resolution_steps]
    yield _section("card.resolution", _texts(card.resolution_summary), _steps(repair))
    parts, tools = map(_part, card.required_parts), _tools(card)
    yield _section("print.needed", _list(parts, text("parts.title")), _list(tools, text("diagnosis.tools")))


def _section(title: str, *blocks: Iterable[Block]) -> Block:
    return {"title": text(title), "blocks": [block for group in blocks for block in group]}


def _texts(*values: str) -> list[Block]:
    return [{"kind": "text", "text": line} for value in values for line in value.split("\n") if line.strip()]


def _list(entries: Iterable[str], title: str = "") -> list[Block]:
    found = [" ".join(entry.split()) for entry in entries]
    return [{"kind": "list", "title": title, "entries": found}] if found else []


def _steps(steps: list[Block]) -> list[Block]:
    return [{"kind": "steps", "steps": steps}] if steps else []


def _step(title: str, lines: Iterable[str], warnings: Iterable[str], ways: Iterable[str] = ()) -> Block:
    return {
        "title": title,
        "lines": [part for line in lines for part in line.split("\n") if part.strip()],
        "warnings": [warning for warning in warnings if warning],
        "ways": list(ways),
    }


def _nodes(card: FailureCard) -> list[Block]:
    """The questions in the order they stand in the tree, the first one first, and where each answer leads."""
    tree = card.diagnostic_tree
    if tree is None:
        return []
    ordered = sorted(tree.nodes, key=lambda node: node.node_id != tree.root_node_id)
    numbers = {node.node_id: number for number, node in enumerate(ordered, 1)}
    return [_step(node.question, _checks(node), node.safety_warnings, _ways(node, numbers)) for node in ordered]


def _checks(node: DiagnosticNode) -> Iterator[str]:
    yield node.check_action
    if node.expected_outcome:
        yield f"{text('diagnosis.expected')}: {node.expected_outcome}"
    if node.tools_required:
        yield f"{text('diagnosis.tools')}: {', '.join(node.tools_required)}"


def _ways(node: DiagnosticNode, numbers: dict[str, int]) -> Iterator[str]:
    leads = answers(node)
    for answer, target, verdict, confirms in leads[:1] if decides_at_once(node) else leads:
        if target:
            way = text("print.to_step", n=numbers[target])
        else:
            way = text("print.confirms" if confirms else "print.hands_over", verdict=verdict)
        yield way if decides_at_once(node) else f"{text(f'form.{answer}')}: {way}"


def _repair(step: ResolutionStep) -> Block:
    tools = f"{text('diagnosis.tools')}: {', '.join(step.tools_required)}" if step.tools_required else ""
    return _step(step.action, [step.details, tools], step.safety_warnings)


def _part(part: RequiredPart) -> str:
    named = " ".join(filter(None, (f"{part.quantity} ×", part.part_name, part.part_number)))
    optional = text("print.optional") if part.is_optional else ""
    instead = text("print.instead", parts=", ".join(part.substitutes)) if part.substitutes else ""
    return "; ".join(filter(None, (named, optional, instead)))


def _tools(card: FailureCard) -> list[str]:
    nodes = card.diagnostic_tree.nodes if card.diagnostic_tree else []
    steps = (*nodes, *card.verification_steps, *card.resolution_steps)
    return list(dict.fromkeys([*card.diagnostic_tools, *(tool for step in steps for tool in step.tools_required)]))
