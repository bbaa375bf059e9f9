"""Accounts, sites and organisations, as admins keep them."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid
from app.ids import Id
from app.security import Role
from models.account import Organisation, OrganisationContent, Site, SiteContent, User, UserContent
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.picking import entries, looking, offer, settle
from routes.portal.visit import Visit, see_other
from services.accounts import directory, users
from services.paging import MAX_LIMIT

router = page_router()

KINDS: dict[str, tuple[type[Site] | type[Organisation], type[SiteContent] | type[OrganisationContent]]] = {
    "site": (Site, SiteContent),
    "organisation": (Organisation, OrganisationContent),
}


async def _load(user_id: Annotated[Id, Path()]) -> User:
    return await users.get(user_id)


CurrentUser = Annotated[User, Depends(_load)]


@router.get("/users")
async def list_users(visit: CurrentVisit) -> Response:
    page = await users.list_users(after=visit.request.query_params.get("after"))
    return visit.page("users.html", users=page.items, next=page.next)


@router.get("/users/new")
async def new_user(visit: CurrentVisit) -> Response:
    return await _page(visit, None)


@router.post("/users/new")
async def create_user(visit: CurrentVisit) -> Response:
    form = visit.form
    if looking(form):
        return await _page(visit, None)

    async def work() -> Response:
        await settle(form, "organisation_id", entries(visit, Organisation))
        content = read(UserContent, _values(form))
        password = form.values.get("password", [""])[-1]
        if len(password) < users.SHORTEST_PASSWORD:
            raise Invalid.field("password", render.text("account.password_rule", n=users.SHORTEST_PASSWORD))
        user = await users.create(content, password)
        return see_other(f"/users/{user.id}")

    return await submit(visit, work, lambda: _page(visit, None))


@router.get("/users/{user_id}")
async def show_user(visit: CurrentVisit, user: CurrentUser) -> Response:
    return await _page(visit, user)


@router.post("/users/{user_id}")
async def edit_user(visit: CurrentVisit, user: CurrentUser) -> Response:
    """Change the account, open or close it, or give it a new password: one form, told apart by its button."""
    form = visit.form
    step = form.get("step")
    if looking(form):
        return await _page(visit, user)

    async def work() -> Response:
        fresh = await users.get(user.id)
        if step in ("activate", "deactivate"):
            await users.set_active(fresh, active=step == "activate")
        elif step == "password":
            await users.set_password(fresh, form.values.get("password", [""])[-1])
        else:
            await settle(form, "organisation_id", entries(visit, Organisation))
            content = read(UserContent, _values(form))
            await users.edit(fresh, content.model_dump(), revision=form.revision() or 0)
        return see_other("/users")

    async def again() -> Response:
        return await _page(visit, await users.get(user.id))

    return await submit(visit, work, again)


def _values(form: Form) -> dict[str, object]:
    return {
        "email": form.get("email"),
        "name": form.get("name"),
        "roles": form.all("roles"),
        "organisation_id": form.get("organisation_id"),
        "site_ids": form.all("site_ids"),
    }


async def _page(visit: Visit, user: User | None) -> Response:
    chosen = {
        "site_ids": user.site_ids if user else [],
        "organisation_id": [user.organisation_id] if user and user.organisation_id else [],
    }
    kinds = {"site_ids": Site, "organisation_id": Organisation}
    offers = {
        name: await offer(visit.form, name, entries(visit, kind), chosen=chosen[name]) for name, kind in kinds.items()
    }
    return visit.page(
        "user.html",
        user=user,
        roles=list(Role),
        sites=offers["site_ids"],
        organisations=offers["organisation_id"],
        shortest=users.SHORTEST_PASSWORD,
    )


@router.get("/sites")
async def list_sites(visit: CurrentVisit) -> Response:
    """Workshops and customers' organisations; the one in the address is opened for editing."""
    asked = visit.request.query_params
    return visit.page(
        "sites.html",
        sites=(await directory.list_entries(Site, visit.actor, limit=MAX_LIMIT)).items,
        organisations=(await directory.list_entries(Organisation, visit.actor, limit=MAX_LIMIT)).items,
        opened=visit.form.get("id") or asked.get("edit", ""),
    )


@router.post("/sites")
async def save_site(visit: CurrentVisit) -> Response:
    """Add or change a workshop or an organisation; an id says which one is changed."""
    form = visit.form

    async def work() -> Response:
        kind, content_kind = KINDS["organisation" if form.get("kind") == "organisation" else "site"]
        content = read(content_kind, {name: form.get(name) for name in content_kind.model_fields})
        if form.get("id"):
            entry = await directory.get(kind, form.get("id"), visit.actor)
            await directory.replace(entry, content, revision=form.revision() or 0)
        else:
            await directory.create(kind, content)
        return see_other("/sites")

    return await submit(visit, work, lambda: list_sites(visit))
