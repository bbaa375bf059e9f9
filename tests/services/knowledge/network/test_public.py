"""What of a card may leave the service."""

import json

import pytest

from app import ids
from models.enums import FailureCardStatus
from services.knowledge.network import public
from tests.services.knowledge.samples import a_card

APPROVED = FailureCardStatus.approved


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Ask asha.k@example.com", "an e-mail address"),
        ("Customer called from +91 98765 43210", "a telephone number"),
        ("9876543210 rings", "a telephone number"),
        ("seen on MH 12 AB 1234", "a registration"),
        ("seen on KA05MH1234", "a registration"),
    ],
)
def test_what_names_a_person_is_noticed(text: str, what: str):
    found = public.personal_data(public.public_card(a_card(description=text), APPROVED))
    assert found == f"description seems to hold {what}"


@pytest.mark.parametrize(
    "text",
    ["P0A80 at 48.0 V, group 7 is 190 mV low", "part 9876543210-A", "SAE J2012:2016", "2023-11-04 12:30", "3.3-3.6 V"],
)
def test_figures_and_codes_are_not_taken_for_people(text: str):
    assert public.personal_data(public.public_card(a_card(description=text), APPROVED)) == ""


def test_parts_lose_the_ids_of_our_own_store_and_find_them_again():
    part = {"part_name": "Board", "part_number": "B-16", "part_id": ids.new_id("part")}
    ours = a_card(required_parts=[part, {"part_name": "Gasket"}])

    shown = public.public_card(ours, APPROVED)

    assert part["part_id"] not in json.dumps(public.as_json(shown))
    assert public.with_own_parts(shown.content, ours).required_parts == ours.required_parts
    assert public.with_own_parts(shown.content, None) == shown.content


def test_a_fingerprint_tells_contents_and_states_apart():
    card = a_card()
    prints = {
        public.fingerprint(public.public_card(card, APPROVED)),
        public.fingerprint(public.public_card(a_card(root_cause="another"), APPROVED)),
        public.fingerprint(public.public_card(card, FailureCardStatus.deprecated, "old")),
        public.fingerprint(public.public_card(card, FailureCardStatus.deprecated, "old", "fc_other")),
    }
    assert len(prints) == 4
    assert public.fingerprint(public.public_card(a_card(), APPROVED)) in prints


def test_a_loaded_card_has_one_id_everywhere():
    assert public.network_id("fc_one", "starter:hall") == public.network_id("fc_other", "starter:hall")
    assert public.network_id("fc_one", None) == "fc_one"
    assert ids.is_id(public.network_id("fc_one", "starter:hall"), "card")
