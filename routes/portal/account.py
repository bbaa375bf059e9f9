"""Signing in and out, one's own password, and how pages look."""

from starlette.responses import Response

from app.errors import EfiError, TooManyRequests, Unauthenticated
from app.security import Role
from routes.portal import render
from routes.portal.forms import CSRF_FIELD
from routes.portal.http import CurrentVisit, page_router, sign_in_page
from routes.portal.visit import (
    SESSION_COOKIE,
    THEME_COOKIE,
    THEMES,
    VISITOR_COOKIE,
    ZONE_COOKIE,
    Visit,
    own_path,
    see_other,
    zone_named,
)
from services.accounts import sessions, users

router = page_router()

HOMES = (
    (Role.technician, "/tickets"),
    (Role.expert, "/reviews"),
    (Role.admin, "/confidence"),
    (Role.fleet_customer, "/tickets"),
)


@router.get("/")
async def start(visit: CurrentVisit) -> Response:
    """Everybody begins where their work is."""
    return see_other(next((path for role, path in HOMES if visit.has(role)), "/knowledge"))


@router.get("/sign-in")
async def show_sign_in(visit: CurrentVisit) -> Response:
    target = own_path(visit.request.query_params.get("next", "/"))
    if visit.signed_in:
        return see_other(target)
    return sign_in_page(visit, kept=[], target=target)


@router.post("/sign-in")
async def sign_in(visit: CurrentVisit) -> Response:
    """Open a session. What was about to be sent when the last one ended is offered again, to be sent by a click."""
    form = visit.form
    target = own_path(form.get("next", "/"))
    kept = list(zip(form.values.get("kept_name", []), form.values.get("kept_value", []), strict=False))
    try:
        tokens = await sessions.login(form.get("email"), form.values.get("password", [""])[-1], visit.settings)
    except (Unauthenticated, TooManyRequests) as error:
        form.notice = error.detail
        return sign_in_page(visit, kept=kept, target=target, status=error.status)
    if kept:
        visit.secret = tokens.refresh_token
        kept = [(name, value) for name, value in kept if name != CSRF_FIELD]
        response: Response = visit.page("send_kept.html", kept=kept, target=target)
    else:
        response = see_other(target)
    days = visit.settings.refresh_token_days
    visit.set_cookie(response, SESSION_COOKIE, tokens.refresh_token, seconds=days * 24 * 3600)
    response.delete_cookie(VISITOR_COOKIE)
    return response


@router.post("/sign-out")
async def sign_out(visit: CurrentVisit) -> Response:
    await sessions.logout(visit.actor.id, visit.session_id or "")
    response = see_other("/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    # Lists are kept by the browser, to be asked for again quickly; whoever comes next must not leaf back to them.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@router.get("/account")
async def account(visit: CurrentVisit) -> Response:
    return await _account(visit)


@router.post("/account/password")
async def change_password(visit: CurrentVisit) -> Response:
    """A new password ends every session, this one too."""
    form = visit.form
    new = form.values.get("new_password", [""])[-1]
    if not users.SHORTEST_PASSWORD <= len(new) <= 200:
        form.errors["new_password"] = render.text("account.password_rule", n=users.SHORTEST_PASSWORD)
        return await _account(visit, status=422)
    try:
        await users.change_own_password(visit.actor.id, form.values.get("current_password", [""])[-1], new)
    except EfiError as error:
        form.refuse(error)
        return await _account(visit, status=error.status)
    return see_other("/sign-in")


@router.post("/account/display")
async def change_display(visit: CurrentVisit) -> Response:
    """Time zone and colours are the browser's own: a shared tablet and a phone may differ."""
    form = visit.form
    zone = form.get("zone")
    if zone_named(zone) is None:
        form.errors["zone"] = render.text("account.zone_rule")
        return await _account(visit, status=422)
    response = see_other("/account")
    visit.set_cookie(response, ZONE_COOKIE, zone)
    if form.get("theme") in THEMES:
        visit.set_cookie(response, THEME_COOKIE, form.get("theme"))
    return response


async def _account(visit: Visit, *, status: int = 200) -> Response:
    return visit.page("account.html", status=status, user=await users.get(visit.actor.id), themes=THEMES)
