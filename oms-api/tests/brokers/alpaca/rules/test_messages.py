"""Alpaca's messages are parsed without floats, and requests carry texts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.brokers.alpaca.rules.requests import build_order, build_replacement
from app.brokers.alpaca.rules.responses import (
    format_client_order_id,
    parse_account,
    parse_activity,
    parse_order,
    parse_order_id,
    parse_position,
    parse_update,
)
from app.brokers.rules.order_reports import MalformedResponse, parse_amount, parse_time
from tests.brokers.alpaca.messages import ALPACA_ORDER
from tests.brokers.malformed_values import find_escapes
from tests.brokers.market import parse_order_text


def test_broker_order_is_parsed_to_our_terms():
    report = parse_order(ALPACA_ORDER)
    broker_order = report.build_order(7)
    assert report.is_open
    assert not report.is_waiting_for_entry
    assert broker_order.id == "O1"
    assert broker_order.portfolio_id == 7
    assert broker_order.quantity == Decimal(10)
    assert broker_order.leaves == Decimal("7.5")
    assert (broker_order.stop_price, broker_order.trail_level, broker_order.trail_amount) == (
        None,
        Decimal("181.45"),
        Decimal(2),
    )
    assert broker_order.accepted_at == datetime(2026, 11, 27, 15, 0, 0, 123456, UTC)


@pytest.mark.parametrize("missing", ["id", "client_order_id", "side", "status", "filled_qty"])
def test_order_without_a_required_field_is_malformed(missing):
    with pytest.raises(MalformedResponse):
        parse_order({name: value for name, value in ALPACA_ORDER.items() if name != missing})


@pytest.mark.parametrize(
    "changes", [{"side": "hold"}, {"filled_qty": "NaN"}, {"filled_qty": 1.5}, {"qty": "x"}]
)
def test_order_with_an_unknown_value_is_malformed(changes):
    with pytest.raises(MalformedResponse):
        parse_order(ALPACA_ORDER | changes)


@pytest.mark.parametrize("amount", [1.1, True, None, "Infinity", "ten", []])
def test_amounts_are_never_floats(amount):
    with pytest.raises(ValueError, match="not an amount"):
        parse_amount(amount)


def test_activity_has_the_execution_id_of_the_stream():
    fill = parse_activity(
        {
            "id": "20261127150001000::88b5a5e1-9d7c-4a55-8b5e-4b3b0c1f8a11",
            "order_id": ALPACA_ORDER["id"],
            "qty": "0.1",
            "price": "181.005",
            "transaction_time": "2026-11-27T15:00:01Z",
        }
    )
    assert fill.execution_id == "88b5a5e1-9d7c-4a55-8b5e-4b3b0c1f8a11"
    assert (fill.quantity, fill.price) == (Decimal("0.1"), Decimal("181.005"))


def test_update_without_a_price_has_no_fill():
    update = parse_update({"event": "new", "order": ALPACA_ORDER, "execution_id": "1"})
    assert update.fill is None
    assert update.at == datetime(2026, 11, 27, 15, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "update", [{}, {"event": "fill"}, {"event": "fill", "order": ALPACA_ORDER, "price": "1", "qty": "1"}]
)
def test_update_without_a_required_field_is_malformed(update):
    with pytest.raises(MalformedResponse):
        parse_update(update)


@pytest.mark.parametrize(
    ("fields", "symbol", "quantity", "cost"),
    [
        ({"symbol": "AAPL", "side": "long", "qty": "5", "cost_basis": "500"}, "AAPL", "5", "500"),
        ({"symbol": "AAPL", "side": "short", "qty": "-5", "cost_basis": "-500"}, "AAPL", "-5", "-500"),
        ({"symbol": "AAPL", "side": "short", "qty": "5", "cost_basis": "500"}, "AAPL", "-5", "-500"),
        ({"symbol": "BTCUSD", "asset_class": "crypto", "qty": "1", "cost_basis": "2"}, "BTC/USD", "1", "2"),
        ({"symbol": "BTC/USD", "asset_class": "crypto", "qty": "1", "cost_basis": "2"}, "BTC/USD", "1", "2"),
        ({"symbol": "ETHUSDT", "asset_class": "crypto", "qty": "1", "cost_basis": "2"}, "ETH/USDT", "1", "2"),
        ({"symbol": "ODD", "asset_class": "crypto", "qty": "1", "cost_basis": "2"}, "ODD", "1", "2"),
    ],
)
def test_position_is_signed(fields, symbol, quantity, cost):
    holding = parse_position(fields, 7)
    assert holding.portfolio_id == 7
    assert holding.symbol == symbol
    assert holding.quantity == Decimal(quantity)
    assert holding.cost == Decimal(cost)


@pytest.mark.parametrize(("number", "is_paper"), [("PA3XYZ", True), ("123456789", False)])
def test_account_number_distinguishes_paper_from_live(number, is_paper):
    account = parse_account({"account_number": number, "cash": "10.01", "buying_power": "20"})
    assert (account.currency, account.cash, account.is_paper) == ("USD", Decimal("10.01"), is_paper)


@pytest.mark.parametrize("parse", [parse_account, parse_activity, lambda json: parse_position(json, 1)])
def test_other_responses_without_fields_are_malformed(parse):
    with pytest.raises(MalformedResponse):
        parse({})


def test_time_without_a_zone_is_utc():
    assert parse_time("2026-11-27T15:00:00") == datetime(2026, 11, 27, 15, tzinfo=UTC)
    assert parse_time("2026-11-27T10:00:00-05:00") == datetime(2026, 11, 27, 15, tzinfo=UTC)


def test_order_is_sent_with_texts():
    assert build_order(
        parse_order_text("SELL 0.50 STOP_LIMIT stop 1E+2 limit 99.10 GTC", "O1", symbol="AAPL")
    ) == {
        "client_order_id": "O1",
        "symbol": "AAPL",
        "qty": "0.5",
        "side": "sell",
        "type": "stop_limit",
        "time_in_force": "gtc",
        "stop_price": "100",
        "limit_price": "99.1",
    }


@pytest.mark.parametrize(
    ("order_text", "leaves", "fields"),
    [
        ("SELL 10 LIMIT limit 5", "6", {"qty": "6", "limit_price": "5"}),
        ("SELL 10 TRAILING_STOP trail 2", "10", {"qty": "10", "trail": "2"}),
        ("SELL 10 TRAILING_STOP percent 5", "10", {"qty": "10", "trail": "5"}),
        ("SELL 0.5 LIMIT limit 5", "0.5", {"limit_price": "5"}),
    ],
)
def test_replacement_has_the_unfilled_quantity_if_it_is_whole(order_text, leaves, fields):
    body = build_replacement(parse_order_text(order_text, "O2", symbol="AAPL"), Decimal(leaves))
    assert body == {"client_order_id": "O2", "time_in_force": "day"} | fields


@pytest.mark.parametrize(
    ("client_order_id", "order_id"),
    [
        ("7b08df51-c1ac-453c-99f9-323a5f075f0d", "7b08df51c1ac453c99f9323a5f075f0d"),
        ("O17951760030000001334d5409", "O17951760030000001334d5409"),
        ("my-order", "my-order"),
    ],
)
def test_id_of_another_program_fits_ours_and_is_found_again(client_order_id, order_id):
    assert parse_order_id(client_order_id) == order_id
    assert format_client_order_id(order_id) == client_order_id


LIMIT, STOP = (
    parse_order_text("SELL 10 LIMIT limit 120 GTC", "T"),
    parse_order_text("SELL 10 STOP_LIMIT stop 80 limit 79.5 GTC", "S"),
)
_TAKE_PROFIT, _STOP_LOSS = {"limit_price": "120"}, {"stop_price": "80", "limit_price": "79.5"}


@pytest.mark.parametrize(
    ("first", "linked", "fields"),
    [
        ("BUY 10 MARKET", (LIMIT, STOP), ("bracket", _TAKE_PROFIT, _STOP_LOSS)),
        ("BUY 10 MARKET", (STOP,), ("oto", None, _STOP_LOSS)),
        ("BUY 10 MARKET", (LIMIT,), ("oto", _TAKE_PROFIT, None)),
        ("SELL 10 LIMIT limit 120 GTC", (STOP,), ("oco", _TAKE_PROFIT, _STOP_LOSS)),
        ("SELL 10 LIMIT limit 120 GTC", (), (None, None, None)),
    ],
)
def test_linked_orders_are_sent_in_one_request(first, linked, fields):
    body = build_order(parse_order_text(first, linked_orders=linked))
    assert tuple(body.get(name) for name in ("order_class", "take_profit", "stop_loss")) == fields
    assert ("limit_price" in body) is (body["type"] == "limit" and fields[0] != "oco")


def test_only_the_prices_of_linked_orders_are_replaced():
    assert build_replacement(STOP, Decimal(10), is_linked=True) == {"client_order_id": "S", **_STOP_LOSS}


def test_legs_are_parsed_with_their_order():
    report = parse_order(
        ALPACA_ORDER
        | {"order_class": "bracket", "legs": [ALPACA_ORDER | {"id": "2", "order_class": "bracket"}]}
    )
    assert (report.order_class, [leg.broker_id for leg in report.legs]) == ("bracket", ["2"])
    assert parse_order(ALPACA_ORDER | {"order_class": "simple", "legs": None}).order_class == ""


ACTIVITY = {
    "id": "20261127::e1", "order_id": "o1", "qty": "1", "price": "10",
    "transaction_time": "2026-11-27T15:00:00Z",
}  # fmt: skip
POSITION = {"symbol": "AAPL", "qty": "1", "cost_basis": "10", "side": "long", "asset_class": "us_equity"}
UPDATE = {
    "event": "fill", "order": ALPACA_ORDER, "price": "10", "qty": "1", "execution_id": "e1",
    "timestamp": None, "previous_execution_id": None, "reason": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (parse_order, ALPACA_ORDER | {"legs": [ALPACA_ORDER]}),
        (parse_update, UPDATE),
        (parse_activity, ACTIVITY),
        (lambda json: parse_position(json, 1), POSITION),
        (parse_account, {"account_number": "PA1", "cash": "1", "buying_power": "1", "currency": "USD"}),
    ],
)
def test_malformed_message_raises_nothing_else(parse, message):
    parse(message)
    assert find_escapes(parse, message) == []


@pytest.mark.parametrize("change", [{"qty": "-1"}, {"qty": "0"}, {"price": "-10"}, {"price": "1e400"}])
def test_fill_that_cannot_be_is_malformed(change):
    for parse, message in ((parse_activity, ACTIVITY), (parse_update, UPDATE)):
        with pytest.raises(MalformedResponse):
            parse(message | change)


def test_long_client_order_id_of_another_program_gives_way_to_the_id_of_alpaca():
    assert parse_order(ALPACA_ORDER | {"client_order_id": "x" * 128}).order_id == (
        "7b08df51c1ac453c99f9323a5f075f0d"
    )


def test_legs_have_no_legs():
    deep: dict[str, Any] = dict(ALPACA_ORDER)
    for _ in range(300):
        deep = ALPACA_ORDER | {"legs": [deep]}
    [leg] = parse_order(deep).legs
    assert leg.legs == ()
