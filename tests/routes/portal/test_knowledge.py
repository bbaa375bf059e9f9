"""The knowledge browser without a browser: a card's neighbourhood, evidence and history, and help with drafts."""

import html
import io
import re

import pypdf
import pytest

from app import clock
from app.security import Role, acting_as, system
from models.draft_suggestion import DraftSuggestions, Source, Suggestion
from models.failure_card import CardContent, FailureCard, RequiredPart
from models.learning import CardEvidence
from routes.portal import knowledge
from routes.portal.graph import DRAWN, LISTED
from routes.portal.knowledge import VERSIONS_SHOWN
from services.accounts.sessions import actor_of
from services.knowledge import cards, graph_edges
from services.knowledge.content import content_of
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api

FOUND = 6
"""Cards on one page, here."""


async def written(title: str, *, status: str = "approved", **changes: object) -> FailureCard:
    """A card, tied to what it states."""
    with acting_as(system("test")):
        content = CardContent(title=title, subsystem_category="bms", failure_mode="erratic", **changes)
        made = await cards.create(content)
        await FailureCard.get_pymongo_collection().update_one({"_id": made.id}, {"$set": {"status": status}})
        found = await FailureCard.find_one({"_id": made.id})
        assert found is not None
        await graph_edges.link_card(found)
        return found


async def test_the_neighbourhood_is_drawn_linked_and_told_in_a_table(api: Api):
    card = await written("Relay <b>clicks</b>", required_parts=[RequiredPart(part_name="Relay", part_number="RL-1")])
    other = await written("Relay sticks", required_parts=[RequiredPart(part_name="Relay", part_number="RL-1")])
    client = await visitor(api, await api.add_user(Role.technician))
    page = (await client.get(f"/cards/{card.id}")).text
    address = html.unescape(re.search(r'href="(/knowledge/graph\?[^"]+)"', page)[1])
    shown = (await client.get(address)).text
    assert "<b>clicks" not in shown
    to_part = "/knowledge/graph?type=part&amp;id=RL-1"
    table, _, picture = shown.partition("</table>")
    assert f'<a href="{to_part}">' in picture
    assert f'<a href="{to_part}">' in table
    assert "requires →" in table
    assert "0 for, 0 against" in table
    # From the part on to the other card, and from there to its page.
    part = (await client.get(html.unescape(to_part))).text
    assert f"type=failure_card&amp;id={other.id}" in part
    assert "← requires" in part
    beyond = (await client.get("/knowledge/graph", params={"type": "failure_card", "id": other.id})).text
    assert f'href="/cards/{other.id}"' in beyond
    assert (await client.get("/knowledge/graph", params={"type": "part", "id": "none"})).status_code == 404
    assert (await client.get("/knowledge/graph", params={"type": "planet", "id": "x"})).status_code == 404
    assert (await (await visitor(api, await api.add_user(Role.oem))).get(address)).status_code == 403


async def test_a_node_with_many_ties_is_told_page_by_page(api: Api):
    parts = [RequiredPart(part_name=f"Part {number}", part_number=f"P-{number:02}") for number in range(LISTED + 5)]
    card = await written("Everything is broken", required_parts=parts)
    client = await visitor(api, await api.add_user(Role.technician))
    first = (await client.get("/knowledge/graph", params={"type": "failure_card", "id": card.id})).text
    assert first.count('<g class="node') == DRAWN
    following = html.unescape(re.search(r'href="(/knowledge/graph[^"]+after=[^"]+)"', first)[1])
    second = (await client.get(following)).text
    named = [
        set(re.findall(r"P-\d\d", page.partition("<table")[2].partition("</table>")[0])) for page in (first, second)
    ]
    assert not named[0] & named[1]
    assert named[0] | named[1] == {f"P-{number:02}" for number in range(LISTED + 5)}
    lonely = await written("Nothing is known", status="draft")
    with acting_as(system("test")):
        await graph_edges.KnowledgeRelation.get_pymongo_collection().delete_many({"ends": f"failure_card:{lonely.id}"})
    empty = await client.get("/knowledge/graph", params={"type": "failure_card", "id": lonely.id})
    assert "Nothing is tied to it yet." in empty.text


