"""Signals over a real Redis, which may fail at any time."""

import asyncio
import json
import secrets
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from app.errors import NotPlaced, Unavailable, WriteRefused
from app.metrics import SignalMetrics
from app.signals.schemas.messages import MAX_MESSAGE_BYTES, parse_message
from app.signals.service.redis_channels import stream_reader
from app.signals.service.redis_channels.intake import SignalIntake
from app.signals.service.redis_channels.stream_reader import StreamReader
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.event_schemas import VALIDATORS
from tests.support.redis import RedisServer
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database
SIGNAL = {"symbol": "AAPL", "side": "buy", "qty": 10, "portfolio": "Growth"}
STREAM, DEAD = "trade_signals_stream", "trade_signals_dead"


@pytest.fixture
def redis_client(redis_server):
    """Provide a client of an empty server."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@contextmanager
def run_receiver(serve, url):
    """Run a service that receives signals, with a portfolio and a price; yield its first tenant."""
    with serve(redis_url=url) as service:
        desk = ApiClient(service, 1, BOOTSTRAP_KEY).open_portfolio("Growth")
        desk.set_quote("AAPL", "99", "101", "100")
        yield desk


def build_message(**changes):
    return json.dumps({**SIGNAL, "id": secrets.token_hex(8), **changes})


def list_signals(desk):
    return {item["id"]: item for item in desk.get("/signals").json()}


def get_position(desk):
    return sum(float(item["quantity"]) for item in desk.get("/positions", symbol="AAPL").json())


def get_health(desk):
    return desk.get("/health/detailed").json()["components"]["redis"]


def test_signal_of_the_stream_is_filled_once_and_acknowledged(serve, redis_client, redis_server):
    with run_receiver(serve, redis_server.url) as desk:
        for _ in range(2):
            redis_client.xadd(STREAM, {"data": build_message(id="breakout-1")})
        redis_client.xadd(STREAM, {"data": build_message(id="last", side="sell", qty=3)})
        wait_until(lambda: "last" in list_signals(desk) and list_signals(desk)["last"]["status"] == "filled")
        assert get_position(desk) == 7
        body = list_signals(desk)
        assert {item["status"] for item in body.values()} == {"filled"}
        assert (body["breakout-1"]["channel"], body["breakout-1"]["source"]) == ("redis", "redis")
        wait_until(lambda: redis_client.xpending(STREAM, "oms")["pending"] == 0, "the acknowledgement")
        assert redis_client.xlen(DEAD) == 0
        assert get_health(desk)["status"] in {"ok", "degraded"}


def test_messages_of_the_channel_become_orders(serve, redis_client, redis_server):
    with run_receiver(serve, redis_server.url) as desk:
        wait_until(
            lambda: redis_client.publish("trade_signals", build_message(id="heard")), "the subscription"
        )
        wait_until(lambda: get_position(desk) == 10, "the fill")
        redis_client.publish("trade_signals", "not JSON")
        redis_client.publish("trade_signals", build_message(id="heard"))
        redis_client.publish("trade_signals", build_message(id="flat", qty=None, side=None, close=True))
        wait_until(lambda: get_position(desk) == 0, "the close")
        assert {name: body["status"] for name, body in list_signals(desk).items()} == {
            "heard": "filled",
            "flat": "filled",
        }


def test_refused_messages_go_to_the_dead_stream_with_the_reason(serve, redis_client, redis_server):
    with run_receiver(serve, redis_server.url) as desk:
        bad = {
            "{": "JSON",
            "[1]": "object",
            build_message(id=None): "`id`",
            build_message(strategy="unknown"): "`strategy`",
            build_message(qty=None): "`qty`",
        }
        for text in bad:
            redis_client.xadd(STREAM, {"data": text})
        redis_client.xadd(STREAM, {"other": "field"})
        redis_client.xadd(STREAM, {"data": build_message(id="good")})
        wait_until(lambda: get_position(desk) == 10, "the good one")
        wait_until(lambda: redis_client.xlen(DEAD) == len(bad) + 1)
        reasons = {fields["data"]: fields["reason"] for _, fields in redis_client.xrange(DEAD)}
        for text, part in bad.items():
            assert part in reasons[text]
        wait_until(lambda: redis_client.xpending(STREAM, "oms")["pending"] == 0)
        assert set(list_signals(desk)) == {"good"}


def test_signal_with_a_target_sees_the_signals_before_it(serve, redis_client, redis_server):
    with run_receiver(serve, redis_server.url) as desk:
        for number in range(3):
            redis_client.xadd(STREAM, {"data": build_message(id=f"add-{number}")})
        redis_client.xadd(
            STREAM, {"data": build_message(id="target", side=None, qty=None, target_position="12")}
        )
        redis_client.xadd(STREAM, {"data": build_message(id="after", qty=1)})
        wait_until(
            lambda: "after" in list_signals(desk) and list_signals(desk)["after"]["status"] == "filled"
        )
        assert get_position(desk) == 13


def test_same_id_with_another_body_is_refused(serve, redis_client, redis_server):
    with run_receiver(serve, redis_server.url) as desk:
        redis_client.xadd(STREAM, {"data": build_message(id="one")})
        redis_client.xadd(STREAM, {"data": build_message(id="one", qty=11)})
        dead = wait_until(lambda: redis_client.xrange(DEAD))
        assert "was used for another signal" in dead[0][1]["reason"]
        assert get_position(desk) == 10


class FailingIntake:
    """Is away at first, and always fails for some messages; `late` is locked once."""

    def __init__(self):
        self.stored, self.is_away, self.locked = [], True, {b"late"}

    async def accept(self, messages):
        if self.is_away:
            self.is_away = False
            raise Unavailable("The database does not answer.")
        if b"poison" in messages:
            raise ZeroDivisionError
        return [self._accept(message) for message in messages]

    def _accept(self, message):
        if message == b"unwritable":
            return WriteRefused("The database refused the write.")
        if message in self.locked:
            self.locked.remove(message)
            return NotPlaced("Another session holds a lock.")
        self.stored.append(message)
        return None


def read_repeatedly(redis_server, intake, monkeypatch):
    """Let a consumer read several times, which immediately claims entries that others left pending."""
    changes = {"CLAIM_AFTER_MILLISECONDS": 0, "BLOCK_MILLISECONDS": 1, "CLAIM_SECONDS": 0.0}
    for name, value in (changes | {"RETRY_SECONDS": 0.01}).items():
        monkeypatch.setattr(stream_reader, name, value)

    async def work():
        client = Redis.from_url(redis_server.url, protocol=2)
        reader = StreamReader(client, intake, "me")
        await reader.create_group()
        await reader.create_group()  # the group exists
        for _ in range(8):
            await reader.read_once()
        await client.aclose()

    asyncio.run(work())


def test_entries_of_a_dead_consumer_are_claimed(redis_client, redis_server, monkeypatch):
    redis_client.xgroup_create(STREAM, "oms", id="0", mkstream=True)
    redis_client.xadd(STREAM, {"data": "orphan"})
    assert redis_client.xreadgroup("oms", "dead", {STREAM: ">"})
    intake = FailingIntake()
    read_repeatedly(redis_server, intake, monkeypatch)
    assert intake.stored == [b"orphan"]
    assert redis_client.xpending(STREAM, "oms")["pending"] == 0


def test_entry_that_fails_again_and_again_is_given_up(redis_client, redis_server, monkeypatch):
    """An unexpected error leaves an entry pending; the fifth delivery gives it up. Other entries continue."""
    for text in ("good", "poison", "late", "unwritable", "better"):
        redis_client.xadd(STREAM, {"data": text})
    intake = FailingIntake()
    read_repeatedly(redis_server, intake, monkeypatch)
    assert sorted(intake.stored) == [b"better", b"good", b"late"]
    dead = {fields["data"]: fields["reason"] for _, fields in redis_client.xrange(DEAD)}
    assert dead.keys() == {"poison", "unwritable"}
    assert all("5 times" in reason for reason in dead.values())
    assert redis_client.xpending(STREAM, "oms")["pending"] == 0


def test_service_without_redis_accepts_signals_over_rest_and_reports_that_redis_is_down(serve):
    server = RedisServer()
    try:
        with run_receiver(serve, server.url) as desk:
            assert desk.post("/signals", {**SIGNAL, "id": "rest"}).json()["status"] == "filled"
            wait_until(lambda: "No signals arrive" in (get_health(desk)["last_error"] or ""), "the report")
            assert get_health(desk)["status"] == "degraded"
            (event,) = wait_until(lambda: desk.get("/events", type="signal_channel.down").json(), "the event")
            VALIDATORS["signal_channel.down"].validate(event["data"])
            metrics = desk.service.client.get("/metrics", headers={"X-API-Key": desk.key}).text
            assert 'oms_signal_channel_up{channel="redis"} 0.0' in metrics
            server.start()
            with server.client() as client:
                client.xadd(STREAM, {"data": build_message(id="late")})
            wait_until(lambda: get_position(desk) == 20, "the reconnection")
            wait_until(lambda: desk.get("/events", type="signal_channel.up").json(), "the event")
            wait_until(lambda: get_health(desk)["last_error"] is None)
            server.kill()  # in the middle of the work
            for number in range(5):
                sent = desk.post("/signals", {**SIGNAL, "id": f"rest-{number}", "qty": 1})
                assert sent.json()["status"] == "filled"
            wait_until(lambda: get_health(desk)["status"] == "degraded", "the second report")
            server.start()
            with server.client() as client:
                client.xadd(STREAM, {"data": build_message(id="again", qty=1)})
            wait_until(lambda: get_position(desk) == 26, "the second reconnection")
            wait_until(lambda: len(desk.get("/events", type="signal_channel.up").json()) == 2, "the events")
            assert len(desk.get("/events", type="signal_channel.*").json()) == 4
    finally:
        server.remove()


def test_unknown_tenant_of_the_settings_stores_nothing(serve):
    with serve(signals_tenant="nobody") as service:

        async def accept():
            readers, signals = service.app.state.readers, service.app.state.signals
            await SignalIntake(
                signals, readers, parse_message, "nobody", SignalMetrics(CollectorRegistry())
            ).accept([b"{}"])

        with pytest.raises(Unavailable, match="SIGNALS_TENANT"):
            asyncio.run(accept())


def test_message_that_is_too_long_is_refused():
    with pytest.raises(Exception, match="at most"):
        parse_message(b" " * (MAX_MESSAGE_BYTES + 1))
