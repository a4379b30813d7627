"""GET /events/stream, over a real connection to a separate process."""

import json
import threading
from contextlib import contextmanager
from itertools import chain

import httpx
import pytest

from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.support.conditions import WAIT_SECONDS, wait_until
from tests.support.processes import run_process

HEADERS = {"X-API-Key": BOOTSTRAP_KEY}


@pytest.fixture(scope="module")
def process(backend, new_database):
    with run_process(
        DATABASE_URL=new_database(backend), ENVIRONMENT="production", LOG_LEVEL="WARNING"
    ) as stream:
        yield stream


@contextmanager
def open_stream(process, headers=None, **params):
    """Yield an iterator of the events' ids, types and data."""
    timeout = httpx.Timeout(WAIT_SECONDS)
    with httpx.stream(
        "GET",
        f"{process.url}/api/v1/events/stream",
        params=params,
        headers=HEADERS | (headers or {}),
        timeout=timeout,
    ) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parse_lines(response.iter_lines())


def parse_lines(lines):
    event = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            if "data" in event:
                yield event["id"], event["event"], json.loads(event["data"])
            event = {}


def record_trade(process, **changes):
    response = httpx.post(
        f"{process.url}/api/v1/trade", json=build_trade_body(**changes), headers=HEADERS, timeout=WAIT_SECONDS
    )
    assert response.status_code == 201, response.text
    return response.json()["trade"]["trade_id"]


def test_change_is_streamed_to_an_open_connection(process):
    with open_stream(process, type="trade.recorded") as events:
        trade_id = record_trade(process)
        number, kind, body = next(events)
    assert (kind, body["id"], body["data"]["trade_id"]) == ("trade.recorded", number, trade_id)


def test_reconnected_client_misses_and_repeats_nothing(process):
    with open_stream(process, type="trade.*") as events:
        before = record_trade(process)
        number, _, body = next(events)
        assert body["data"]["trade_id"] == before
    missed = [record_trade(process) for _ in range(3)]
    with open_stream(process, {"Last-Event-ID": number}, type="trade.*") as events:
        assert [next(events)[2]["data"]["trade_id"] for _ in missed] == missed


def test_every_trade_is_streamed_once_under_load(process):
    with open_stream(process, type="trade.recorded") as events:
        ids: list[list[str]] = [[] for _ in range(4)]

        def work(into):
            into += [record_trade(process, quantity="1", gmv="1") for _ in range(25)]

        threads = [threading.Thread(target=work, args=(into,)) for into in ids]
        for thread in threads:
            thread.start()
        sequences = [next(events)[2] for _ in range(100)]
        for thread in threads:
            thread.join(WAIT_SECONDS)
    assert sorted(item["data"]["trade_id"] for item in sequences) == sorted(chain.from_iterable(ids))
    assert len({item["id"] for item in sequences}) == 100


def test_shutdown_ends_streams_and_the_service(backend, new_database):
    with run_process(
        DATABASE_URL=new_database(backend), ENVIRONMENT="production", LOG_LEVEL="WARNING"
    ) as process:
        with open_stream(process) as events:
            assert process.stop() in {0, -15}
            with pytest.raises((StopIteration, httpx.TransportError)):
                next(events)
        assert "Traceback" not in process.log(), process.log()


def test_stream_ends_when_its_key_is_revoked(service, api):
    key, responses = service.create_key("read", api.tenant_id), []

    def listen():
        responses.append(service.client.get("/api/v1/events/stream", headers={"X-API-Key": key}))

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: service.app.state.feed.follower_count)
    key_id = key.split("_")[1]
    assert api.patch(f"/api-keys/{key_id}", {"revoked": True}).status_code == 200
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert (responses[0].status_code, responses[0].text) == (200, "retry: 1000\n\n")
    wait_until(lambda: not service.app.state.feed.follower_count)
