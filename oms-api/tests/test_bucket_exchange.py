"""Rate limits shared through a real Redis, which may fail at any time."""

import asyncio
import time
from contextlib import asynccontextmanager
from functools import wraps

import httpx
import pytest

from app.errors import TooMany
from app.identity.service.throttle import PAIR, Throttle
from app.rate_limit import BucketExchange, Quotas, RateLimiter
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process
from tests.support.redis import run_redis_server

ADDRESS = "192.0.2.1"


@pytest.fixture
def redis_server(redis_server):
    """Provide an empty server."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server


@pytest.fixture
def killable_redis():
    with run_redis_server() as server:
        yield server


class LimiterProcess:
    """The rate limiter of one process, and its synchronization, which the test calls."""

    def __init__(self, url, per_minute, tenant=0, address=0) -> None:
        self.limiter = RateLimiter(Quotas(per_minute, tenant, address))
        self.bucket_exchange = BucketExchange(url, self.limiter)

    def passes(self, caller="a", tenant_id=1):
        try:
            self.limiter.take(caller, tenant_id, ADDRESS)
        except TooMany:
            return False
        return True

    def burst(self, most=10_000):
        return next((number for number in range(most) if not self.passes()), most)


async def wait_until(condition):
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event; the timeout ends this
            await asyncio.sleep(0.01)


@asynccontextmanager
async def create_peers(server, count, per_minute, **quotas):
    """Yield processes that synchronize only when the test calls `exchange`."""
    peers = [LimiterProcess(server.url, per_minute, **quotas) for _ in range(count)]
    try:
        for peer in peers:
            peer.bucket_exchange.connect()
        yield peers
    finally:
        for peer in peers:
            await peer.bucket_exchange.close()


@asynccontextmanager
async def start_peers(url, count):
    """Yield processes that synchronize in the background."""
    peers = [LimiterProcess(url, 600) for _ in range(count)]
    try:
        for peer in peers:
            peer.bucket_exchange.start()
        yield peers
    finally:
        for peer in peers:
            await peer.bucket_exchange.close()


def run_in_event_loop(run_scenario):
    """Run an asynchronous test to its end."""

    @wraps(run_scenario)
    def run(redis_server):
        asyncio.run(run_scenario(redis_server))

    return run


@run_in_event_loop
async def test_consumption_of_one_process_reduces_the_others(redis_server):
    async with create_peers(redis_server, 2, 20) as (first, second):
        assert first.burst() == 20
        await first.bucket_exchange.exchange()
        assert second.passes()  # this process has not synchronized yet
        await second.bucket_exchange.exchange()
        assert not second.passes()


@run_in_event_loop
async def test_excess_before_synchronization_is_paid_back(redis_server):
    async with create_peers(redis_server, 3, 60) as peers:
        assert [peer.burst() for peer in peers] == [60] * 3
        for peer in peers:
            await peer.bucket_exchange.exchange()
        with pytest.raises(TooMany) as caught:
            peers[2].limiter.take("a", 1, ADDRESS)
        assert 55 < (caught.value.retry_after_seconds or 0) <= 61  # no more than a minute's worth of debt


@run_in_event_loop
async def test_tenant_limit_is_shared(redis_server):
    async with create_peers(redis_server, 2, 100, tenant=5) as (first, second):
        assert [first.passes(caller) for caller in "abcdef"] == [True] * 5 + [False]
        await first.bucket_exchange.exchange()
        assert second.passes("y")
        await second.bucket_exchange.exchange()
        assert not second.passes("z")


@run_in_event_loop
async def test_failed_authentications_are_shared(redis_server):
    async with create_peers(redis_server, 2, 100, address=5) as (first, second):
        for _ in range(5):
            first.limiter.charge_address(ADDRESS)
        await first.bucket_exchange.exchange()
        second.limiter.charge_address(ADDRESS)
        await second.bucket_exchange.exchange()
        with pytest.raises(TooMany):
            second.limiter.check_address(ADDRESS)


@run_in_event_loop
async def test_thousand_buckets_are_synchronized_and_expire_in_redis(redis_server):
    async with create_peers(redis_server, 2, 2) as (first, second):
        for number in range(1000):
            assert first.passes(str(number))
            assert second.passes(str(number))
        await first.bucket_exchange.exchange()
        await second.bucket_exchange.exchange()
        assert not any(second.passes(str(number)) for number in range(1000))
    with redis_server.client() as client:
        keys = list(client.scan_iter(count=10_000))
        assert len(keys) == 1000
        assert all(0 < client.ttl(key) <= 120 for key in keys)


@run_in_event_loop
async def test_consumption_during_a_synchronization_is_sent_in_the_next_one(redis_server):
    async with create_peers(redis_server, 2, 10) as (first, second):
        assert [second.passes() for _ in range(5)] == [True] * 5
        await second.bucket_exchange.exchange()
        assert first.passes()
        exchange = asyncio.create_task(first.bucket_exchange.exchange())
        await asyncio.sleep(0)  # the first is sent, and the response is awaited
        assert [first.passes() for _ in range(4)] == [True] * 4
        await exchange
        assert first.burst() == 0  # five in the other process, five in this one
        await first.bucket_exchange.exchange()
    with redis_server.client() as client:
        (key,) = client.keys()
        assert float(client.hget(key, "level")) < 1


@run_in_event_loop
async def test_process_keeps_consumption_that_redis_lost(redis_server):
    async with create_peers(redis_server, 1, 600) as (peer,):
        assert peer.burst() >= 600
        await peer.bucket_exchange.exchange()
        with redis_server.client() as client:
            client.flushall()
        await wait_until(peer.passes)  # a tenth of a second earns a request
        await peer.bucket_exchange.exchange()
        assert peer.burst() < 300


@run_in_event_loop
async def test_shared_buckets_refill_over_time(redis_server):
    async with create_peers(redis_server, 2, 6000) as (first, second):
        assert first.burst() >= 6000
        await first.bucket_exchange.exchange()
        with redis_server.client() as client:
            (key,) = client.keys()
            client.hincrbyfloat(key, "at", -30)  # half a minute passes
        assert second.passes()
        await second.bucket_exchange.exchange()
        assert 2000 < second.burst() < 5000  # 3,000, and what the time of the bursts themselves refills


def test_redis_restart_is_reported_and_affects_no_request(killable_redis, caplog):
    caplog.set_level("INFO", logger="app.rate_limit")

    async def run_scenario():
        async with start_peers(killable_redis.url, 2) as (first, second):
            await wait_until(lambda: first.bucket_exchange.is_shared and second.bucket_exchange.is_shared)
            killable_redis.kill()
            assert first.passes()
            await wait_until(
                lambda: not first.bucket_exchange.is_shared and not second.bucket_exchange.is_shared
            )
            assert first.burst() >= 598
            assert second.passes()  # each process has its own limit
            killable_redis.start()
            await wait_until(lambda: first.bucket_exchange.is_shared and second.bucket_exchange.is_shared)

    asyncio.run(run_scenario())
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("rate limits are per process: Redis is unavailable") == 2
    assert messages.count("rate limits are shared") == 4


def test_frozen_redis_delays_no_request(killable_redis):
    async def run_scenario():
        async with start_peers(killable_redis.url, 2) as (first, second):
            await wait_until(lambda: first.bucket_exchange.is_shared)
            killable_redis.freeze()
            try:
                assert first.passes()
                await wait_until(lambda: not first.bucket_exchange.is_shared)
                assert first.burst() > 500
            finally:
                killable_redis.thaw()
            await wait_until(lambda: first.bucket_exchange.is_shared and second.bucket_exchange.is_shared)
            assert first.passes() or first.burst() == 0  # each response is read by its own request: no error
            await first.bucket_exchange.exchange()

    asyncio.run(run_scenario())


def test_redis_missing_at_start_is_retried_in_the_background(killable_redis):
    killable_redis.kill()

    async def run_scenario():
        async with start_peers(killable_redis.url, 1) as (peer,):
            assert peer.passes()
            killable_redis.start()
            await wait_until(lambda: peer.bucket_exchange.is_shared)

    asyncio.run(run_scenario())


def test_redis_authentication_error_is_reported_without_the_password(killable_redis, caplog):
    caplog.set_level("INFO", logger="app.rate_limit")

    async def run_scenario():
        async with start_peers(killable_redis.url, 1) as (peer,):
            await wait_until(lambda: peer.bucket_exchange.is_shared)
            with killable_redis.client() as client:
                client.config_set("requirepass", "another")
                client.client_kill_filter(_type="normal", skipme=False)
            await wait_until(lambda: not peer.bucket_exchange.is_shared)
            assert peer.passes()
        second = LimiterProcess(killable_redis.url.replace("//", "//:canary@"), 600)
        second.bucket_exchange.connect()
        with pytest.raises(Exception, match=r"WRONGPASS|invalid"):
            await second.bucket_exchange.exchange()
        await second.bucket_exchange.close()

    asyncio.run(run_scenario())
    assert "canary" not in caplog.text
    assert "another" not in caplog.text


def get_readiness(service):
    return httpx.get(f"{service.url}/health/ready", timeout=60).json()


def wait_for(service, state):
    deadline = time.monotonic() + WAIT_SECONDS
    while (body := get_readiness(service))["rate_limits"] != state:
        assert time.monotonic() < deadline, body
        time.sleep(0.02)  # the background exchange works meanwhile; the deadline ends this
    assert body["status"] == "ready"


def test_two_processes_share_one_limit_across_a_redis_restart(new_database, killable_redis):
    settings = {
        "DATABASE_URL": new_database("sqlite"),
        "LOG_LEVEL": "WARNING",
        "REDIS_URL": killable_redis.url,
        "RATE_LIMIT_PER_MINUTE": "30",
    }
    key = {"X-API-Key": BOOTSTRAP_KEY}

    def send_requests(service, times):
        responses = [client.get(f"{service.url}/api/v1/portfolios", headers=key) for _ in range(times)]
        return [response.status_code for response in responses]

    with (
        run_process(**settings) as first,
        run_process(**settings) as second,
        httpx.Client(timeout=60) as client,
    ):
        wait_for(first, "shared")
        wait_for(second, "shared")
        assert send_requests(first, 30) == [200] * 30
        deadline = time.monotonic() + WAIT_SECONDS
        while send_requests(second, 1) == [200]:
            assert time.monotonic() < deadline, "the other process still accepts requests"
        killable_redis.kill()
        assert set(send_requests(first, 3)) <= {200, 429}
        wait_for(first, "per process")
        killable_redis.start()
        wait_for(first, "shared")
        wait_for(second, "shared")
        assert "redis://" not in first.log() + second.log()


def test_limits_without_redis_are_reported_as_per_process(new_database):
    settings = {"DATABASE_URL": new_database("sqlite"), "RATE_LIMIT_PER_MINUTE": "30"}
    with run_process(**settings) as service:
        assert get_readiness(service)["rate_limits"] == "per process"


@run_in_event_loop
async def test_failed_logins_are_throttled_across_processes(redis_server):
    throttles = [Throttle(), Throttle()]
    sharings = [BucketExchange(redis_server.url, *throttle.pools) for throttle in throttles]
    try:
        for bucket_exchange in sharings:
            bucket_exchange.connect()
        for _ in range(PAIR.attempts):
            throttles[0].start_attempt("alpha\0alice", ADDRESS)
        attempt = throttles[1].start_attempt("alpha\0alice", ADDRESS)  # this process has not synchronized yet
        for bucket_exchange in sharings:
            await bucket_exchange.exchange()
        with pytest.raises(TooMany) as caught:
            throttles[1].start_attempt("alpha\0alice", ADDRESS)
        assert 60 < (caught.value.retry_after_seconds or 0) <= 120  # one attempt a minute, and one is in debt
        throttles[1].start_attempt("alpha\0bob", ADDRESS)
        throttles[1].record_success(attempt)
        await sharings[1].exchange()
        throttles[1].start_attempt("alpha\0alice", ADDRESS)
        with redis_server.client() as client:
            assert not [key for key in client.scan_iter() if "alice" in str(key)]
    finally:
        for bucket_exchange in sharings:
            await bucket_exchange.close()