async def test_evidence_stands_by_vehicle_with_what_was_ruled_out(api: Api):
    card = await written("Range drops in winter")
    now = clock.now()
    with acting_as(system("test")):
        for variant, successes, ruled_out, outcomes in (
            ("*", 9.0, 14, 10),
            ("ather|450x|2023", 9.0, 0, 10),
            ("ola|s1|2022", 0.0, 14, 0),
        ):
            await CardEvidence(
                id=f"{card.id}|{variant}",
                card_id=card.id,
                variant=variant,
                successes=successes,
                failures=outcomes - successes,
                rejections=float(ruled_out),
                ruled_out=ruled_out,
                outcomes=outcomes,
                as_of=now,
            ).insert()
    page = (await (await visitor(api, await api.add_user(Role.technician))).get(f"/cards/{card.id}")).text
    rows = {
        row[1]: row[0] for row in re.findall(r"(<tr><td class=\"main\"><bdi>([^<]+)</bdi>.*?</tr>)", page, re.DOTALL)
    }
    assert "n\xa0=\xa010" in rows["ather 450x 2023"]
    assert "not tried yet" in rows["ola s1 2022"]
    assert "14×" in rows["ola s1 2022"]
    assert "ruled out 14× in all" in page


async def test_the_whole_history_with_differences_in_words(api: Api):
    card = await written("Horn sounds by itself", status="draft", root_cause="The switch is wet")
    expert = await api.add_user(Role.expert)
    with acting_as(actor_of(expert)):
        for number in range(VERSIONS_SHOWN + 1):
            tree = {
                "root_node_id": "a",
                "nodes": [
                    {
                        "node_id": "a",
                        "step_number": 1,
                        "question": f"Is it wet ({number})?",
                        "check_action": "Look",
                        "leads_to_root_cause": "Wet",
                        "hands_over_to": "Else",
                    }
                ],
            }
            changes = {"root_cause": f"The switch is wet {number} times", "diagnostic_tree": tree}
            content = CardContent.model_validate(content_of(card).model_dump() | changes)
            card = await cards.edit(card, content, edition=card.edition)
    client = await visitor(api, expert)
    page = (await client.get(f"/cards/{card.id}")).text
    assert f'href="/cards/{card.id}/versions"' in page
    every = (await client.get(f"/cards/{card.id}/versions")).text
    assert all(f"version {number}<" in every for number in range(1, VERSIONS_SHOWN + 3))
    said = html.unescape((await client.get(f"/cards/{card.id}/compare?old=1&new=2")).text)
    assert '<ins class="new">' in said
    assert "question: Is it wet (0)?" in said
    assert "The switch is wet" in said
    assert not re.search(r"avg_path_length|tree_id|[{}]", said.partition("<section")[2])
    words = html.unescape((await client.get(f"/cards/{card.id}/compare?old=2&new=3")).text)
    assert re.search(r'The switch is wet <del class="old">0</del> <ins class="new">1</ins> times', words)
    assert "diagnostic tree › a › question" in words


