"""The message rate: a minute's burst, then a steady rate; shared between processes through Redis."""

import asyncio
from decimal import Decimal

import pytest

from app.rate_limit import BucketExchange
from app.risk.errors import TooManyMessages
from app.risk.service.messages import MessageRate
from tests.support.redis import RedisServer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def redis_url():
    server = RedisServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


def is_passing(rate, sender="U1", limit="6"):
    try:
        rate.take(sender, Decimal(limit))
    except TooManyMessages:
        return False
    return True


def send_burst(rate, sender="U1", limit="6"):
    return next(number for number in range(100) if not is_passing(rate, sender, limit))


def test_message_rate_allows_a_burst_of_one_minute():
    clock = Clock()
    rate = MessageRate(clock)
    assert send_burst(rate) == 6
    with pytest.raises(TooManyMessages) as caught:
        rate.take("U1", Decimal(6))
    assert (caught.value.status, caught.value.retry_after_seconds) == (429, 10)
    assert is_passing(rate, "U2")
    clock.now += 10
    assert is_passing(rate)
    assert not is_passing(rate)


def test_no_limit_allows_all_messages_and_zero_allows_none():
    rate = MessageRate(Clock())
    rate.take("U1", None, messages=10_000)
    with pytest.raises(TooManyMessages) as caught:
        rate.take("U1", Decimal(0))
    assert caught.value.retry_after_seconds == 60


def test_sender_has_one_bucket_for_all_its_limits():
    rate = MessageRate(Clock())
    assert send_burst(rate, limit="6") == 6
    assert not is_passing(rate, limit="20")


def test_number_of_buckets_is_bounded(monkeypatch):
    monkeypatch.setattr("app.risk.service.messages._MAX_BUCKETS", 2)
    monkeypatch.setattr("app.risk.service.messages._MAX_LIMITS", 1)
    rate = MessageRate(Clock())
    assert all(is_passing(rate, sender, "1") for sender in ("U1", "U2", "U3", "U1"))
    assert all(is_passing(rate, sender, "2") for sender in ("U4", "U5", "U4"))


def test_consumption_is_not_stored_without_redis():
    rate = MessageRate(Clock())
    assert is_passing(rate)
    assert (rate.has_changes, rate.drain()) == (False, [])


def test_consumption_of_one_process_is_shared_with_the_others(redis_url):
    async def run():
        rates = [MessageRate(), MessageRate()]
        exchanges = [BucketExchange(redis_url, rate) for rate in rates]
        for bucket_exchange in exchanges:
            bucket_exchange.connect()
        assert all(is_passing(rates[0]) for _ in range(4))
        assert is_passing(rates[1])
        for bucket_exchange in exchanges:
            await bucket_exchange.exchange()
        remaining = [send_burst(rate) for rate in rates]
        for bucket_exchange in exchanges:
            await bucket_exchange.close()
        return remaining

    first, second = asyncio.run(run())
    assert (first, second) == (2, 1)  # four and one of six are gone; the first has not heard of the one yet


def test_consumption_during_a_synchronization_is_sent_in_the_next_one():
    clock = Clock()
    rate = MessageRate(clock)
    rate.start_recording()
    rate.take("U1", Decimal(6), messages=2)
    [(bucket, number)] = rate.drain()
    assert (number, rate.has_changes) == (2, False)
    assert is_passing(rate)
    rate.update_level(bucket, 3.0)  # of all processes, without the token taken in the meantime
    assert send_burst(rate) == 2
    assert [drained.number for drained in rate.drain()] == [3]
