"""The rules of retries of Redis messages, without I/O."""

from hypothesis import given
from hypothesis import strategies as st

from app.signals.rules.redis_messages import (
    MAX_PAUSE_SECONDS,
    MIN_PAUSE_SECONDS,
    StreamEntry,
    compute_pause,
    is_undeliverable,
    read_entries,
)


@given(st.integers(0, 10_000))
def test_pauses_grow_up_to_a_maximum(failures):
    assert MIN_PAUSE_SECONDS <= compute_pause(failures) <= compute_pause(failures + 1) <= MAX_PAUSE_SECONDS


def test_fifth_delivery_is_the_last_one():
    assert [is_undeliverable(count) for count in (1, 4, 5, 6)] == [False, False, True, True]


def test_deleted_entries_are_left_out():
    entries = [(b"1-0", {b"data": b"x"}), (b"2-0", None), (b"3-0", {b"other": b"y"})]
    assert read_entries(entries) == [StreamEntry(b"1-0", b"x"), StreamEntry(b"3-0", b"")]
