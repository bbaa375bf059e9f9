"""The portal: server-rendered pages for the people who repair, review, own and administer."""

from fastapi import FastAPI

from routes.portal import (
    account,
    admin,
    assets,
    bulk,
    confidence,
    correcting,
    diagnosis,
    editor,
    exports,
    flagging,
    governance,
    graph,
    health,
    incidents,
    knowledge,
    live,
    merging,
    messages,
    people,
    photos,
    phrases,
    picking,
    reviews,
    suggestions,
    tickets,
    work,
    workbench,
)

ROUTERS = [
    account.router,
    messages.router,
    live.router,
    exports.router,
    bulk.router,
    workbench.router,
    tickets.router,
    work.router,
    correcting.router,
    diagnosis.router,
    photos.router,
    reviews.router,
    graph.router,
    knowledge.router,
    suggestions.router,
    picking.router,
    editor.router,
    flagging.router,
    merging.router,
    confidence.router,
    health.router,
    governance.router,
    phrases.router,
    incidents.router,
    admin.router,
    people.router,
]


def add_portal(app: FastAPI) -> None:
    """Serve the pages, and what they are made with."""
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes += assets.ROUTES
