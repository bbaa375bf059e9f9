"""The HTTP API: one router per capability."""

from routes.api import (
    auth,
    events,
    failure_cards,
    health,
    inbox,
    match,
    organisations,
    part_usage,
    parts,
    relations,
    reports,
    review_queue,
    sites,
    symptoms,
    technician_actions,
    tickets,
    users,
    vehicles,
)

ROUTERS = [
    auth.router,
    users.router,
    organisations.router,
    sites.router,
    vehicles.router,
    tickets.router,
    technician_actions.router,
    part_usage.router,
    parts.router,
    match.router,
    events.router,
    failure_cards.router,
    review_queue.router,
    symptoms.router,
    relations.router,
    reports.router,
    inbox.router,
    health.router,
]
"""Every router, in the order in which the documentation shows them."""
