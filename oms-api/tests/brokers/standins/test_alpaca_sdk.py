"""The official SDK drives the stand-in of Alpaca, so that it is known to speak the protocol."""

import threading
import uuid
from decimal import Decimal

import pytest

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.brokers.standins.alpaca_sdk import (
    APIError,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OrderClass,
    OrderSide,
    QueryOrderStatus,
    ReplaceOrderRequest,
    StockBarsRequest,
    StockHistoricalDataClient,
    StockLatestQuoteRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TimeFrame,
    TimeInForce,
    TradingClient,
    TradingStream,
    TrailingStopOrderRequest,
)
from tests.support.conditions import WAIT_SECONDS, wait_until


@pytest.fixture(scope="module")
def running_alpaca():
    with StandIn() as alpaca:
        yield alpaca


@pytest.fixture
def alpaca(running_alpaca):
    """Start each test with a new account."""
    running_alpaca.clear()
    running_alpaca.exchange.quote("AAPL", "189.98", "190.02")
    running_alpaca.exchange.quote("TSLA", "160", "161")
    return running_alpaca


@pytest.fixture
def client(alpaca):
    return TradingClient(KEY_ID, SECRET_KEY, url_override=alpaca.url)


def build_limit_order(price=150.5, qty=10, **fields):
    return LimitOrderRequest(
        symbol="AAPL", qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=price, **fields
    )


def test_account_clock_and_assets_are_read(client):
    account = client.get_account()
    assert (account.status, account.currency) == ("ACTIVE", "USD")
    assert client.get_clock().is_open
    assert client.get_asset("AAPL").fractionable
    assert {asset.symbol for asset in client.get_all_assets()} >= {"AAPL", "BTC/USD"}


def test_order_is_submitted_found_replaced_and_cancelled(client):
    own_id = f"sdk-{uuid.uuid4()}"
    submitted = client.submit_order(build_limit_order(client_order_id=own_id))
    assert submitted.limit_price == "150.5"
    assert client.get_order_by_client_id(own_id).id == submitted.id
    replaced = client.replace_order_by_id(submitted.id, ReplaceOrderRequest(qty=12, limit_price=151.25))
    assert (replaced.replaces, replaced.qty, replaced.limit_price) == (submitted.id, "12", "151.25")
    assert client.get_order_by_id(submitted.id).replaced_by == replaced.id
    working = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True))
    assert [order.id for order in working] == [replaced.id]
    client.cancel_order_by_id(replaced.id)
    assert client.get_order_by_id(replaced.id).status == "canceled"


def test_market_order_fills_and_makes_a_position(client, alpaca):
    before = Decimal(client.get_account().cash)
    submitted = client.submit_order(
        MarketOrderRequest(symbol="MSFT", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    alpaca.exchange.quote("MSFT", "420.10", "420.20")
    assert client.get_order_by_id(submitted.id).filled_avg_price == "420.2"
    position = client.get_open_position("MSFT")
    assert (position.qty, position.cost_basis) == ("3", "1260.6")
    assert "MSFT" in {position.symbol for position in client.get_all_positions()}
    assert before - Decimal(client.get_account().cash) == Decimal("1260.6")


def test_every_order_type_is_accepted(client):
    common = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
    stop = StopLimitOrderRequest(stop_price=250.0, limit_price=251.0, **common)
    trail = TrailingStopOrderRequest(trail_percent=5.0, **common)
    assert client.submit_order(stop).stop_price == "250"
    assert client.submit_order(trail).trail_percent == "5"
    assert {response.status for response in client.cancel_orders()} == {200}


def test_refusals_have_code_and_message(client):
    own_id = f"sdk-{uuid.uuid4()}"
    client.submit_order(build_limit_order(client_order_id=own_id))
    with pytest.raises(APIError) as again:
        client.submit_order(build_limit_order(client_order_id=own_id))
    assert (again.value.status_code, again.value.message) == (422, "client_order_id must be unique")
    with pytest.raises(APIError) as missing:
        client.get_open_position("TSLA")
    assert missing.value.code == 40410000
    with pytest.raises(APIError) as denied:
        client.submit_order(build_limit_order(qty=1_000_000))
    assert denied.value.message == "insufficient buying power"


def test_wrong_credentials_are_refused(alpaca):
    with pytest.raises(APIError) as denied:
        TradingClient(KEY_ID, "wrong", url_override=alpaca.url).get_account()
    assert denied.value.status_code == 401


def test_stream_has_every_event_of_an_order(client, alpaca):
    updates = []
    stream = TradingStream(KEY_ID, SECRET_KEY, url_override=alpaca.stream_url)

    async def note(update):
        updates.append(update)

    stream.subscribe_trade_updates(note)
    connections = alpaca.stream.connections
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    wait_until(lambda: alpaca.stream.connections > connections and alpaca.stream.listeners)
    order = client.submit_order(build_limit_order(190.0))
    alpaca.exchange.quote("AAPL", "189", "189.5", ask_size="4")
    alpaca.exchange.quote("AAPL", "189", "189.5", ask_size="6")
    wait_until(lambda: len(updates) >= 3)
    stream.stop()
    client.submit_order(build_limit_order(1.0))  # wakes the SDK, which looks for the end after each frame
    thread.join(WAIT_SECONDS)
    assert [(update.event, update.qty) for update in updates[:3]] == [
        ("new", None),
        ("partial_fill", 4.0),
        ("fill", 6.0),
    ]
    assert {update.order.id for update in updates[:3]} == {order.id}
    assert len({update.execution_id for update in updates[:3]}) == 3


def build_linked_order(order_class, side=OrderSide.BUY, price=150.0, profit=200.0, loss=90.0, **fields):
    return LimitOrderRequest(
        symbol="TSLA", qty=10, side=side, time_in_force=TimeInForce.GTC, order_class=order_class,
        limit_price=price, take_profit=profit and TakeProfitRequest(limit_price=profit),
        stop_loss=loss and StopLossRequest(stop_price=loss), **fields,
    )  # fmt: skip


def read_legs(client, order):
    return {
        leg.type.value: leg.status.value
        for leg in client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True)).legs
    }


