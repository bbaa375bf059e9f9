"""Suggestions for a card: made by rules at once, by a language model in the background, taken over by a person."""

from dataclasses import replace
from datetime import timedelta

import structlog

from app import clock
from app.errors import Conflict, NotFound
from app.security import acting_as, current_actor, system
from matching import Case
from models.draft_suggestion import DraftSuggestions, ModelStatus, SourceKind, SuggestedField, Suggestion
from models.enums import Severity
from models.failure_card import CardContent, CardSymptom, FailureCard, ResolutionStep
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis import matches
from services.diagnosis.matches import MatchOptions
from services.diagnosis.translate import ticket_case
from services.engagement.language_model import LanguageModel, LanguageModelError, NoModel
from services.knowledge import cards
from services.knowledge.access import require_editor
from services.knowledge.content import DRAFT_MARK, content_of
from services.knowledge.redaction import Redactor, redactor_for
from services.workflows.drafting import by_model, by_rules
from services.workflows.drafting.content import UNKNOWN_CAUSE, UNKNOWN_FIX, complaint, draft, gathered
from services.workflows.drafting.passages import Alike, Material, Passage, material
from services.writing import update

log = structlog.get_logger(__name__)

ALIKE = 5
MAX_ATTEMPTS = 3
FIRST_RETRY = timedelta(seconds=30)
BATCH = 2
"""Rounds asked for at a time: an answer may take half a minute, and the timer fires every minute."""


class _Served:
    model: LanguageModel = NoModel()


def use(model: LanguageModel) -> None:
    """Ask this model from now on; one that is not available leaves the rules alone."""
    _Served.model = model


class AlreadyAccepted(Conflict):
    code, title = "already_accepted", "The suggestion has been taken over"


async def suggest(card: FailureCard) -> DraftSuggestions:
    """Store a new round of suggestions for a card that came from a ticket; a model's follow, see `ask_due`.

    A card without a ticket rests on its own words and gets the causes of alike cards.
    """
    known = await _material(card)
    made = DraftSuggestions(card_id=card.id, suggestions=by_rules.suggestions(known))
    if _Served.model.available:
        made.model_status, made.model_due_at = ModelStatus.waiting, clock.now()
    await made.insert()
    return made


async def latest(card_id: str) -> DraftSuggestions | None:
    return await DraftSuggestions.find({"card_id": card_id}).sort([("_id", -1)]).first_or_none()


async def ask_due() -> int:
    """Ask the model for what waits; returns how many rounds were answered. Outside of any transaction.

    Failures are tried again with growing pauses, at most MAX_ATTEMPTS times; a process that dies while asking leaves
    the round due again.
    """
    if not _Served.model.available:
        return 0
    answered = 0
    with acting_as(system("drafting")):
        due = {"model_due_at": {"$lte": clock.now()}}
        for made in await DraftSuggestions.find(due).sort("model_due_at").limit(BATCH).to_list():
            # Taken for as long as an answer may take, so that another replica does not pay for it as well.
            pause = FIRST_RETRY * 2**made.model_attempts
            taken = await update(made, {"model_due_at": clock.now() + pause, "model_attempts": made.model_attempts + 1})
            answered += await _ask(taken)
    return answered


async def _ask(made: DraftSuggestions) -> bool:
    card = await FailureCard.find_one({"_id": made.card_id})
    if card is None:
        await update(
            made, {"model_status": ModelStatus.failed, "model_due_at": None, "model_note": "The card is gone."}
        )
        return False
    try:
        found, note = await by_model.suggestions(_Served.model, card, await _material(card))
    except LanguageModelError as error:
        log.warning("no suggestions by the language model", card=card.id, reason=str(error))
        given_up = made.model_attempts >= MAX_ATTEMPTS
        over = {"model_status": ModelStatus.failed, "model_due_at": None} if given_up else {}
        await update(made, {"model_note": str(error)[:200], **over})
        return False
    first = len(made.suggestions)
    numbered = [one.model_copy(update={"number": first + one.number}) for one in found]
    await update(
        made,
        {"model_status": ModelStatus.done, "model_due_at": None, "model_note": note},
        push={"suggestions": {"$each": numbered}},
    )
    return True


