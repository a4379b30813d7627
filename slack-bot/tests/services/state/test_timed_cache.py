"""Results that are kept for a short time."""

import pytest

from app.services.state import timed_cache
from app.services.state.timed_cache import TimedCache


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def cache(clock):
    return TimedCache[int](1.0, clock=lambda: clock[0])


def test_expired_result_is_loaded_again(cache, clock):
    loaded = iter(range(10))
    assert [cache.get_or_load("A", lambda: next(loaded)) for _ in range(3)] == [0, 0, 0]
    clock[0] += 0.9
    assert cache.get_or_load("A", lambda: next(loaded)) == 0
    clock[0] += 0.1
    assert cache.get_or_load("A", lambda: next(loaded)) == 1
    assert cache.get_or_load("B", lambda: next(loaded)) == 2


def test_failure_is_not_cached(cache):
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("A", lambda: 1 // 0)
    assert cache.get_or_load("A", lambda: 7) == 7


def test_age_counts_from_the_start_of_the_load(cache, clock):
    def load_slowly():
        clock[0] += 5.0
        return 1

    assert cache.get_or_load("A", load_slowly) == 1
    assert cache.get_or_load("A", lambda: 2) == 2


def test_oldest_result_is_evicted_first(cache, monkeypatch):
    monkeypatch.setattr(timed_cache, "MAX_ENTRIES", 2)
    for key in "ABC":
        cache.get_or_load(key, lambda: 1)
    assert cache.get_or_load("A", lambda: 2) == 2
    assert cache.get_or_load("C", lambda: 2) == 1