def list_open_orders(client, **fields):
    request = GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=["TSLA"], **fields)
    return [order.type.value for order in client.get_orders(request)]


def test_legs_of_a_bracket_are_held_until_the_entry_has_filled(client, alpaca):
    entry = client.submit_order(build_linked_order(OrderClass.BRACKET))
    assert [leg.status.value for leg in entry.legs] == ["held", "held"]
    assert (list_open_orders(client), list_open_orders(client, nested=True)) == (["limit"], ["limit"])
    alpaca.exchange.fill(str(entry.id), "4", "150")
    assert read_legs(client, entry) == {"limit": "held", "stop": "held"}
    alpaca.exchange.fill(str(entry.id), "6", "150")
    assert read_legs(client, entry) == {"limit": "new", "stop": "held"}
    assert (list_open_orders(client), list_open_orders(client, nested=True)) == (["limit"], [])
    alpaca.exchange.quote("TSLA", "90", "91")
    assert read_legs(client, entry) == {"limit": "replaced", "stop": "filled"}


def test_exit_of_a_position_cancels_the_other_one(client, alpaca):
    bought = client.submit_order(build_linked_order(OrderClass.OTO, profit=None))
    alpaca.exchange.fill(str(bought.id), "10", "150")
    assert read_legs(client, bought) == {"stop": "new"}
    client.cancel_order_by_id(bought.legs[0].id)
    linked_order = client.submit_order(build_linked_order(OrderClass.OCO, OrderSide.SELL, price=None))
    assert (linked_order.status.value, linked_order.legs[0].status.value) == ("pending_new", "held")
    stop = client.replace_order_by_id(linked_order.legs[0].id, ReplaceOrderRequest(stop_price=95.0))
    alpaca.exchange.fill(str(linked_order.id), "10", "200")
    assert client.get_order_by_id(stop.id).status == "canceled"


def test_cancel_of_a_linked_order_cancels_the_others(client):
    entry = client.submit_order(build_linked_order(OrderClass.BRACKET))
    client.cancel_order_by_id(entry.legs[0].id)
    assert client.get_order_by_id(entry.id).status == "canceled"
    assert set(read_legs(client, entry).values()) == {"canceled"}


@pytest.mark.parametrize(
    "fields",
    [{"extended_hours": True}, {"qty": 1.5}, {"time_in_force": TimeInForce.FOK}, {"symbol": "BTC/USD"}],
)
def test_linked_orders_that_alpaca_does_not_take_are_refused(client, fields):
    order = build_linked_order(OrderClass.BRACKET).model_copy(update=fields)
    with pytest.raises(APIError):
        client.submit_order(order)


def test_quotes_and_bars_are_read(alpaca):
    data_client = StockHistoricalDataClient(KEY_ID, SECRET_KEY, url_override=alpaca.url)
    quotes = data_client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL"]))
    assert (quotes["AAPL"].bid_price, quotes["AAPL"].ask_price) == (189.98, 190.02)
    alpaca.market_data.add_bar("AAPL", "1Min", "2026-11-27T15:00:00Z", "99/101/98.5/100", "1500")
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Minute)
    (bar,) = data_client.get_stock_bars(request)["AAPL"]
    assert bar.open == 99
    assert bar.high == 101
    assert bar.low == 98.5
    assert bar.close == 100
    assert bar.volume == 1500
