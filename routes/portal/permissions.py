"""Which page is for whom: the one table of the portal. What has no row here is refused."""

from app.security import Role

PEOPLE = frozenset(Role) - {Role.service}
ADMIN = frozenset({Role.admin})
STAFF = frozenset({Role.technician, Role.expert, Role.admin})
CURATORS = frozenset({Role.expert, Role.admin})
CUSTOMER = frozenset({Role.fleet_customer})
READERS = PEOPLE - CUSTOMER
"""Those who may browse the knowledge; what a customer is told stands on their ticket."""

OPEN = frozenset({"GET /sign-in", "POST /sign-in"})
"""Reached without signing in."""

PAGES: dict[str, frozenset[Role]] = {
    # everybody
    "GET /": PEOPLE,
    "POST /sign-out": PEOPLE,
    "GET /account": PEOPLE,
    "POST /account/password": PEOPLE,
    "POST /account/display": PEOPLE,
    "GET /messages": PEOPLE,
    "POST /messages/read": PEOPLE,
    "POST /messages/{notification_id}": PEOPLE,
    # knowledge
    "GET /knowledge": READERS,
    "GET /cards/{card_id}": READERS,
    "GET /cards/{card_id}/compare": STAFF,
    "GET /cards/{card_id}/edit": STAFF,
    "POST /cards/{card_id}/edit": STAFF,
    "GET /cards/{card_id}/merge": CURATORS,
    "POST /cards/{card_id}/merge": CURATORS,
    # reviews
    "GET /reviews": CURATORS,
    "GET /reviews/{review_id}": CURATORS,
    "POST /reviews/{review_id}/claim": CURATORS,
    "POST /reviews/{review_id}/release": CURATORS,
    "POST /reviews/{review_id}/comment": CURATORS,
    "POST /reviews/{review_id}/decide": CURATORS,
    "GET /reviews/live": CURATORS,
    # administration
    "GET /confidence": CURATORS,
    "GET /events": ADMIN,
    "GET /events.csv": ADMIN,
    "GET /events/live": ADMIN,
    "POST /events/{event_id}/replay": ADMIN,
    "POST /events/{event_id}/discard": ADMIN,
    "GET /users": ADMIN,
    "GET /users.csv": ADMIN,
    "GET /users/new": ADMIN,
    "POST /users/new": ADMIN,
    "GET /users/{user_id}": ADMIN,
    "POST /users/{user_id}": ADMIN,
    "GET /sites": ADMIN,
    "POST /sites": ADMIN,
    "GET /settings": ADMIN,
    # tickets
    "GET /tickets": STAFF | CUSTOMER,
    "GET /tickets.csv": STAFF | CUSTOMER,
    "GET /tickets/upload": STAFF | CUSTOMER,
    "POST /tickets/upload": STAFF | CUSTOMER,
    "GET /tickets/new": STAFF | CUSTOMER,
    "POST /tickets/new": STAFF | CUSTOMER,
    "GET /tickets/{ticket_id}": STAFF | CUSTOMER,
    "GET /tickets/live": STAFF | CUSTOMER,
    "GET /tickets/{ticket_id}/live": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/take": frozenset({Role.technician}),
    "POST /tickets/{ticket_id}/progress": STAFF,
    "POST /tickets/{ticket_id}/close": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/reopen": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/parts": STAFF,
    "POST /tickets/{ticket_id}/parts/{usage_id}": STAFF,
    "GET /tickets/{ticket_id}/photos": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/photos": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/photos/remove": STAFF | CUSTOMER,
    "GET /photos/{photo_id}": STAFF | CUSTOMER,
    "GET /photos/{photo_id}/thumbnail": STAFF | CUSTOMER,
    "GET /tickets/{ticket_id}/edit": STAFF | CUSTOMER,
    "POST /tickets/{ticket_id}/edit": STAFF | CUSTOMER,
    "GET /tickets/{ticket_id}/action": STAFF,
    "POST /tickets/{ticket_id}/action": STAFF,
    # guided diagnosis
    "POST /tickets/{ticket_id}/diagnosis": STAFF,
    "GET /tickets/{ticket_id}/diagnosis/{session_id}": STAFF,
    "POST /tickets/{ticket_id}/diagnosis/{session_id}/acknowledge": STAFF,
    "POST /tickets/{ticket_id}/diagnosis/{session_id}/answers": STAFF,
    "POST /tickets/{ticket_id}/diagnosis/{session_id}/repairs": STAFF,
    "POST /tickets/{ticket_id}/diagnosis/{session_id}/undo": STAFF,
    "POST /tickets/{ticket_id}/diagnosis/{session_id}/stop": STAFF,
}
