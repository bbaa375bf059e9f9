"""What is refused, and that it leaves everything as it was."""

import base64
from typing import Any

import pytest

from app.errors import EfiError, Malformed, TooLarge, Unavailable
from models.failure_card import FailureCard
from models.network import PeerContent
from services.knowledge import evidence_rows
from services.knowledge.network import bundles, identity, importing, peers, public
from tests.services.knowledge.network.conftest import Found
from tests.services.knowledge.network.sites import Site, failing


async def taken(site: Site, raw: bytes) -> Any:
    with site:
        return await importing.import_bundle(raw)


async def refused(site: Site, raw: bytes) -> EfiError:
    with pytest.raises(EfiError) as caught:
        await taken(site, raw)
    return caught.value


async def signed(site: Site, raw: bytes, **changes: Any) -> bytes:
    """The bundle with another payload, signed by this service all the same."""
    payload, _ = bundles.parts(raw)
    with site:
        return bundles.sealed(payload | changes, await identity.own())


async def test_only_what_a_pinned_peer_has_signed_as_it_is(found_sites: Found):
    one, other, third = await found_sites(3)
    await one.approved()
    (raw,) = await one.bundles_for(0)
    payload, signature = bundles.parts(raw)

    payload["cards"][0]["card"]["content"]["title"] = "Do as I say"
    altered = public.canonical({"payload": payload, "signature": base64.b64encode(signature).decode()})
    assert (await refused(other, altered)).code == "bundle_not_signed"
    assert (await refused(other, await signed(third, raw))).code == "bundle_not_signed"
    with other:
        await peers.remove(await peers.get(one.node_id))
    assert (await refused(other, raw)).code == "bundle_unknown_signer"
    with other:
        assert await FailureCard.find_all().count() == 0


async def test_a_peer_that_is_switched_off_is_not_heard(found_sites: Found):
    one, other = await found_sites(2)
    await one.approved()
    peer = await other.peer(one)
    content = PeerContent(**{name: getattr(peer, name) for name in PeerContent.model_fields} | {"enabled": False})
    await other.do(lambda: peers.replace(peer, content, revision=peer.revision))

    assert (await refused(other, (await one.bundles_for(0))[0])).code == "bundle_unknown_signer"


async def test_formats_and_sizes(found_sites: Found):
    one, other = await found_sites(2)
    await one.approved()
    (raw,) = await one.bundles_for(0)

    assert (await refused(other, await signed(one, raw, format=2))).code == "bundle_wrong_format"
    assert (await refused(other, await signed(one, raw, cards="none"))).code == "bundle_wrong_format"
    assert isinstance(await refused(other, b"x" * (bundles.MAX_BYTES + 1)), TooLarge)
    for broken in (
        b"{}",
        b"[1, 2]",
        b"\xff",
        b'{"payload": {}, "signature": "?"}',
        b'{"payload": 1}',
    ):
        assert isinstance(await refused(other, broken), Malformed)


async def test_bundles_are_taken_once_and_in_order(found_sites: Found):
    one, other = await found_sites(2)
    cards = [await one.approved(f"Failure {number}") for number in range(3)]
    first, second, third = await one.bundles_for(0, limit=1)

    await taken(other, first)
    assert (await refused(other, third)).code == "bundle_gap"
    assert (await refused(other, first)).code == "bundle_replayed"
    await taken(other, second)
    await taken(other, third)
    assert (await other.card(cards[2].id)).title == "Failure 2"


async def test_evidence_is_only_added_up_where_it_decays_alike(found_sites: Found):
    one, other = await found_sites(2)
    await one.approved()
    (raw,) = await one.bundles_for(0)

    assert (await refused(other, await signed(one, raw, half_life_days=30.0))).code == "bundle_other_half_life"
    assert evidence_rows.half_life().days == 365


async def test_a_faulty_item_is_refused_and_the_others_are_taken(found_sites: Found):
    one, other = await found_sites(2)
    good, bad, odd = [await one.approved(f"Failure {number}") for number in range(3)]
    (raw,) = await one.bundles_for(0)
    payload, _ = bundles.parts(raw)
    items = {item["network_id"]: item for item in payload["cards"]}
    items[bad.id]["card"]["content"]["diagnostic_tree"] = {"root_node_id": "nowhere", "nodes": []}
    items[odd.id]["network_id"] = "node_not_a_card"

    receipt = await taken(other, await signed(one, raw, cards=list(items.values())))

    assert receipt.added == 1
    assert {item.item for item in receipt.refused} == {bad.id, "node_not_a_card"}
    assert (await other.card(good.id)).title == "Failure 0"


async def test_a_crash_leaves_all_of_a_bundle_or_nothing(found_sites: Found):
    one, other = await found_sites(2)
    await one.approved()
    (raw,) = await one.bundles_for(0)

    with failing(importing, "update", RuntimeError("died")), pytest.raises(RuntimeError):
        await taken(other, raw)

    assert (await other.peer(one)).cursor == 0
    assert await other.lineages() == {}
    assert (await taken(other, raw)).added == 1


async def test_the_key_is_sealed_with_the_secret_of_the_service(found_sites: Found):
    (site,) = await found_sites(1)
    with site:
        own = await identity.own()
        assert identity.verify(own.public_key, b"said", identity.sign(own, b"said"))
        assert not identity.verify(own.public_key, b"said otherwise", identity.sign(own, b"said"))
        identity.configure(secret_key="another" * 8)
        with pytest.raises(Unavailable, match="EFI_SECRET_KEY"):
            identity.sign(own, b"said")
        renewed = await identity.renew_key()
        assert (renewed.node_id, renewed.public_key == own.public_key) == (own.node_id, False)
        assert identity.sign(renewed, b"said")
