"""Kite's messages are parsed without floats and in India's time, and requests are forms of texts."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.order_reports import MalformedResponse
from app.brokers.rules.values import BrokerPosition, OrderType, TimeInForce
from app.brokers.zerodha.rules.requests import build_order
from app.brokers.zerodha.rules.responses import parse_account, parse_order, parse_positions, parse_trade
from app.brokers.zerodha.rules.sessions import build_checksum, build_login_address, build_stream_address
from app.ledger.rules.accounting import Side
from tests.brokers.malformed_values import find_escapes
from tests.brokers.market import parse_order_text

ORDER = {
    "order_id": "261127000000001", "tag": "T", "tradingsymbol": "RELIANCE", "transaction_type": "BUY",
    "order_type": "SL", "validity": "DAY", "quantity": 10, "filled_quantity": 0, "status": "TRIGGER PENDING",
    "status_message": None, "order_timestamp": "2026-11-27 09:18:57", "exchange_update_timestamp": None,
    "price": 1520.35, "trigger_price": 1520.3,
}  # fmt: skip
TRADE = {
    "trade_id": "75894751", "order_id": "261127000000001", "quantity": 4, "average_price": 1520.35,
    "fill_timestamp": "2026-11-27 09:18:58",
}  # fmt: skip


def read_record(record, **changes):
    """Return a record as the client reads it: numbers are exact."""
    return json.loads(json.dumps({**record, **changes}), parse_float=Decimal)


def parse_message(**changes):
    return parse_order(read_record(ORDER, **changes), lambda record: f"our {record['tag']}")


def test_order_is_parsed():
    report = parse_message()
    assert (report.broker_id, report.order_id, report.symbol) == ("261127000000001", "our T", "RELIANCE")
    assert (report.side, report.type, report.time_in_force) == (
        Side.BUY,
        OrderType.STOP_LIMIT,
        TimeInForce.DAY,
    )
    assert (report.limit_price, report.stop_price) == (Decimal("1520.35"), Decimal("1520.3"))
    assert report.submitted_at == report.changed_at == datetime(2026, 11, 27, 3, 48, 57, tzinfo=UTC)
    later = parse_message(
        exchange_update_timestamp="2026-11-27 09:20:00", validity="IOC", price=0, trigger_price=None
    )
    assert later.changed_at == datetime(2026, 11, 27, 3, 50, tzinfo=UTC)
    assert (later.limit_price, later.stop_price, later.time_in_force) == (None, None, TimeInForce.IOC)


@pytest.mark.parametrize(
    ("status", "filled", "expected", "is_open"),
    [
        ("PUT ORDER REQ RECEIVED", 0, "pending_new", True),
        ("VALIDATION PENDING", 0, "pending_new", True),
        ("OPEN", 0, "new", True),
        ("OPEN", 4, "partially_filled", True),
        ("UPDATE", 4, "partially_filled", True),
        ("TRIGGER PENDING", 0, "new", True),
        ("MODIFY PENDING", 0, "pending_replace", True),
        ("CANCEL PENDING", 4, "pending_cancel", True),
        ("COMPLETE", 10, "filled", False),
        ("CANCELLED", 4, "canceled", False),
        ("REJECTED", 0, "rejected", False),
        ("A NEW ONE", 0, "pending_new", True),
    ],
)
def test_statuses_are_translated(status, filled, expected, is_open):
    report = parse_message(status=status, filled_quantity=filled)
    assert (report.status, report.is_open) == (expected, is_open)
    assert report.filled == filled


def test_trade_is_unique_across_days_and_exchanges():
    fill = parse_trade(read_record(TRADE))
    assert fill.execution_id == "261127000000001-75894751"
    assert (fill.quantity, fill.price) == (Decimal(4), Decimal("1520.35"))
    other = parse_trade(
        read_record(TRADE, fill_timestamp=None, exchange_timestamp="2026-11-27T09:18:58+05:30")
    )
    assert other == fill


def test_positions_add_holdings_of_earlier_days_and_the_trades_of_the_day():
    holdings = [{"tradingsymbol": "INFY", "opening_quantity": 12, "average_price": Decimal("1500.5")}]
    net = [
        {"tradingsymbol": "INFY", "quantity": -2, "average_price": Decimal(1600)},
        {"tradingsymbol": "SBIN", "quantity": 0, "average_price": 0},
        {"tradingsymbol": "NIFTY26DECFUT", "quantity": -75, "average_price": Decimal("26000.05")},
    ]
    assert parse_positions(holdings, net, 1) == [
        BrokerPosition(1, "INFY", Decimal(10), Decimal(14806)),
        BrokerPosition(1, "NIFTY26DECFUT", Decimal(-75), Decimal("-1950003.75")),
    ]


@pytest.mark.parametrize(("user_type", "is_paper"), [("individual", False), ("paper", True)])
def test_only_a_connection_to_a_stand_in_is_paper(user_type, is_paper):
    margins = {"net": Decimal("99.5"), "available": {"live_balance": 100}}
    account = parse_account({"user_id": "AB1234", "user_type": user_type}, margins)
    assert (account.number, account.is_paper, account.currency) == ("AB1234", is_paper, "INR")
    assert (account.cash, account.buying_power) == (Decimal(100), Decimal("99.5"))


def test_other_messages_are_refused():
    with pytest.raises(MalformedResponse, match="an order"):
        parse_message(status=None, quantity="NaN")
    with pytest.raises(MalformedResponse, match="a trade"):
        parse_trade({})
    with pytest.raises(MalformedResponse, match="a position"):
        parse_positions([{}], [], 1)
    with pytest.raises(MalformedResponse, match="the account"):
        parse_account({}, {})


def test_order_is_a_form():
    limited = parse_order_text("BUY 10 LIMIT limit 95.50 IOC", symbol="RELIANCE")
    assert build_order(limited, Decimal(4), "TAG") == {
        "exchange": "NSE", "tradingsymbol": "RELIANCE", "transaction_type": "BUY", "order_type": "LIMIT",
        "quantity": "4", "product": "CNC", "validity": "IOC", "tag": "TAG", "price": "95.5",
    }  # fmt: skip


def test_market_and_stop_orders_have_market_protection():
    assert build_order(parse_order_text("BUY 10 MARKET"), Decimal(10), "T")["market_protection"] == "-1"
    stop = build_order(parse_order_text("SELL 10 STOP stop 95"), Decimal(10), "T")
    assert (stop["order_type"], stop["market_protection"], stop["trigger_price"]) == ("SL-M", "-1", "95")
    both = build_order(parse_order_text("SELL 10 STOP_LIMIT limit 94 stop 95"), Decimal(10), "T")
    assert (both["order_type"], both["price"], both["trigger_price"]) == ("SL", "94", "95")
    assert "market_protection" not in both


def test_login_and_stream_addresses_follow_the_base_address():
    live, local = "https://api.kite.trade", "http://127.0.0.1:3021/"
    assert build_login_address(live, "key") == "https://kite.zerodha.com/connect/login?v=3&api_key=key"
    assert build_login_address(local, "key") == "http://127.0.0.1:3021/connect/login?v=3&api_key=key"
    assert build_stream_address(live, "key", "t") == "wss://ws.kite.trade?api_key=key&access_token=t"
    assert build_stream_address(local, "key", "t") == "ws://127.0.0.1:3021/?api_key=key&access_token=t"


def test_checksum_equals_the_example_of_the_documentation():
    assert build_checksum("a", "b", "c") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_malformed_message_raises_nothing_else():
    position = {"tradingsymbol": "RELIANCE", "opening_quantity": 1, "quantity": 1, "average_price": 10}
    account = {"available": {"live_balance": 1}, "net": 1}
    profile = {"user_id": "AB1234", "user_type": "individual"}
    for parse, message in (
        (lambda json: parse_order(json, lambda _: "A"), read_record(ORDER)),
        (parse_trade, read_record(TRADE)),
        (lambda json: parse_positions([json], [json], 1), position),
        (lambda json: parse_account(profile, json), account),
        (lambda json: parse_account(json, account), profile),
    ):
        parse(message)
        assert find_escapes(parse, message) == []
