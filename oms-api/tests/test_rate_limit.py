"""A minute's worth of requests at once, then a steady rate, for each caller by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TooMany
from app.rate_limit import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def passes(limiter, caller="a"):
    try:
        limiter.take(caller)
    except TooMany:
        return False
    return True


def test_a_minutes_worth_passes_at_once_and_no_more():
    limiter = RateLimiter(60, Clock())
    assert [passes(limiter) for _ in range(62)] == [True] * 60 + [False] * 2


def test_then_one_passes_for_each_share_of_a_minute():
    clock = Clock()
    limiter = RateLimiter(60, clock)
    while passes(limiter):
        pass
    for _ in range(5):
        clock.now += 1
        assert [passes(limiter), passes(limiter)] == [True, False]


def test_it_tells_how_long_to_wait_and_that_is_enough():
    clock = Clock()
    limiter = RateLimiter(2, clock)
    assert passes(limiter)
    assert passes(limiter)
    with pytest.raises(TooMany) as refused:
        limiter.take("a")
    assert refused.value.retry_after_seconds == 30
    clock.now += refused.value.retry_after_seconds
    assert passes(limiter)


def test_a_refusal_costs_nothing():
    clock = Clock()
    limiter = RateLimiter(1, clock)
    assert passes(limiter)
    for _ in range(100):
        assert not passes(limiter)
    clock.now += 60
    assert passes(limiter)


def test_callers_do_not_share():
    limiter = RateLimiter(1, Clock())
    assert [passes(limiter, caller) for caller in "aabb"] == [True, False, True, False]


def test_zero_means_no_limit():
    limiter = RateLimiter(0, Clock())
    assert all(passes(limiter) for _ in range(10_000))


def test_idle_time_earns_no_more_than_a_minutes_worth():
    clock = Clock()
    limiter = RateLimiter(3, clock)
    assert passes(limiter)
    clock.now += 86_400
    assert [passes(limiter) for _ in range(4)] == [True] * 3 + [False]


def test_callers_beyond_count_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("app.rate_limit._MOST_BUCKETS", 10)
    limiter = RateLimiter(1, Clock())
    assert all(passes(limiter, str(number)) for number in range(100))


@given(st.integers(1, 1000), st.lists(st.floats(0, 10), max_size=200))
def test_never_more_pass_than_the_capacity_and_the_time_allow(per_minute, pauses):
    clock = Clock()
    limiter = RateLimiter(per_minute, clock)
    began, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += passes(limiter)
        assert passed <= per_minute + (clock.now - began) * per_minute / 60 + 1e-6
