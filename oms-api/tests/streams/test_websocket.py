"""The WebSocket of a real service, with the `websockets` library as its client."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.database import connect_engine
from app.rate_limit import SlotLimits, Slots
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process
from tests.support.service import Service

pytestmark = pytest.mark.any_database


@pytest.fixture(scope="module")
def server(new_database):
    """Provide a service in a separate process."""
    url = new_database("sqlite")
    engine = connect_engine(url)
    with (
        run_process(DATABASE_URL=url, DUTIES="worker") as process,
        httpx.Client(base_url=process.url, timeout=60) as client,
    ):
        yield Service(None, client, engine, url)  # type: ignore[arg-type]  # it is in another process
    engine.dispose()


@pytest.fixture
def trader(server):
    """Provide a tenant with a portfolio and a price."""
    trader = server.create_client().open_portfolio("Growth")
    trader.set_quote("AAPL", "99", "101", "100")
    return trader


class Stream:
    """A connection of a client."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def frame(self):
        return json.loads(self.socket.recv(WAIT_SECONDS))

    def system(self, type_):
        """Return the next frame, which must be of the system and of that type."""
        frame = self.frame()
        assert (frame["channel"], frame["data"]["type"]) == ("system", type_), frame
        return frame

    def until(self, is_expected):
        """Return the next frame that is wanted."""
        while not is_expected(frame := self.frame()):
            pass
        return frame

    def subscribe(self, *channels, **more):
        self.send(action="subscribe", channels=list(channels), **more)
        return self.system("subscribed")

    def closed(self):
        """Read until the service closes the connection; return the code and the frames before."""
        frames = []

        def read():
            while True:
                frames.append(self.frame())

        with pytest.raises(ConnectionClosed) as closed:
            read()
        assert closed.value.rcvd is not None, closed.value
        return closed.value.rcvd.code, frames


def get_address(server):
    return str(server.client.base_url).replace("http://", "ws://").rstrip("/") + "/api/v1/ws"


@contextmanager
def connect_without_key(server, **options):
    with connect(get_address(server), compression=None, **options) as socket:
        yield Stream(socket)


@contextmanager
def open_stream(server, key, **options):
    with connect_without_key(server, **options) as stream:
        stream.send(action="auth", key=key)
        stream.system("authenticated")
        yield stream


def list_channels(trader, **filters):
    return [item["id"] for item in trader.get("/events", limit=200, **filters).json()][::-1]


def test_events_of_an_order_arrive_in_their_order(server, trader):
    with open_stream(server, trader.key) as stream:
        stream.subscribe("orders", "trades", "positions")
        order = trader.place_order(quantity="10")
        frames: list[dict[str, Any]] = []
        while {"orders", "trades", "positions"} - {frame["channel"] for frame in frames} or not any(
            frame["type"] == "order.filled" for frame in frames
        ):
            frames.append(stream.frame())
        orders = [frame for frame in frames if frame["channel"] == "orders"]
        assert [row["id"] for row in orders] == list_channels(trader, type="order.*")
        assert {row["data"]["order_id"] for row in orders} == {order["id"]}
        assert orders[-1]["data"]["status"] == "FILLED"


def test_credentials_of_the_handshake_are_accepted(server, trader):
    with connect_without_key(server, additional_headers={"X-API-Key": trader.key}) as stream:
        stream.system("authenticated")
        stream.send(action="ping")
        stream.system("pong")
        stream.send(action="auth", key=trader.key)
        assert stream.system("error")["data"]["code"] == "authenticated"


def test_tenants_do_not_see_each_other(server, trader):
    other = server.create_client().open_portfolio("Growth")
    with open_stream(server, trader.key) as own_stream, open_stream(server, other.key) as other_stream:
        own_stream.subscribe("events", "quotes:ZZZ", "pnl")
        other_stream.subscribe("events", "quotes:ZZZ", "pnl")
        trade = other.record_trade(symbol="ZZZ")
        event = other_stream.until(lambda message: message.get("type") == "trade.recorded")
        assert event["data"]["trade_id"] == trade["trade_id"]
        other.set_quote("ZZZ", "1", "2", "1")
        other_stream.until(
            lambda message: message["channel"] == "quotes:ZZZ" and message["data"]["bid"] == "1.00"
        )
        own_stream.send(action="subscribe", channels=["orders"], after=event["id"])
        frames = [own_stream.frame()]
        while frames[-1]["channel"] != "system":
            frames.append(own_stream.frame())
        assert frames[-1]["data"]["code"] == "event_id"
        texts = json.dumps(frames)
        assert trade["trade_id"] not in texts
        assert '"bid": "1.00"' not in texts


