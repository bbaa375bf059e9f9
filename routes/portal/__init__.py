"""The portal: server-rendered pages for the people who repair, review, own and administer."""

from fastapi import FastAPI

from routes.portal import (
    account,
    admin,
    assets,
    bulk,
    correcting,
    diagnosis,
    editor,
    knowledge,
    live,
    merging,
    messages,
    people,
    photos,
    reviews,
    tickets,
    work,
    workbench,
)

ROUTERS = [
    account.router,
    messages.router,
    live.router,
    bulk.router,
    workbench.router,
    tickets.router,
    work.router,
    correcting.router,
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
