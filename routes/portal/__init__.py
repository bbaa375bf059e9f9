"""The portal: server-rendered pages for the people who repair, review, own and administer."""

from fastapi import FastAPI

from routes.portal import account, assets, live, tickets, work

ROUTERS = [account.router, tickets.router, work.router, live.router]


def add_portal(app: FastAPI) -> None:
    """Serve the pages, and what they are made with."""
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes += assets.ROUTES
