"""The valid prices of exits, relative to their entry and to the market."""

from decimal import Decimal

import pytest

from app.orders.rules.exit_prices import (
    compute_nearest_exit_price,
    fills_at_once,
    find_triggering_price,
    find_unprofitable_price,
    get_trigger_price,
    is_tightened,
    list_entry_prices,
    round_to_tick,
    sort_for_sending,
    sort_pairs_for_sending,
)
from app.orders.rules.order_factory import Placement, build_order_from_ticket
from app.orders.rules.values import Role
from app.risk.rules.values import Prices
from app.timestamps import Timestamp
from tests.orders.writer_harness import build_ticket

QUOTE = Prices(Decimal(99), Decimal(101), Decimal(100))
NO_LAST = Prices(Decimal(99), Decimal(101), None)
HOME = Placement(1, 1, "key", None, Timestamp("2026-11-20T12:00:00.000000Z"))
LEVELS = [Decimal(101), Decimal(95)]


def build_order(role=None, **terms):
    return build_order_from_ticket("O1", HOME, build_ticket(**terms), Decimal(10))._replace(role=role)


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
def test_entry_fill_price_is_its_own_price_or_the_quote(terms, prices, levels):
    assert list_entry_prices(build_order(**terms), prices) == levels


def test_sell_limit_fills_immediately_when_the_bid_reaches_it():
    assert fills_at_once(build_order(side="SELL", type="LIMIT", limit_price="99"), QUOTE)
    assert not fills_at_once(build_order(side="SELL", type="LIMIT", limit_price="99.01"), QUOTE)


def test_stop_is_triggered_by_the_last_price_or_else_by_its_quote_side():
    assert get_trigger_price(build_order(side="SELL"), QUOTE) == 100
    assert get_trigger_price(build_order(side="SELL"), NO_LAST) == 99


def test_find_triggering_price_returns_a_stop_price_that_is_already_triggered():
    stop = build_order(side="SELL", type="STOP", stop_price="95")
    assert find_triggering_price(stop, LEVELS) == 95
    assert find_triggering_price(stop, LEVELS[:1]) is None
    assert find_triggering_price(stop._replace(is_triggered=True), LEVELS) is None
    assert find_triggering_price(build_order(), LEVELS) is None


@pytest.mark.parametrize(
    ("stop_price", "limit_price", "last"),
    [("90", "110", "LIMIT"), ("100", "110", "STOP"), ("99", "110", "STOP"), ("90", "99", "LIMIT")],
)
def test_order_of_a_pair_that_the_market_has_reached_is_sent_last(stop_price, limit_price, last):
    target = build_order(side="SELL", type="LIMIT", limit_price=limit_price)
    stop = build_order(side="SELL", type="STOP", stop_price=stop_price)
    assert sort_for_sending([stop, target], QUOTE)[-1].type == last
    assert sort_for_sending([stop, target], Prices()) == [stop, target]
    alone, shared = target._replace(id="A"), {"role": Role.EITHER, "group_id": "T"}
    pair_orders = [target._replace(id="T", **shared), stop._replace(id="S", **shared)]
    released = sort_pairs_for_sending([pair_orders[0], alone, pair_orders[1]], QUOTE)
    assert released == [*sort_for_sending(pair_orders, QUOTE), alone]


@pytest.mark.parametrize(
    ("is_above", "tick", "nearest"),
    [
        (True, "0.05", "101.05"),
        (False, "0.05", "94.95"),
        (True, "2", "102"),
        (False, "2", "94"),
        (False, "96", None),
    ],
)
def test_nearest_valid_exit_price_is_beyond_all_reference_prices(is_above, tick, nearest):
    price = compute_nearest_exit_price(LEVELS, Decimal(tick), is_above=is_above)
    assert price == (nearest and Decimal(nearest))


def test_take_profit_without_profit_is_detected():
    target = build_order(Role.TAKE_PROFIT, side="SELL", type="LIMIT", limit_price="101")
    assert find_unprofitable_price(target, LEVELS) == 101
    assert find_unprofitable_price(target, LEVELS[1:]) is None
    assert find_unprofitable_price(target._replace(role=None), LEVELS) is None


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
def test_off_tick_price_is_rounded_away_from_the_market(terms, rounded):
    expected = {name: Decimal(value) for name, value in rounded.items()}
    assert round_to_tick(build_order(**terms), Decimal("0.05")) == expected


@pytest.mark.parametrize(
    ("side", "before", "after", "is_so"),
    [
        ("SELL", {"stop_price": "90"}, {"stop_price": "95"}, True),
        ("SELL", {"stop_price": "90"}, {"stop_price": "89"}, False),
        ("BUY", {"stop_price": "110"}, {"stop_price": "105"}, True),
        ("BUY", {"stop_price": "110"}, {"stop_price": "111"}, False),
        ("SELL", {"limit_price": "120"}, {"limit_price": "115"}, True),
        ("SELL", {"limit_price": "120"}, {"limit_price": "121"}, False),
        ("BUY", {"limit_price": "80"}, {"limit_price": "85"}, True),
        ("SELL", {"stop_price": "90"}, {"stop_price": "90", "quantity": "9"}, True),
        ("SELL", {"stop_price": "90"}, {"stop_price": "95", "quantity": "11"}, False),
        ("SELL", {"stop_price": "90", "limit_price": "89"}, {"stop_price": "95", "limit_price": "94"}, True),
        ("SELL", {"stop_price": "90", "limit_price": "89"}, {"stop_price": "95", "limit_price": "88"}, False),
        ("SELL", {"trail_amount": "5"}, {"trail_amount": "4"}, True),
        ("SELL", {"trail_amount": "5"}, {"trail_amount": "6"}, False),
        ("SELL", {"trail_percent": "5"}, {"trail_percent": "4"}, True),
        ("SELL", {"trail_percent": "5"}, {"trail_amount": "1"}, False),
        ("SELL", {"trail_percent": "5", "level": "95"}, {"trail_amount": "1", "level": "99"}, True),
        ("BUY", {"trail_percent": "5", "level": "105"}, {"trail_amount": "6", "level": "106"}, False),
    ],
)
def test_tightened_exit_is_recognized(side, before, after, is_so):
    previous, current = (_exit(side, dict(terms)) for terms in (before, after))
    assert is_tightened(previous, current) is is_so


def test_changed_expiry_is_not_a_tightened_exit():
    stop = _exit("SELL", {"stop_price": "90"})
    assert not is_tightened(stop, stop._replace(ends_at="2026-11-21T00:00:00.000000Z"))


def _exit(side, terms):
    level, quantity = terms.pop("level", None), Decimal(terms.pop("quantity", "10"))
    kind = {"stop_price": "STOP", "limit_price": "LIMIT"}.get(next(iter(terms)), "TRAILING_STOP")
    order = build_order(
        side=side, type="STOP_LIMIT" if len(terms) > 1 else kind, time_in_force="GTC", **terms
    )
    return order._replace(quantity=quantity, trail_level=None if level is None else Decimal(level))