def test_narrowed_key_reads_its_own_portfolios_only(server, trader):
    trader.open_portfolio("Secret")
    key = trader.post("/api-keys", {"name": "narrow", "scopes": ["read"], "portfolios": ["Growth"]}).json()
    with open_stream(server, key["key"]) as stream:
        stream.send(action="subscribe", channels=["orders"])
        assert stream.system("error")["data"]["code"] == "forbidden"
        stream.send(action="subscribe", channels=["pnl:Secret"])
        refused = stream.system("error")["data"]
        stream.send(action="subscribe", channels=["pnl:Nowhere"])
        assert stream.system("error")["data"]["detail"].replace("Nowhere", "Secret") == refused["detail"]
        stream.subscribe("pnl")
        frame = stream.frame()
        assert (frame["channel"], frame["data"]["portfolio_name"]) == ("pnl:Growth", "Growth")


def test_key_of_the_bot_reads_events_and_no_quotes(server, trader):
    with open_stream(server, server.create_key("bot", trader.tenant_id)) as stream:
        stream.subscribe("events")
        stream.send(action="subscribe", channels=["quotes:AAPL"])
        assert stream.system("error")["data"]["code"] == "forbidden"


def test_pnl_follows_prices(server, trader):
    trader.place_order(quantity="10")
    with open_stream(server, trader.key) as stream:
        stream.subscribe("pnl:Growth")
        first = stream.frame()["data"]
        assert first["base_currency"] == "USD"
        trader.set_quote("AAPL", "109", "111", "110")
        frame = stream.until(lambda message: message["data"]["unrealized_pnl"] != first["unrealized_pnl"])
        assert frame["data"]["unrealized_pnl"] == "90.00"
        assert frame["data"]["equity"] == trader.get_portfolio()["equity"]


def test_reconnecting_client_misses_nothing_and_gets_nothing_twice(server, trader):
    """A client that reconnects after a few frames, while trades are recorded all the time."""
    event = threading.Event()

    def record():
        for _ in range(60):
            trader.record_trade()
        event.set()

    with open_stream(server, trader.key) as stream:
        position = stream.subscribe("trades")["id"]
    start, positions_seen = position, []
    writer = threading.Thread(target=record)
    writer.start()
    expected = None
    while expected is None or len(positions_seen) < len(expected):
        # A client whose queue is full reads no more, and waits ten seconds for the end of the connection.
        with open_stream(server, trader.key, max_queue=None) as stream:
            stream.subscribe("trades", after=position)
            for _ in range(7):
                frame = stream.frame()
                positions_seen.append(frame["id"])
                position = frame["id"]
                if len(positions_seen) == 60:
                    break
        if event.is_set():
            expected = list_channels(trader, type="trade.*")
    writer.join()
    assert positions_seen == expected
    with open_stream(server, trader.key) as stream:  # from the start, as a backlog
        stream.subscribe("trades", after=start)
        assert [stream.frame()["id"] for _ in range(60)] == expected


def test_quotes_are_conflated_and_the_last_one_arrives(server, trader):
    with open_stream(server, trader.key) as stream:
        stream.subscribe("quotes:aapl")
        first = stream.frame()
        assert (first["channel"], first["data"]["bid"], first["id"]) == ("quotes:AAPL", "99.00", None)
        for number in range(30):
            trader.set_quote("AAPL", None, None, str(200 + number))
        frames = [stream.frame()]
        while frames[-1]["data"]["last"] != "229.00":
            frames.append(stream.frame())
        stream.send(action="unsubscribe", channels=["quotes:AAPL"])
        stream.until(lambda message: message["channel"] == "system")
        trader.set_quote("AAPL", None, None, "300")
        stream.send(action="subscribe", channels=["quotes:AAPL", "quotes:MSFT"])
        stream.system("subscribed")
        both = stream.frame()
        assert both["channel"] == "quotes"
        assert {item["symbol"] for item in both["items"]} == {"AAPL", "MSFT"}


