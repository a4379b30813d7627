"""The clock of a process: jumps forward are ignored until they persist."""

import logging
from datetime import timedelta

import pytest

from app.clock import JUMP_HOLD_SECONDS, MAX_JUMP, SteadyClock, elapsed_seconds, utc_now
from tests.factories import NOON


class Clocks:
    """A wall clock that is wrong by `off`, and a monotonic clock in seconds."""

    def __init__(self):
        self.seconds, self.off = 0.0, timedelta(0)

    def clock_time(self):
        return NOON + timedelta(seconds=self.seconds) + self.off

    def elapsed(self):
        return self.seconds


@pytest.fixture
def both_clocks():
    return Clocks()


@pytest.fixture(autouse=True)
def log_level(caplog):
    """Capture warnings, whatever level a service of another test has set."""
    caplog.set_level(logging.WARNING, logger="app.clock")


@pytest.fixture
def clock(both_clocks):
    return SteadyClock(both_clocks.clock_time, both_clocks.elapsed)


def test_short_jump_forward_is_ignored(both_clocks, clock, caplog):
    both_clocks.seconds, both_clocks.off = 10, timedelta(days=1)
    assert clock() == NOON + timedelta(seconds=10)
    both_clocks.seconds = 10 + JUMP_HOLD_SECONDS - 1
    assert clock() == NOON + timedelta(seconds=both_clocks.seconds)
    both_clocks.off = timedelta(0)
    assert clock() == both_clocks.clock_time()
    assert ["jumped forward by 86400.0 s" in record.message for record in caplog.records] == [True]


def test_lasting_jump_forward_is_followed(both_clocks, clock, caplog):
    both_clocks.off = timedelta(days=1)
    assert clock() == NOON
    both_clocks.seconds = JUMP_HOLD_SECONDS
    assert clock() == both_clocks.clock_time()
    both_clocks.seconds += 1
    assert clock() == both_clocks.clock_time()
    assert len(caplog.records) == 2


def test_second_jump_forward_is_delayed_like_the_first(both_clocks, clock):
    both_clocks.off = timedelta(days=1)
    assert clock() == NOON
    both_clocks.off = timedelta(0)
    assert clock() == NOON
    both_clocks.seconds, both_clocks.off = JUMP_HOLD_SECONDS + 1, timedelta(days=1)
    assert clock() == NOON + timedelta(seconds=both_clocks.seconds)


def test_jump_back_is_followed_immediately(both_clocks, clock, caplog):
    both_clocks.off = -timedelta(days=1)
    assert clock() == both_clocks.clock_time()
    assert "jumped back by 86400.0 s" in caplog.text


def test_small_corrections_are_followed(both_clocks, clock, caplog):
    for off in (MAX_JUMP, timedelta(0), -MAX_JUMP):
        both_clocks.off = off
        assert clock() == both_clocks.clock_time()
    assert not caplog.records


def test_default_clock_is_the_system_clock():
    before = utc_now()
    assert before <= SteadyClock()() <= utc_now()
    assert elapsed_seconds() <= elapsed_seconds()
