"""The HTTP API: one router per capability."""

from routes.api import auth, health, inbox, organisations, sites, users, vehicles

ROUTERS = [
    auth.router,
    users.router,
    organisations.router,
    sites.router,
    vehicles.router,
    inbox.router,
    health.router,
]
"""Every router, in the order in which the documentation shows them."""
