"""A request is served by the worker of its partition, and by another one when that worker cannot."""

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from zlib import crc32

import pytest

from app.forwarding import ForwardedExchange, Forwarder, WorkerSlots, peer_connection
from app.forwarding.forwarder import RETRY_SECONDS
from app.http.direct_routes import DirectRequest, RequestInfo
from tests.support.conditions import WAIT_SECONDS

PATH = "/api/v1/trade"
KEYS_BY_SLOT: dict[int, bytes] = {crc32(key) % 2: key for key in (b"a", b"d")}


class Worker:
    """One worker process, in the event loop of the test. `held` are the requests that it does not answer."""

    def __init__(self, directory):
        self.outcomes: list[str] = []
        self.served: list[bytes] = []
        self.held_exchanges: list[ForwardedExchange] | None = None
        keys = {("POST", PATH): lambda request: request.body or None}
        self.forwarder = Forwarder(WorkerSlots(directory, 2), keys, self.outcomes.append)

    def serve(self, exchange):
        self.served.append(exchange.body)
        if self.held_exchanges is None:
            exchange.respond(exchange, 201, b"x-served: yes\r\n", exchange.body)
        else:
            self.held_exchanges.append(exchange)

    async def start(self):
        await self.forwarder.start(self.serve)


class Request:
    """A request of a client of a worker, and its result."""

    def __init__(self, body):
        self.result_future = asyncio.get_running_loop().create_future()
        self._body = body

    def send(self, worker):
        """Offer the request to the forwarder, and return whether it takes it."""
        exchange = SimpleNamespace(scope={"client": ("10.0.0.7", 5)})
        direct = DirectRequest(lambda _: None, exchange, {}, self._respond, lambda: None)
        info = RequestInfo({}, self._body, PATH, "id")
        return worker.forwarder.forward(
            direct, info, lambda: self._set_result("here"), lambda: self._set_result("unknown")
        )

    def _respond(self, _, status, fields, body):
        self._set_result((status, fields, body))

    def _set_result(self, result):
        assert not self.result_future.done(), "two results of one request"
        self.result_future.set_result(result)

    async def result(self):
        return await asyncio.wait_for(self.result_future, WAIT_SECONDS)


