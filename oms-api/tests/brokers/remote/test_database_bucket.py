"""Processes share a rate limit through the database."""

from datetime import UTC, datetime, timedelta

import pytest

from app.brokers.errors import RateLimitExceeded
from app.brokers.remote.database_bucket import PORTION_LIFETIME_SECONDS, DatabaseTokenBucket
from app.brokers.remote.request_rate_limiter import (
    FurtherLimit,
    LocalTokenBucket,
    Priority,
    RequestRateLimiter,
)
from app.brokers.rules.rate_limits import RateLimit
from app.database import connect_engine

LIMIT = RateLimit(200, 60)


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 30, 9, tzinfo=UTC)

    def __call__(self):
        return self.now

    def seconds(self):
        return self.now.timestamp()

    def add(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def create_bucket(engine, clock):
    return lambda name="a", limit=LIMIT: DatabaseTokenBucket(engine, name, limit, clock, clock.seconds)


def take_all_tokens(*buckets, reserved=0):
    total = 0
    while True:
        token_count = sum(bucket.take_token(reserved) == 0 for bucket in buckets)
        if token_count == 0:
            return total
        total += token_count


def test_two_processes_share_one_limit(create_bucket):
    first, second = create_bucket(), create_bucket()
    assert take_all_tokens(first, second) == 200
    assert (int(first.get_level()), int(second.get_level())) == (0, 0)
    assert create_bucket("another account").take_token(0) == 0


def test_level_counts_requests_of_all_processes(create_bucket):
    first, second = create_bucket(), create_bucket()
    for _ in range(50):
        first.take_token(0)
    assert second.get_level() == first.get_level() == 150
    second.set_level(20)
    assert 20 <= first.get_level() <= 25  # it has taken some ahead
    assert second.get_level() == 20
    second.set_level(100)  # it is never raised
    assert second.get_level() == 20


def test_reserved_tokens_are_returned(create_bucket, clock):
    bucket = create_bucket()
    assert take_all_tokens(bucket, reserved=40) == 160
    assert bucket.take_token(40) == pytest.approx(0.3)
    clock.add(3)
    assert take_all_tokens(bucket, reserved=40) == 10


def test_unused_portion_expires(create_bucket, clock):
    first, second = create_bucket(), create_bucket()
    first.take_token(0)
    level = second.get_level()
    clock.add(PORTION_LIFETIME_SECONDS + 1)
    assert second.get_level() == 200
    assert level < 200


def test_process_in_use_takes_tokens_ahead(create_bucket, monkeypatch):
    bucket = create_bucket()
    for _ in range(5):
        bucket.take_token(0)
    assert bucket.get_level() == 195
    monkeypatch.setattr(bucket, "_run", None)  # no transaction is needed
    assert [bucket.take_token(0) for _ in range(5)] == [0] * 5


def test_limit_of_a_day_is_not_refilled_during_the_day(create_bucket, clock):
    limit = RateLimit(4, 86_400, "Asia/Kolkata")
    first, second = create_bucket("day", limit), create_bucket("day", limit)
    assert take_all_tokens(first, second) == 4
    clock.add(8 * 3600)
    assert first.take_token(0) > 0
    clock.add(12 * 3600)
    assert first.take_token(0) == 0


def test_request_takes_a_token_of_each_limit_or_of_none(create_bucket):
    day, minute = create_bucket("day", RateLimit(2, 86_400, "Asia/Kolkata")), LocalTokenBucket(10)
    rate_limiter = RequestRateLimiter(minute, further_limits=[FurtherLimit(day, frozenset({Priority.ORDER}))])
    assert rate_limiter.requests_left == 2
    rate_limiter.wait_for_token(Priority.ORDER, 0.01)
    minute.set_level(0)
    with pytest.raises(RateLimitExceeded):
        rate_limiter.wait_for_token(Priority.ORDER, 0.01)
    assert day.get_level() == 1
    assert LocalTokenBucket(1).get_level() == 1


def test_cancels_do_not_count_towards_the_orders_of_a_day(create_bucket):
    day = create_bucket("day", RateLimit(1, 86_400, "Asia/Kolkata"))
    rate_limiter = RequestRateLimiter(
        LocalTokenBucket(10), further_limits=[FurtherLimit(day, frozenset({Priority.ORDER}))]
    )
    rate_limiter.wait_for_token(Priority.ORDER, 0.01)
    with pytest.raises(RateLimitExceeded):
        rate_limiter.wait_for_token(Priority.ORDER, 0.01)
    rate_limiter.wait_for_token(Priority.CANCEL, 0.01)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_process_uses_local_tokens_if_the_database_fails(engine, tmp_path):
    engine_without_tables = connect_engine(f"sqlite:///{tmp_path}/empty.db")
    bucket = DatabaseTokenBucket(engine_without_tables, "a", RateLimit(2, 60))
    assert take_all_tokens(bucket) == 2
    assert bucket.get_level() < 1
    engine_without_tables.dispose()