async def test_what_is_found_goes_on_and_keeps_to_the_state(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knowledge, "FOUND", FOUND)
    for number in range(FOUND + 3):
        await written(f"Belt squeals loudly number {number}", status="draft")
    with acting_as(system("test")):
        card = await FailureCard.find_one({"title": "Belt squeals loudly number 0"})
    assert card is not None
    client = await visitor(api, await api.add_user(Role.technician))
    first = (await client.get("/knowledge", params={"q": "belt squeals"})).text
    assert f"Cards 1 to {FOUND}" in first
    following = html.unescape(re.search(r'href="(/knowledge\?[^"]+page=2)"', first)[1])
    second = (await client.get(following)).text
    assert f"Cards {FOUND + 1} to {FOUND + 3}" in second
    titles = [set(re.findall(r"loudly number \d+", page)) for page in (first, second)]
    assert not titles[0] & titles[1]
    assert len(titles[0] | titles[1]) == FOUND + 3
    assert "page=3" not in second
    drafts = (await client.get("/knowledge", params={"q": "belt squeals", "state": "draft"})).text
    assert f"Cards 1 to {FOUND}" in drafts
    for state in ("approved", "deprecated", "pending_review"):
        found = (await client.get("/knowledge", params={"q": "belt squeals", "state": state})).text
        assert "No card answers that" in found
    for place in ("0", "-1", "999999999", "x"):
        assert (await client.get("/knowledge", params={"q": "belt", "page": place})).status_code == 200


def guess(number: int, text: str) -> Suggestion:
    source = Source(kind="ticket", id="tkt_00000000000000000000", quote="the <i>seal</i> is gone")
    return Suggestion(number=number, field="root_cause", text=text, why="own words", sources=[source], made_by="rules")


async def test_suggestions_are_taken_over_or_ignored_with_their_sources_shown(api: Api):
    card = await written("Display is dark", status="draft", root_cause="")
    with acting_as(system("test")):
        await DraftSuggestions(card_id=card.id, suggestions=[guess(1, "Seal missing"), guess(2, "Wet plug")]).insert()
    expert = await api.add_user(Role.expert)
    client = await visitor(api, expert)
    path = f"/cards/{card.id}/suggestions"
    page = (await client.get(path)).text
    assert "the &lt;i&gt;seal&lt;/i&gt; is gone" in page
    assert 'href="/tickets/tkt_00000000000000000000"' in page
    token = {"csrf_token": await csrf_token(client)}
    assert (await client.post(f"{path}/2", data=token | {"how": "ignore"})).status_code == 303
    stale = await client.post(f"{path}/1", data=token | {"how": "take", "revision": "77"})
    assert (stale.status_code, "Seal missing" in stale.text) == (412, True)
    taken = await client.post(
        f"{path}/1", data=token | {"how": "take", "revision": str(card.edition), "back": "/reviews"}
    )
    assert (taken.status_code, taken.headers["location"]) == (303, "/reviews")
    page = (await client.get(path)).text
    assert "taken over" in page
    assert "Ignored (1)" in page
    with acting_as(system("test")):
        edited = await FailureCard.find_one({"_id": card.id})
        made = await DraftSuggestions.find_one({"card_id": card.id})
    assert edited is not None
    assert made is not None
    assert (edited.root_cause, edited.updated_by) == ("Seal missing", expert.id)
    assert (made.suggestions[0].accepted_by, made.suggestions[1].dismissed_by) == (expert.id, expert.id)
    again = await client.post(f"{path}/1", data=token | {"how": "take", "revision": str(edited.edition)})
    assert (again.status_code, "has taken it over" in again.text) == (409, True)
    assert (await client.post(f"{path}/9", data=token | {"how": "ignore"})).status_code == 404
    assert (await client.post(path, data=token)).status_code == 303
    stranger = await visitor(api, await api.add_user(Role.technician))
    own = {"csrf_token": await csrf_token(stranger)}
    assert (await stranger.post(f"{path}/1", data=own | {"how": "ignore"})).status_code == 403


async def test_the_card_page_leads_to_its_print(api: Api):
    card = await written("Mirror rattles")
    client = await visitor(api, await api.add_user(Role.oem))
    page = (await client.get(f"/cards/{card.id}")).text
    assert f'href="/cards/{card.id}/pdf"' in page
    assert "/knowledge/graph" not in page
    printed = await client.get(f"/cards/{card.id}/pdf")
    assert printed.headers["content-disposition"] == f'inline; filename="{card.id}-v1.pdf"'
    assert "Mirror rattles" in pypdf.PdfReader(io.BytesIO(printed.content)).pages[0].extract_text()
