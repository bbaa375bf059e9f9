"""The HTTP API: one router per capability."""

from routes.api import (
    auth,
    diagnosis_sessions,
    events,
    health,
    inbox,
    match,
    missed_checks,
    organisations,
    part_usage,
    parts,
    sites,
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
    diagnosis_sessions.router,
    missed_checks.router,
    technician_actions.router,
    part_usage.router,
    parts.router,
    match.router,
    events.router,
    inbox.router,
    health.router,
]
"""Every router, in the order in which the documentation shows them."""
