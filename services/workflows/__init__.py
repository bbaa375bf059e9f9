"""What happens on each event. Reading HANDLERS tells what the service does by itself."""

from models.event import EventType
from services.events.handler import Handlers
from services.workflows.actions import count_rating, count_rejections
from services.workflows.candidates import gather_complaint, gather_observations
from services.workflows.cards import call_reviewers, tell_author
from services.workflows.failure_discovered import draft_card
from services.workflows.governance import flag_use, see_firmware, settle_flags, tell_curators, tell_outcome
from services.workflows.graph import doubt_graph, link_graph, relate_duplicates, strengthen_graph, weaken_graph
from services.workflows.guided_diagnosis import learn_tests, take_tests_back
from services.workflows.incidents import close_incident, follow_given_up_card, tell_technicians_of_incident
from services.workflows.ticket_created import suggest_cards
from services.workflows.ticket_resolved import take_success_back, weigh_outcomes
from services.workflows.tickets import tell_technician

HANDLERS: Handlers = {
    EventType.ticket_created: [suggest_cards, gather_complaint, see_firmware],
    EventType.ticket_assigned: [tell_technician],
    EventType.ticket_resolved: [weigh_outcomes, strengthen_graph, learn_tests],
    EventType.ticket_in_progress: [take_success_back, weaken_graph, take_tests_back],
    EventType.action_completed: [count_rejections, doubt_graph, gather_observations, flag_use],
    EventType.card_rated: [count_rating],
    EventType.failure_discovered: [draft_card],
    EventType.card_created: [link_graph, call_reviewers],
    EventType.card_submitted: [call_reviewers],
    EventType.card_updated: [link_graph, relate_duplicates, tell_author, tell_curators, tell_outcome],
    EventType.card_approved: [
        link_graph,
        relate_duplicates,
        tell_author,
        close_incident,
        tell_technicians_of_incident,
    ],
    EventType.card_deprecated: [link_graph, tell_author, settle_flags, follow_given_up_card],
}
"""Handlers of one event run one after another, each in its own transaction; none depends on another."""
