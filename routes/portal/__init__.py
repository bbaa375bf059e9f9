"""The portal: server-rendered pages for the people who repair, review, own and administer."""

from fastapi import FastAPI

from routes.portal import (
    account,
    admin,
    assets,
    bulk,
    diagnosis,
    editor,
    knowledge,
    live,
    merging,
    people,
    photos,
    reviews,
    tickets,
    work,
    workbench,
)

ROUTERS = [
    account.router,
    live.router,
    bulk.router,
    workbench.router,
    tickets.router,
    work.router,
    diagnosis.router,
    photos.router,
    reviews.router,
    knowledge.router,
    editor.router,
    merging.router,
    admin.router,
    people.router,
]


def add_portal(app: FastAPI) -> None:
    """Serve the pages, and what they are made with."""
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes += assets.ROUTES