def test_slow_client_is_closed_and_others_are_served(server, trader):
    rows = [
        {"symbol": "AAPL", "side": "BUY", "quantity": "1", "price": "100", "portfolio_name": "Growth"}
    ] * 100
    with open_stream(server, trader.key, max_queue=1) as slow, open_stream(server, trader.key) as fast:
        slow.subscribe("events", "trades", "positions")
        fast.subscribe("trades")
        for _ in range(15):
            response = trader.post("/trades:batch", {"trades": rows})
            assert response.status_code == 200
        trades = [fast.frame()["id"] for _ in range(1_500)]
        assert len(set(trades)) == 1_500
        code, frames = slow.closed()
        assert code == 4008
        assert frames


def test_revoked_key_loses_its_connection(server, trader):
    key = trader.post("/api-keys", {"name": "short", "scopes": ["read"]}).json()
    with open_stream(server, key["key"]) as stream:
        stream.subscribe("orders")
        assert trader.patch(f"/api-keys/{key['key_id']}", {"revoked": True}).status_code == 200
        assert stream.closed()[0] == 4001


@pytest.mark.parametrize(
    "first", ["", "{", '{"action":"ping"}', '{"action":"auth"}', '{"action":"auth","key":"oms_wrong"}']
)
def test_connection_without_valid_credentials_is_closed(server, first):
    with connect_without_key(server) as stream:
        stream.socket.send(first)
        assert stream.closed() == (4001, [])


def test_malformed_messages_are_refused_and_the_connection_stays(server, trader):
    with open_stream(server, trader.key) as stream:
        for message in ("nonsense", b"\x00binary", '{"action":"subscribe","channels":["weather"]}'):
            stream.socket.send(message)
            assert stream.system("error")["data"]["detail"]
        stream.subscribe("orders")
        stream.socket.send("x" * 70_000)
        assert stream.closed()[0] == 1009


@pytest.mark.parametrize(
    ("query", "origin", "status"),
    [("?key=secret", None, 400), ("", "https://evil.example", 403)],
)
def test_query_strings_and_foreign_pages_are_refused(server, query, origin, status):
    with pytest.raises(InvalidStatus) as caught, connect(get_address(server) + query, origin=origin):
        pass
    assert caught.value.response.status_code == status


def test_page_of_the_same_host_may_connect(server, trader):
    with open_stream(server, trader.key, origin=str(server.client.base_url).rstrip("/")) as stream:
        stream.subscribe("orders")


def test_connections_of_a_key_are_limited(service, api):
    hub = service.app.state.streams
    service.app.state.streams = replace(hub, connections=Slots("WebSockets", SlotLimits(1, 2, 2)))
    headers = {"X-API-Key": api.key}
    try:
        with service.client.websocket_connect("/api/v1/ws", headers=headers) as first:
            assert first.receive_json()["data"]["type"] == "authenticated"
            with service.client.websocket_connect("/api/v1/ws", headers=headers) as second:
                with pytest.raises(WebSocketDisconnect) as closed:
                    second.receive_json()
                assert closed.value.code == 4029
        with service.client.websocket_connect("/api/v1/ws", headers=headers) as third:
            assert third.receive_json()["data"]["type"] == "authenticated"
    finally:
        service.app.state.streams = hub


def authenticate(service, **credentials):
    """Authenticate by the first message. Return the data of the response, or the close code."""
    with service.client.websocket_connect("/api/v1/ws") as socket:
        socket.send_json({"action": "auth", **credentials})
        try:
            return socket.receive_json()["data"]
        except WebSocketDisconnect as closed:
            return closed.code


def test_person_connects_with_an_access_token_or_through_the_key_of_the_bot(service, api):
    body = {"email": f"ann{api.tenant_id}@example.com", "password": "violet kettle marches north"}
    assert api.post("/users", {"name": "Ann", "role": "viewer", **body}).status_code == 201
    with service.open_connection() as connection:
        statement = text("SELECT slug FROM tenants WHERE id = :id")
        slug = connection.execute(statement, {"id": api.tenant_id}).scalar_one()
    token = service.client.post("/api/v1/auth/login", json={"tenant": slug, **body}).json()["access_token"]
    assert authenticate(service, token=token)["person"] == body["email"]
    assert authenticate(service, token=f"{token}x") == 4001
    bot, team = service.create_key("act_as", api.tenant_id), f"TSOCKET{api.tenant_id}"
    api.claim_workspace(team)
    person = f"slack:{team}:U1"
    assert authenticate(service, key=bot, on_behalf_of=person)["person"] == person
    assert authenticate(service, key=api.key, token=token) == 4001
    assert authenticate(service, key=bot, on_behalf_of="nobody") == 4001
