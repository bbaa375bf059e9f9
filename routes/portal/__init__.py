"""The portal: server-rendered pages for the people who repair, review, own and administer."""

from fastapi import FastAPI

from routes.portal import (
    account,
    admin,
    assets,
    bulk,
    diagnosis,
    editor,
    graph,
    knowledge,
    live,
    merging,
    people,
    photos,
    picking,
    reviews,
    suggestions,
    tickets,
    work,
)

ROUTERS = [
    account.router,
    live.router,
    bulk.router,
    tickets.router,
    work.router,
    diagnosis.router,
    photos.router,
    reviews.router,
    graph.router,
    knowledge.router,
    suggestions.router,
    picking.router,
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
