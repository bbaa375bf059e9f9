"""Identifiers: in order of time, for new documents and for imported history."""

import multiprocessing
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from app.ids import PREFIXES, earliest_id, id_at, is_id, new_id


def test_new_ids_increase_and_are_of_their_kind():
    made = [new_id("ticket") for _ in range(1000)]
    assert made == sorted(set(made))
    assert all(is_id(one, "ticket") for one in made)
    assert not is_id(made[0], "card")
    assert len(set(PREFIXES.values())) == len(PREFIXES)


def test_history_takes_its_place_in_time():
    days = [datetime(1995, 1, 1, tzinfo=UTC) + timedelta(days=400 * n) for n in range(20)]
    made = [id_at("ticket", day) for day in days]
    assert made == sorted(made)
    assert made[-1] < new_id("ticket")
    for day, one in zip(days, made, strict=True):
        assert earliest_id("ticket", day) <= one < earliest_id("ticket", day + timedelta(milliseconds=1))
    assert len({id_at("ticket", days[0]) for _ in range(1000)}) == 1000


def test_a_forked_process_draws_other_numbers():
    """Else both would give the same ids to different things in the same millisecond."""
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    id_at("ticket", moment)  # something is in reserve
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on, of forking beside threads: that is the case
        with context.Pool(1) as pool:
            theirs = pool.apply(_some_ids, (moment,))
    assert not {*theirs} & {*_some_ids(moment)}


def _some_ids(moment: datetime) -> list[str]:
    return [id_at("ticket", moment) for _ in range(300)]


def test_before_identifiers_began():
    ancient = datetime(1900, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="1970"):
        id_at("ticket", ancient)
    assert earliest_id("ticket", ancient) == earliest_id("ticket", datetime(1970, 1, 1, tzinfo=UTC))