async def _material(card: FailureCard) -> Material:
    ticket = await Ticket.find_one({"_id": card.source_ticket_id}) if card.source_ticket_id else None
    if ticket is None:
        own = Passage(SourceKind.card, card.id, "\n".join(filter(None, (card.description, card.symptom_text))))
        alike = await _alike(card, Case(text=f"{card.title.removeprefix(DRAFT_MARK)}. {own.text}"))
        return Material([own, *(one.passage for one in alike)] if own.text else [], alike, Redactor())
    actions = await TechnicianAction.find({"ticket_id": ticket.id}).sort("_id").to_list()
    case = ticket_case(ticket)
    if actions:
        case = replace(case, text=complaint(gathered(actions), ticket))
    return material(ticket, actions, await _alike(card, case))


async def _alike(card: FailureCard, case: Case) -> list[Alike]:
    result = (await matches.match(case, MatchOptions(limit=ALIKE + 1))).result
    candidates = [candidate for candidate in result.candidates if candidate.card_id != card.id][:ALIKE]
    ids = [candidate.card_id for candidate in candidates]
    found = {one.id: one for one in await FailureCard.find({"_id": {"$in": ids}}).to_list()} if ids else {}
    return [Alike(candidate, found[candidate.card_id]) for candidate in candidates if candidate.card_id in found]


async def preview(ticket: Ticket) -> tuple[CardContent, dict[str, int]]:
    """A draft out of a ticket and all work on it, not stored, and how much personal data of which kind it lost.

    Raises Conflict if nobody has recorded any work: there is nothing to draft from.
    """
    actions = await TechnicianAction.find({"ticket_id": ticket.id}).sort("_id").to_list()
    if not actions:
        raise Conflict(f"Nobody has recorded work on {ticket.id} yet.")
    whole = gathered(actions)
    redactor = redactor_for(ticket, {action.technician_name for action in actions})
    content = draft(whole, ticket, await matches.symptoms_named(complaint(whole, ticket)), redactor)
    return content, dict(redactor.taken)


async def accept(card: FailureCard, number: int, *, edition: int) -> FailureCard:
    """Take a suggestion over into the card as an edit of the current actor's.

    Raises NotFound for a number that the latest round does not have, AlreadyAccepted, and what `cards.edit` raises.
    """
    require_editor(card)
    cards.require_edition(card, edition)
    made, one = await _numbered(card, number)
    summary = f"took over a suggestion by {one.made_by}"
    edited = await cards.edit(card, _with(content_of(card), one), edition=edition, summary=summary)
    await _replace(made, one, {"accepted_by": current_actor().id, "accepted_at": clock.now()})
    return edited


async def dismiss(card: FailureCard, number: int) -> DraftSuggestions:
    """Set a suggestion aside, so that nobody has to judge it again; one that was set aside stays so.

    Raises as `accept` does.
    """
    require_editor(card)
    made, one = await _numbered(card, number)
    if one.dismissed_at is not None:
        return made
    return await _replace(made, one, {"dismissed_by": current_actor().id, "dismissed_at": clock.now()})


async def _numbered(card: FailureCard, number: int) -> tuple[DraftSuggestions, Suggestion]:
    """The latest round and its suggestion of this number. Raises NotFound, AlreadyAccepted."""
    made = await latest(card.id)
    one = next((one for one in made.suggestions if one.number == number), None) if made else None
    if made is None or one is None:
        raise NotFound(f"{card.id} has no suggestion {number}.")
    if one.accepted_at is not None:
        raise AlreadyAccepted(f"{one.accepted_by} has taken it over already.")
    return made, one


async def _replace(made: DraftSuggestions, one: Suggestion, changes: dict[str, object]) -> DraftSuggestions:
    changed = one.model_copy(update=changes)
    return await update(made, {"suggestions": [changed if other is one else other for other in made.suggestions]})


def _with(content: CardContent, one: Suggestion) -> CardContent:
    """The content with the suggestion in its place. A cause that stands there already is kept as a further one."""
    match one.field:
        case SuggestedField.title:
            changes: dict[str, object] = {"title": one.text[:200]}
        case SuggestedField.root_cause if content.root_cause in ("", UNKNOWN_CAUSE):
            changes = {"root_cause": one.text}
        case SuggestedField.root_cause:
            changes = {"secondary_causes": [*content.secondary_causes, one.text]}
        case SuggestedField.symptom:
            changes = {
                "symptoms": [*content.symptoms, CardSymptom(description=one.text[:200], severity=Severity.medium)]
            }
        case SuggestedField.resolution_step:
            kept = [step for step in content.resolution_steps if step.action != UNKNOWN_FIX]
            changes = {"resolution_steps": [*kept, ResolutionStep(step_number=len(kept) + 1, action=one.text)]}
    return CardContent.model_validate({**dict(content), **changes})
