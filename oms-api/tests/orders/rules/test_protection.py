"""Where exits must lie of their entries and of the market."""

from decimal import Decimal

import pytest

from app.orders.rules.making import Home, new_order
from app.orders.rules.protection import (
    entry_prices,
    fills_at_once,
    on_tick,
    reached_stop,
    unprofitable_target,
    watched_by,
)
from app.orders.rules.values import Role
from app.risk.rules.values import Prices
from tests.orders.rig import ticket

QUOTE = Prices(Decimal(99), Decimal(101), Decimal(100))
NO_LAST = Prices(Decimal(99), Decimal(101), None)
HOME = Home(1, 1, "key", None, "2026-11-20T12:00:00.000000Z")
LEVELS = [Decimal(101), Decimal(95)]


def order(role=None, **terms):
    return new_order("O1", HOME, ticket(**terms), Decimal(10))._replace(role=role)


@pytest.mark.parametrize(
    ("terms", "prices", "levels"),
    [
        ({}, QUOTE, [101]),
        ({"side": "SELL"}, QUOTE, [99]),
        ({}, Prices(), []),
        ({"type": "LIMIT", "limit_price": "95"}, QUOTE, [95]),
        ({"type": "LIMIT", "limit_price": "105"}, QUOTE, [105, 101]),
        ({"type": "STOP_LIMIT", "limit_price": "106", "stop_price": "105"}, QUOTE, [106, 105]),
        ({"type": "TRAILING_STOP", "trail_amount": "2"}, QUOTE, []),
    ],
)
def test_an_entry_fills_at_its_own_prices_or_at_the_quote(terms, prices, levels):
    assert entry_prices(order(**terms), prices) == levels


def test_a_sell_limit_fills_at_once_where_the_bid_reaches_it():
    assert fills_at_once(order(side="SELL", type="LIMIT", limit_price="99"), QUOTE)
    assert not fills_at_once(order(side="SELL", type="LIMIT", limit_price="99.01"), QUOTE)


def test_a_stop_watches_the_last_price_else_its_side():
    assert watched_by(order(side="SELL"), QUOTE) == 100
    assert watched_by(order(side="SELL"), NO_LAST) == 99


def test_the_price_that_triggers_a_stop_is_found():
    stop = order(side="SELL", type="STOP", stop_price="95")
    assert reached_stop(stop, LEVELS) == 95
    assert reached_stop(stop, LEVELS[:1]) is None
    assert reached_stop(stop._replace(is_triggered=True), LEVELS) is None
    assert reached_stop(order(), LEVELS) is None


def test_a_target_without_profit_is_found():
    target = order(Role.TAKE_PROFIT, side="SELL", type="LIMIT", limit_price="101")
    assert unprofitable_target(target, LEVELS) == 101
    assert unprofitable_target(target, LEVELS[1:]) is None
    assert unprofitable_target(target._replace(role=None), LEVELS) is None


@pytest.mark.parametrize(
    ("terms", "rounded"),
    [
        ({"side": "SELL", "type": "LIMIT", "limit_price": "110.03"}, {"limit_price": "110.05"}),
        ({"side": "BUY", "type": "LIMIT", "limit_price": "90.03"}, {"limit_price": "90"}),
        ({"side": "SELL", "type": "STOP", "stop_price": "90.03"}, {"stop_price": "90"}),
        ({"side": "BUY", "type": "STOP", "stop_price": "110.03"}, {"stop_price": "110.05"}),
        ({"side": "SELL", "type": "STOP", "stop_price": "0.03"}, {"stop_price": "0.05"}),
        ({"side": "SELL", "type": "STOP", "stop_price": "90.05"}, {}),
    ],
)
def test_a_price_off_the_tick_is_rounded_away_from_the_market(terms, rounded):
    expected = {name: Decimal(value) for name, value in rounded.items()}
    assert on_tick(order(**terms), Decimal("0.05")) == expected
