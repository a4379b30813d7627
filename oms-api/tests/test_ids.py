"""Trade ids: unique, ordered by time, ascending beyond the ids of other processes."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.clock import EPOCH, to_milliseconds
from app.ids import (
    MAX_AHEAD_MILLISECONDS,
    RandomDigits,
    SortableIds,
    build_first_trade_id,
    generate_request_id,
    generate_row_id,
    generate_tenant_id,
    generate_timed_id,
)
from app.timestamps import format_timestamp
from tests.factories import NOON

FIRST, LAST = datetime.fromisoformat("2001-09-09T02:00"), datetime.fromisoformat("2286-11-20T00:00")
instants = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


def test_trade_id_is_t_with_13_digits_of_milliseconds_and_a_suffix():
    trade_id = SortableIds().generate(1, NOON)
    assert re.fullmatch(r"T\d{13}[0-9a-f]{12}", trade_id)
    assert int(trade_id[1:14]) == to_milliseconds(NOON)


@given(instants, st.lists(st.integers(0, MAX_AHEAD_MILLISECONDS), min_size=1, max_size=50))
def test_ids_ascend_when_the_clock_goes_back(start, steps):
    ids = SortableIds()
    made = [ids.generate(1, start + timedelta(milliseconds=step)) for step in steps]
    assert made == sorted(set(made))


@given(st.lists(instants, min_size=1, max_size=50))
def test_ids_are_never_far_ahead_of_the_clock(moments):
    ids = SortableIds()
    for moment in moments:
        assert int(ids.generate(1, moment)[1:14]) <= to_milliseconds(moment) + MAX_AHEAD_MILLISECONDS


def test_ids_follow_the_clock_after_a_jump_which_is_logged(caplog):
    caplog.set_level(logging.WARNING, logger="app.ids")
    ids = SortableIds()
    jumped = ids.generate(1, NOON + timedelta(days=1))
    made = [ids.generate(1, NOON + timedelta(milliseconds=number)) for number in range(3)]
    assert [int(text_id[1:14]) - to_milliseconds(NOON) for text_id in made] == [0, 1, 2]
    assert len(caplog.records) == 1
    follower = ids.generate(1, NOON, after=jumped)
    assert follower > jumped  # a ledger's ids ascend, whatever the clock said
    assert ids.generate(1, NOON + timedelta(milliseconds=4)) < jumped  # and take no other portfolio with them


@given(instants, instants)
def test_id_is_later_than_the_given_previous_id(here, elsewhere):
    other_ids = SortableIds().generate(1, elsewhere)
    assert SortableIds().generate(1, here, after=other_ids) > other_ids


@given(instants, instants)
def test_first_id_of_an_instant_separates_earlier_from_later_ids(at, other):
    trade_id = SortableIds().generate(1, other)
    assert (trade_id >= build_first_trade_id(at)) == (to_milliseconds(other) >= to_milliseconds(at))


def test_id_counter_overflows_into_the_next_millisecond():
    ids = SortableIds()
    made = [ids.generate(1, NOON) for _ in range(0x10000 + 2)]
    assert made == sorted(set(made))
    assert int(made[-1][1:14]) == to_milliseconds(NOON) + 1


def test_threads_never_get_the_same_id():
    ids = SortableIds()
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: ids.generate(1, NOON), range(2000)))
    assert len({trade_id[:18] for trade_id in made}) == 2000


def test_ids_of_two_processes_at_one_instant_differ_randomly():
    assert len({SortableIds().generate(1, NOON) for _ in range(1000)}) == 1000


def test_request_ids_are_unique():
    assert len({generate_request_id() for _ in range(1000)}) == 1000


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_sort_as_text(instant):
    assert datetime.fromisoformat(format_timestamp(instant)) == instant
    if instant > datetime.min.replace(tzinfo=UTC):
        assert format_timestamp(instant - timedelta(microseconds=1)) < format_timestamp(instant)


def test_milliseconds_are_rounded_down():
    assert to_milliseconds(EPOCH + timedelta(microseconds=1999)) == 1
    assert to_milliseconds(EPOCH - timedelta(microseconds=1)) == -1


def test_ids_of_one_tenant_reveal_nothing_of_another():
    ids = SortableIds()
    for _ in range(5):
        ids.generate(1, NOON)
    assert ids.generate(2, NOON)[14:18] == "0000"


def test_row_ids_reveal_no_count_and_are_exact_in_json():
    ids = [generate_row_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(0 < row_id < 2**53 for row_id in ids)
    assert all(0 < generate_tenant_id() < 2**31 for _ in range(1000))


def test_time_based_ids_ascend_by_millisecond_for_centuries():
    later = NOON + timedelta(milliseconds=1)
    assert max(generate_timed_id(NOON) for _ in range(100)) < min(
        generate_timed_id(later) for _ in range(100)
    )
    assert generate_timed_id(NOON + timedelta(days=365 * 12)) < 2**53


def test_prefetched_random_digits_are_used_once():
    drawn = RandomDigits()
    with ThreadPoolExecutor(4) as threads:
        drawn_ids = list(threads.map(drawn.draw_hexadecimal, [8, 20] * 3000))
    assert len(set(drawn_ids)) == 6000
    assert {len(digits) for digits in drawn_ids} == {8, 20}