async def until(condition):
    """Wait until the condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110  # the condition changes in callbacks of other objects
            await asyncio.sleep(0.005)


@asynccontextmanager
async def two_workers(directory):
    """Run the workers of slots 0 and 1, connected to each other."""
    first, second = Worker(directory), Worker(directory)
    try:
        await first.start()
        await until(lambda: first.forwarder._number == 0)
        await second.start()
        await until(lambda: first.forwarder.is_connected)
        await until(lambda: second.forwarder.is_connected)
        yield first, second
    finally:
        for worker in (first, second):
            for exchange in worker.held_exchanges or ():
                exchange.respond(exchange, 503, b"", b"")
            await worker.forwarder.close()


def run(directory, scenario):
    async def run_scenario():
        async with two_workers(directory) as workers:
            await scenario(*workers)

    asyncio.run(run_scenario())


def test_a_request_is_answered_by_the_worker_of_its_partition(tmp_path):
    async def scenario(first, second):
        requests = [Request(KEYS_BY_SLOT[1]) for _ in range(100)]
        assert all(request.send(first) for request in requests)
        results = [await request.result() for request in requests]
        assert set(results) == {(201, b"x-served: yes\r\n", KEYS_BY_SLOT[1])}
        assert (len(second.served), first.served) == (100, [])
        assert first.outcomes == ["answered"] * 100

    run(tmp_path, scenario)


def test_requests_that_follow_one_another_are_sent_together(tmp_path, monkeypatch):
    """The first request is sent immediately. Later requests are gathered until it has a response."""
    monkeypatch.setattr(peer_connection, "GATHER_SECONDS", 30)
    monkeypatch.setattr(peer_connection, "MAX_GATHERED_FRAMES", 3)

    async def scenario(first, second):
        second.held_exchanges = []
        requests = [Request(KEYS_BY_SLOT[1]) for _ in range(4)]
        assert requests[0].send(first)
        await until(lambda: len(second.held_exchanges) == 1)
        assert all(request.send(first) for request in requests[1:3])
        await asyncio.sleep(0.05)
        assert len(second.held_exchanges) == 1
        assert requests[3].send(first)
        await until(lambda: len(second.held_exchanges) == 4)

    run(tmp_path, scenario)


def test_a_gathered_request_is_sent_without_others(tmp_path):
    async def scenario(first, second):
        second.held_exchanges = []
        for number in (1, 2):
            assert Request(KEYS_BY_SLOT[1]).send(first)
            await until(lambda count=number: len(second.held_exchanges) == count)

    run(tmp_path, scenario)


def test_a_worker_serves_its_own_partition_and_requests_without_one(tmp_path):
    async def scenario(first, second):
        assert not Request(KEYS_BY_SLOT[0]).send(first)
        assert not Request(b"").send(first)
        assert not Request(KEYS_BY_SLOT[1]).send(second)
        assert first.served == second.served == []

    run(tmp_path, scenario)


def test_the_outcome_of_a_request_is_unknown_when_its_worker_ends(tmp_path):
    async def scenario(first, second):
        second.held_exchanges = []
        request = Request(KEYS_BY_SLOT[1])
        assert request.send(first)
        await until(lambda: second.held_exchanges)
        for connection in tuple(second.forwarder._listener.connections):
            connection._transport.abort()
        assert await request.result() == "unknown"
        assert first.outcomes == ["lost"]

    run(tmp_path, scenario)


@pytest.mark.parametrize("limit", ["RESPONSE_TIMEOUT_SECONDS", "MAX_SILENCE_SECONDS"])
def test_a_worker_that_does_not_answer_is_disconnected(tmp_path, monkeypatch, limit):
    """Its event loop hangs and receives nothing, or it never answers this request."""
    monkeypatch.setattr(peer_connection, limit, 0.1)
    monkeypatch.setattr(peer_connection, "_CHECK_SECONDS", 0.05)

    async def scenario(first, second):
        second.held_exchanges = []
        if limit == "MAX_SILENCE_SECONDS":
            for connection in second.forwarder._listener.connections:
                connection._transport.pause_reading()
        request = Request(KEYS_BY_SLOT[1])
        assert request.send(first)
        assert await request.result() == "unknown"
        await until(lambda: first.forwarder.is_connected)  # it connects again

    run(tmp_path, scenario)


def test_a_slow_worker_that_replies_stays_connected(tmp_path, monkeypatch):
    monkeypatch.setattr(peer_connection, "MAX_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(peer_connection, "_CHECK_SECONDS", 0.02)

    async def scenario(first, second):
        second.held_exchanges = []
        request = Request(KEYS_BY_SLOT[1])
        assert request.send(first)
        await asyncio.sleep(0.6)
        second.held_exchanges[0].respond(None, 201, b"", b"late")
        assert await request.result() == (201, b"", b"late")
        second.held_exchanges = None

    run(tmp_path, scenario)


def test_worker_that_pauses_itself_keeps_the_connection(tmp_path, monkeypatch):
    monkeypatch.setattr(peer_connection, "MAX_SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(peer_connection, "_CHECK_SECONDS", 0.02)

    async def scenario(first, second):
        second.held_exchanges = []
        request = Request(KEYS_BY_SLOT[1])
        assert request.send(first)
        connection = first.forwarder._connections[1]
        await until(lambda: second.held_exchanges)
        await until(lambda: connection._ping_sent_at is None)  # no reply is awaited
        time.sleep(0.2)  # noqa: ASYNC251  # the pause
        await asyncio.sleep(0.01)  # the check that is late
        second.held_exchanges[0].respond(None, 201, b"", b"late")
        assert await request.result() == (201, b"", b"late")
        second.held_exchanges = None

    run(tmp_path, scenario)


def test_stopping_worker_answers_accepted_requests_and_declines_others(tmp_path):
    async def scenario(first, second):
        second.held_exchanges = []
        early, late = Request(KEYS_BY_SLOT[1]), Request(KEYS_BY_SLOT[1])
        assert early.send(first)
        await until(lambda: second.held_exchanges)
        closing = asyncio.create_task(second.forwarder._listener.close(20))
        await asyncio.sleep(0)
        if late.send(first):
            assert await late.result() == "here"
        second.held_exchanges[0].respond(None, 201, b"", b"done")
        assert await early.result() == (201, b"", b"done")
        await closing
        assert len(second.held_exchanges) == 1

    run(tmp_path, scenario)


def test_a_new_worker_takes_the_slot_of_one_that_ended(tmp_path):
    async def scenario(first, second):
        third = Worker(tmp_path)
        await third.start()
        await asyncio.sleep(0)
        assert third.forwarder._number is None
        await second.forwarder.close()
        await until(lambda: third.forwarder._number == 1)
        await until(lambda: first.forwarder.is_connected)
        request = Request(KEYS_BY_SLOT[1])
        assert request.send(first)
        assert (await request.result())[0] == 201
        assert third.served == [KEYS_BY_SLOT[1]]
        await third.forwarder.close()

    run(tmp_path, scenario)


def test_a_worker_without_the_other_one_serves_everything_itself(tmp_path):
    async def scenario():
        only = Worker(tmp_path)
        await only.start()
        await until(lambda: only.forwarder._number == 0)
        await asyncio.sleep(2 * RETRY_SECONDS)
        assert not Request(KEYS_BY_SLOT[1]).send(only)
        await only.forwarder.close()

    asyncio.run(scenario())


def test_frames_that_cannot_be_read_end_the_connection(tmp_path):
    async def scenario(first, second):
        before = first.forwarder._connections[1]
        before._transport.write(b"\xff" * 20)
        await asyncio.wait_for(before.closed, WAIT_SECONDS)
        await until(lambda: first.forwarder.is_connected)
        assert second.served == []

    run(tmp_path, scenario)
