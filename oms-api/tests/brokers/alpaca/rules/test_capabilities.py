"""Orders that Alpaca cannot execute are refused with a remedy."""

import pytest

from app.brokers.alpaca.rules.capabilities import (
    find_linked_replacement_refusal,
    find_refusal,
    find_replacement_refusal,
)
from app.brokers.alpaca.rules.requests import build_order
from app.brokers.alpaca.rules.responses import parse_order
from tests.brokers.alpaca.messages import ALPACA_ORDER
from tests.brokers.market import parse_order_text


@pytest.mark.parametrize(
    ("order_text", "symbol"),
    [
        ("BUY 10 MARKET", "AAPL"),
        ("BUY 10 TRAILING_STOP percent 5 GTC", "AAPL"),
        ("BUY 10 LIMIT limit 5 OPG", "AAPL"),
        ("BUY 0.5 STOP_LIMIT stop 5 limit 6", "AAPL"),
        ("BUY 0.5 LIMIT limit 5 GTC", "BTC/USD"),
        ("BUY 0.5 MARKET IOC", "BTC/USD"),
    ],
)
def test_possible_order_is_not_refused(order_text, symbol):
    assert find_refusal(parse_order_text(order_text, symbol=symbol)) is None


@pytest.mark.parametrize(
    ("order_text", "symbol", "refusal"),
    [
        (
            "BUY 10 MARKET GTD",
            "AAPL",
            "Alpaca has no GTD orders for us_equity: use CLS, DAY, FOK, GTC, IOC or OPG.",
        ),
        ("BUY 1 MARKET DAY", "BTC/USD", "Alpaca has no DAY orders for crypto: use GTC or IOC."),
        (
            "BUY 1 TRAILING_STOP trail 5 GTC",
            "BTC/USD",
            "Alpaca has no TRAILING_STOP orders for crypto: use LIMIT, MARKET or STOP_LIMIT.",
        ),
        ("BUY 1 STOP stop 5 CLS", "AAPL", "Alpaca's CLS orders must be LIMIT or MARKET."),
        (
            "BUY 0.5 LIMIT limit 5 GTC",
            "AAPL",
            "Alpaca takes fractions in DAY orders only: use a whole quantity or DAY.",
        ),
        (
            "BUY 0.5 TRAILING_STOP trail 5",
            "AAPL",
            "Alpaca takes fractions in LIMIT, MARKET, STOP or STOP_LIMIT orders only: use a whole quantity.",
        ),
    ],
)
def test_impossible_order_is_refused(order_text, symbol, refusal):
    assert find_refusal(parse_order_text(order_text, symbol=symbol)) == refusal


@pytest.mark.parametrize(
    ("order_text", "refusal"),
    [
        ("BUY 10 LIMIT limit 6", None),
        ("BUY 20 LIMIT limit 5", None),
        ("BUY 10 MARKET", "Alpaca cannot change the symbol, side or type of an order"),
        ("SELL 10 LIMIT limit 5", "Alpaca cannot change the symbol, side or type of an order"),
        ("BUY 10 LIMIT limit 5 GTD", "Alpaca has no GTD orders"),
    ],
)
def test_replacement_can_change_price_and_quantity_only(order_text, refusal):
    current = parse_order_text("BUY 10 LIMIT limit 5", symbol="AAPL")
    replacement_refusal = find_replacement_refusal(current, parse_order_text(order_text, symbol="AAPL"))
    assert replacement_refusal is None if refusal is None else (replacement_refusal or "").startswith(refusal)


def test_quantity_of_a_fractional_order_cannot_change():
    current = parse_order_text("BUY 0.5 LIMIT limit 5", symbol="AAPL")
    assert find_replacement_refusal(current, current._replace(id="B")) is None
    larger = parse_order_text("BUY 0.75 LIMIT limit 5", "B", symbol="AAPL")
    assert "quantity of a fractional order" in (find_replacement_refusal(current, larger) or "")


def test_extended_hours_need_a_limit_order_that_lasts():
    limit = parse_order_text("BUY 10 LIMIT limit 5", symbol="AAPL", extended_hours=True)
    assert find_refusal(limit) is None
    refusal = "Outside of regular hours Alpaca takes LIMIT orders that are DAY or GTC."
    assert find_refusal(parse_order_text("BUY 10 MARKET", symbol="AAPL", extended_hours=True)) == refusal
    assert (
        find_refusal(parse_order_text("BUY 10 LIMIT limit 5 IOC", symbol="AAPL", extended_hours=True))
        == refusal
    )
    assert find_refusal(parse_order_text("BUY 1 MARKET GTC", symbol="BTC/USD", extended_hours=True)) is None
    assert build_order(limit)["extended_hours"] is True
    assert "extended_hours" not in build_order(
        parse_order_text("BUY 1 MARKET GTC", symbol="BTC/USD", extended_hours=True)
    )


@pytest.mark.parametrize(
    ("filled", "quantity", "problem"),
    [("0", "10", None), ("0", "12", "only the prices"), ("2", "10", "in part")],
)
def test_linked_order_keeps_its_quantity(filled, quantity, problem):
    report = parse_order(ALPACA_ORDER | {"filled_qty": filled})
    refusal = find_linked_replacement_refusal(report, parse_order_text(f"SELL {quantity} STOP stop 80"))
    assert refusal is None if problem is None else problem in (refusal or "")
