"""Who may call what: the one table of routes and roles. What has no row here is refused.

A row decides whether the caller may ask at all; which documents they then see (their own organisation's, their sites')
is decided where documents are read.
"""

from app.security import Role

EVERYONE = frozenset(Role)
PEOPLE = EVERYONE - {Role.service}
ADMIN = frozenset({Role.admin})
STAFF = frozenset({Role.technician, Role.expert, Role.admin})
"""Those who work in or for the workshops."""
CURATORS = frozenset({Role.expert, Role.admin})
"""Those who decide what counts as knowledge."""
SERVICE = frozenset({Role.service})
CUSTOMER = frozenset({Role.fleet_customer})
MAKERS = frozenset({Role.oem, Role.manufacturer})
"""Quality engineers of vehicle and component makers."""

PUBLIC = frozenset(
    {
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
    }
)
"""Open without signing in."""

PEERS = frozenset({"GET /api/network/identity", "GET /api/network/changes", "POST /api/network/bundles"})
"""Also open to other services of the network, which prove themselves by the key that an admin has pinned."""

PERMISSIONS: dict[str, frozenset[Role]] = {
    # accounts
    "POST /api/auth/logout": EVERYONE,
    "GET /api/auth/me": EVERYONE,
    "POST /api/auth/password": EVERYONE,
    "POST /api/users": ADMIN,
    "GET /api/users": ADMIN,
    "GET /api/users/{user_id}": ADMIN,
    "PATCH /api/users/{user_id}": ADMIN,
    "POST /api/users/{user_id}/deactivate": ADMIN,
    "POST /api/users/{user_id}/activate": ADMIN,
    "POST /api/users/{user_id}/password": ADMIN,
    "POST /api/organisations": ADMIN,
    "GET /api/organisations": STAFF | CUSTOMER,
    "GET /api/organisations/{organisation_id}": STAFF | CUSTOMER,
    "PUT /api/organisations/{organisation_id}": ADMIN,
    "POST /api/sites": ADMIN,
    "GET /api/sites": STAFF | CUSTOMER | SERVICE,
    "GET /api/sites/{site_id}": STAFF | CUSTOMER | SERVICE,
    "PUT /api/sites/{site_id}": ADMIN,
    # vehicles
    "POST /api/vehicles": STAFF | CUSTOMER,
    "GET /api/vehicles": EVERYONE,
    "GET /api/vehicles/{vehicle_id}": EVERYONE,
    "PUT /api/vehicles/{vehicle_id}": STAFF | CUSTOMER,
    # tickets
    "POST /api/tickets": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets/{ticket_id}": STAFF | CUSTOMER | SERVICE,
    "PATCH /api/tickets/{ticket_id}": STAFF | CUSTOMER | SERVICE,
    "POST /api/tickets/{ticket_id}/assign": STAFF | SERVICE,
    "POST /api/tickets/{ticket_id}/progress": STAFF | SERVICE,
    "POST /api/tickets/{ticket_id}/resolve": STAFF | SERVICE,
    "POST /api/tickets/{ticket_id}/close": STAFF | CUSTOMER | SERVICE,
    "POST /api/tickets/{ticket_id}/reopen": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets/{ticket_id}/history": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets/{ticket_id}/likely-causes": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets/{ticket_id}/events": STAFF | SERVICE,
    "GET /api/tickets/{ticket_id}/missed-checks": STAFF | SERVICE,
    # photos
    "POST /api/tickets/{ticket_id}/photos": STAFF | CUSTOMER | SERVICE,
    "GET /api/tickets/{ticket_id}/photos": STAFF | CUSTOMER | SERVICE,
    "GET /api/photos/{photo_id}": STAFF | CUSTOMER | SERVICE,
    "GET /api/photos/{photo_id}/thumbnail": STAFF | CUSTOMER | SERVICE,
    "DELETE /api/photos/{photo_id}": STAFF | CUSTOMER | SERVICE,
    # technician actions
    "POST /api/efi/technician-actions": STAFF,
    "GET /api/efi/technician-actions": STAFF | SERVICE,
    "GET /api/efi/technician-actions/{action_id}": STAFF | SERVICE,
    # guided diagnosis
    "POST /api/efi/diagnostic-trees/validate": STAFF,
    "GET /api/efi/failure-cards/{failure_id}/diagnostic-tree": EVERYONE,
    "PUT /api/efi/failure-cards/{failure_id}/diagnostic-tree": STAFF | SERVICE,
    "POST /api/efi/diagnosis-sessions": STAFF,
    "GET /api/efi/diagnosis-sessions": STAFF | SERVICE,
    "GET /api/efi/diagnosis-sessions/{session_id}": STAFF | SERVICE,
    "POST /api/efi/diagnosis-sessions/{session_id}/acknowledge": STAFF,
    "POST /api/efi/diagnosis-sessions/{session_id}/answers": STAFF,
    "POST /api/efi/diagnosis-sessions/{session_id}/repairs": STAFF,
    "POST /api/efi/diagnosis-sessions/{session_id}/undo": STAFF,
    "POST /api/efi/diagnosis-sessions/{session_id}/stop": STAFF,
    "GET /api/efi/diagnosis-sessions/{session_id}/action-draft": STAFF | SERVICE,
    # parts
    "POST /api/efi/part-usage": STAFF,
    "GET /api/efi/part-usage": STAFF | SERVICE,
    "GET /api/efi/part-usage/{usage_id}": STAFF | SERVICE,
    "POST /api/efi/part-usage/{usage_id}/use": STAFF,
    "POST /api/efi/part-usage/{usage_id}/return": STAFF,
    "POST /api/efi/part-usage/{usage_id}/damage": STAFF,
    "POST /api/parts": STAFF,
    "GET /api/parts": STAFF | SERVICE,
    "GET /api/parts/{part_id}": STAFF | SERVICE,
    "PUT /api/parts/{part_id}": STAFF,
    "POST /api/parts/{part_id}/adjust": STAFF,
    # matching
    "POST /api/efi/match": STAFF | SERVICE | MAKERS,
    "POST /api/efi/match-ticket/{ticket_id}": STAFF | SERVICE,
    "GET /api/efi/match-models": CURATORS,
    "GET /api/efi/match-models/{version}": CURATORS,
    "POST /api/efi/match-models/{version}/activate": CURATORS,
    "GET /api/efi/match-runs": STAFF | SERVICE | MAKERS,
    "GET /api/efi/match-runs/{run_id}": STAFF | SERVICE | MAKERS,
    # events
    "GET /api/efi/events": CURATORS,
    "GET /api/efi/events/dead-letters": CURATORS,
    "GET /api/efi/events/stream": CURATORS,
    "GET /api/efi/events/{event_id}": CURATORS,
    "POST /api/efi/events/process": ADMIN | SERVICE,
    "POST /api/efi/events/{event_id}/replay": ADMIN,
    "POST /api/efi/events/{event_id}/discard": ADMIN,
    # knowledge
    "POST /api/efi/failure-cards": STAFF | SERVICE,
    "GET /api/efi/failure-cards": EVERYONE,
    "GET /api/efi/failure-cards/{failure_id}": EVERYONE,
    "GET /api/efi/failure-cards/{failure_id}/pdf": EVERYONE,
    "PUT /api/efi/failure-cards/{failure_id}": STAFF | SERVICE,
    "POST /api/efi/failure-cards/{failure_id}/submit": STAFF | SERVICE,
    "POST /api/efi/failure-cards/{failure_id}/approve": CURATORS,
    "POST /api/efi/failure-cards/{failure_id}/reject": CURATORS,
    "POST /api/efi/failure-cards/{failure_id}/deprecate": CURATORS,
    "POST /api/efi/failure-cards/{failure_id}/discard": STAFF,
    "GET /api/efi/failure-cards/{failure_id}/near-duplicates": STAFF | SERVICE,
    "POST /api/efi/failure-cards/{failure_id}/merge": CURATORS,
    "GET /api/efi/failure-cards/{failure_id}/versions": STAFF | SERVICE,
    "GET /api/efi/failure-cards/{failure_id}/versions/{version}": STAFF | SERVICE,
    "GET /api/efi/failure-cards/{failure_id}/diff": STAFF | SERVICE,
    "GET /api/efi/failure-cards/{failure_id}/evidence": EVERYONE,
    "GET /api/efi/failure-cards/{failure_id}/history": STAFF | SERVICE,
    "POST /api/efi/failure-cards/{failure_id}/flags": STAFF | SERVICE | MAKERS,
    "GET /api/efi/failure-cards/{failure_id}/flags": STAFF | SERVICE,
    "GET /api/efi/card-flags": STAFF | SERVICE,
    "GET /api/efi/card-flags/{flag_id}": STAFF | SERVICE,
    "POST /api/efi/card-flags/{flag_id}/resolve": STAFF,
    "POST /api/efi/card-flags/{flag_id}/dismiss": STAFF,
    "POST /api/efi/card-flags/{flag_id}/proposals": STAFF | MAKERS,
    "GET /api/efi/card-proposals": STAFF | MAKERS,
    "GET /api/efi/card-proposals/{proposal_id}": STAFF | MAKERS,
    "POST /api/efi/card-proposals/{proposal_id}/accept": CURATORS,
    "POST /api/efi/card-proposals/{proposal_id}/decline": CURATORS,
    "POST /api/efi/card-proposals/{proposal_id}/withdraw": STAFF | MAKERS,
    "GET /api/efi/failure-cards/{failure_id}/health": STAFF | SERVICE | MAKERS,
    "POST /api/efi/failure-cards/{failure_id}/reviewed": CURATORS,
    "GET /api/efi/knowledge-health": CURATORS,
    "GET /api/efi/knowledge-health/due": CURATORS,
    "GET /api/users/me/credit": PEOPLE,
    "GET /api/sites/{site_id}/credit": CURATORS,
    "GET /api/tickets/{ticket_id}/draft-card": STAFF,
    "GET /api/efi/failure-cards/{failure_id}/suggestions": STAFF,
    "POST /api/efi/failure-cards/{failure_id}/suggestions": STAFF,
    "POST /api/efi/failure-cards/{failure_id}/suggestions/{number}/accept": STAFF,
    "POST /api/efi/failure-cards/{failure_id}/suggestions/{number}/dismiss": STAFF,
    "GET /api/efi/review-queue": CURATORS,
    "GET /api/efi/review-queue/{review_id}": STAFF,
    "POST /api/efi/review-queue/{review_id}/claim": CURATORS,
    "POST /api/efi/review-queue/{review_id}/release": CURATORS,
    "POST /api/efi/review-queue/{review_id}/decide": CURATORS,
    "POST /api/efi/review-queue/{review_id}/comments": STAFF,
    # incidents: suspicions drawn from several customers' tickets; makers see what is approved of them
    "GET /api/efi/incidents": CURATORS,
    "GET /api/efi/incidents/{incident_id}": CURATORS,
    "POST /api/efi/incidents/{incident_id}/dismiss": CURATORS,
    "POST /api/efi/incidents/{incident_id}/tickets/{ticket_id}/remove": CURATORS,
    "POST /api/efi/incidents/detect": ADMIN,
    "POST /api/efi/symptoms": CURATORS,
    "GET /api/efi/symptoms": EVERYONE,
    "GET /api/efi/symptoms/{symptom_code}": EVERYONE,
    "PUT /api/efi/symptoms/{symptom_code}": CURATORS,
    "GET /api/efi/symptom-candidates": CURATORS,
    "GET /api/efi/symptom-candidates/{candidate_id}": CURATORS,
    "POST /api/efi/symptom-candidates/{candidate_id}/accept": CURATORS,
    "POST /api/efi/symptom-candidates/{candidate_id}/merge": CURATORS,
    "POST /api/efi/symptom-candidates/{candidate_id}/drop": CURATORS,
    "POST /api/efi/relations": CURATORS,
    "GET /api/efi/relations": STAFF | SERVICE,
    "GET /api/efi/relations/{relation_id}": STAFF | SERVICE,
    "GET /api/efi/graph/neighbours": STAFF | SERVICE,
    "GET /api/efi/graph/neighbourhood": STAFF | SERVICE,
    "GET /api/efi/graph/neighbourhood.svg": STAFF | SERVICE,
    "GET /api/efi/graph/paths": STAFF | SERVICE,
    "GET /api/efi/graph/cards": STAFF | SERVICE,
    "GET /api/efi/graph/shared": STAFF | SERVICE,
    "GET /api/efi/graph/vehicle": STAFF | SERVICE,
    "GET /api/efi/graph/analysis": STAFF | SERVICE,
    "GET /api/efi/reports/confidence": CURATORS,
    "GET /api/efi/reports/trust": CURATORS,
    "GET /api/efi/reports/calibration": CURATORS,
    "GET /api/efi/reports/coverage": CURATORS,
    # network
    "GET /api/network/identity": ADMIN,
    "GET /api/network/status": CURATORS,
    "POST /api/network/peers": ADMIN,
    "GET /api/network/peers": ADMIN,
    "GET /api/network/peers/{node_id}": ADMIN,
    "PUT /api/network/peers/{node_id}": ADMIN,
    "DELETE /api/network/peers/{node_id}": ADMIN,
    "POST /api/network/peers/{node_id}/pull": ADMIN,
    "GET /api/network/changes": ADMIN,
    "POST /api/network/bundles": ADMIN,
    # inbox
    "GET /api/inbox": PEOPLE,
    "POST /api/inbox/{notification_id}/read": PEOPLE,
    "POST /api/inbox/read-all": PEOPLE,
}
