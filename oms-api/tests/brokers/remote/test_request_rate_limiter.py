"""The rate limit: cancels first, and no request waits longer than its limit."""

import threading
from functools import partial

import pytest

from app.brokers.errors import BrokerUnavailable
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, Priority, RequestRateLimiter
from tests.support.conditions import wait_until


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def count_admitted(rate_limiter, priority):
    admitted = 0
    while True:
        try:
            rate_limiter.wait_for_token(priority, 0.001)
        except BrokerUnavailable:
            return admitted
        admitted += 1


def test_queries_leave_requests_for_orders_and_orders_for_cancels(clock):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(200, clock), clock)
    assert count_admitted(rate_limiter, Priority.QUERY) == 160
    assert count_admitted(rate_limiter, Priority.ORDER) == 20
    assert count_admitted(rate_limiter, Priority.CANCEL) == 20
    assert rate_limiter.requests_left == 0


def test_tokens_refill_evenly_up_to_the_limit(clock):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(200, clock), clock)
    assert count_admitted(rate_limiter, Priority.CANCEL) == 200
    clock.now += 3
    assert count_admitted(rate_limiter, Priority.CANCEL) == 10
    clock.now += 600
    assert rate_limiter.requests_left == 200


def test_tokens_that_a_process_holds_do_not_exceed_the_limit_that_is_shown(clock, monkeypatch):
    bucket = LocalTokenBucket(200, clock)
    monkeypatch.setattr(bucket, "get_level", lambda: 210.0)
    assert RequestRateLimiter(bucket, clock).requests_left == 200


def test_alpaca_can_lower_the_level_but_not_raise_it(clock):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(200, clock), clock)
    rate_limiter.report_level(5)
    assert rate_limiter.requests_left == 5
    rate_limiter.report_level(150)
    assert rate_limiter.requests_left == 5


def test_blocked_budget_sends_no_request(clock):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(200, clock), clock)
    rate_limiter.block(30)
    with pytest.raises(BrokerUnavailable, match="Nothing was sent"):
        rate_limiter.wait_for_token(Priority.CANCEL, 29)
    clock.now += 30
    rate_limiter.wait_for_token(Priority.CANCEL, 1)


def test_waiting_cancel_is_sent_before_waiting_orders(clock):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(200, clock), clock)
    rate_limiter.block(30)
    sent = []

    def send(priority):
        rate_limiter.wait_for_token(priority, 60)
        sent.append(priority)

    def has_waiting(number):
        return len(rate_limiter._queue) == number

    threads = []
    for number, priority in enumerate((Priority.QUERY, Priority.ORDER, Priority.CANCEL), 1):
        threads.append(threading.Thread(target=send, args=(priority,)))
        threads[-1].start()
        wait_until(partial(has_waiting, number))
    clock.now += 30
    for thread in threads:
        thread.join()
    assert sent[0] is Priority.CANCEL
    assert set(sent) == set(Priority)
