"""Exposure of positions and working orders, compared with a simple sum."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.risk.rules.exposure import (
    add_totals,
    build_symbol_exposure,
    compute_totals,
    convert_totals,
    find_order_price,
    get_reducible_quantity,
    get_reference_price,
    get_touch_price,
    replace_totals,
    subtract_totals,
    sum_totals,
)
from app.risk.rules.values import NO_TOTALS, Prices, SymbolExposure
from tests.risk.check_inputs import build_order, build_working_order

QUOTED = Prices(Decimal(99), Decimal(101), Decimal(100))
LAST = Prices(last=Decimal(100))
sides = st.sampled_from(["BUY", "SELL"])
resting = st.builds(
    lambda side, leaves, limit: build_working_order(side, str(leaves), str(limit)),
    sides,
    st.integers(1, 50),
    st.integers(50, 150),
)
books = st.builds(
    lambda position, orders: build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED),
    st.integers(-100, 100),
    st.lists(resting, max_size=6),
)


def test_reference_price_is_the_midpoint_or_else_the_last_price():
    assert get_reference_price(QUOTED._replace(ask=Decimal(104))) == Decimal("101.5")
    assert get_reference_price(LAST) == 100
    assert get_reference_price(Prices(bid=Decimal(99))) is None


def test_market_order_price_is_the_opposite_side_or_else_the_last_price():
    assert [get_touch_price("BUY", QUOTED), get_touch_price("SELL", QUOTED)] == [101, 99]
    assert [
        get_touch_price("BUY", LAST),
        get_touch_price("SELL", LAST),
        get_touch_price("BUY", Prices()),
    ] == [100, 100, None]


def test_order_value_uses_limit_then_stop_then_opposite_quote_side():
    assert find_order_price(build_order(type="LIMIT", limit_price="95"), QUOTED) == 95
    assert (
        find_order_price(build_order(type="STOP_LIMIT", stop_price="105", limit_price="106"), QUOTED) == 106
    )
    assert find_order_price(build_order(type="STOP", stop_price="105"), QUOTED) == 105
    assert find_order_price(build_order(type="STOP", stop_price="105", is_triggered=True), QUOTED) == 101
    assert find_order_price(build_order(), QUOTED) == 101


@given(st.integers(-100, 100), st.lists(resting, max_size=8))
def test_exposure_sums_working_orders(position, orders):
    book = build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED)
    buys = [order for order in orders if order.side == "BUY"]
    sells = [order for order in orders if order.side == "SELL"]
    assert book.buy_quantity == sum(buy.leaves for buy in buys)
    assert book.buy_value == sum(buy.leaves * buy.limit_price for buy in buys)
    assert book.sell_quantity == sum(sell.leaves for sell in sells)
    assert book.sell_value == sum(sell.leaves * sell.limit_price for sell in sells)
    assert book.orders == len(orders)
    assert book.lowest_offer == min((sell.limit_price for sell in sells), default=None)
    assert book.highest_bid == max((buy.limit_price for buy in buys), default=None)
    units = [sell.limit_price for sell in sells for _ in range(int(sell.leaves))]
    assert book.shorting_value == sum(units[max(position, 0) :])


def test_order_without_a_price_is_valued_at_the_mark():
    market = build_working_order("BUY", "3", type="MARKET")
    assert build_symbol_exposure(Decimal(0), Decimal(50), [market]).buy_value == 150
    assert build_symbol_exposure(Decimal(0), None, [market]).buy_value == 0


def test_larger_order_of_an_exclusive_pair_counts_on_each_side():
    pair_orders = [
        build_working_order("SELL", "10", "120", oco_group_id="G1"),
        build_working_order("SELL", "10", "80", oco_group_id="G1"),
        build_working_order("BUY", "10", "70", oco_group_id="G1"),
    ]
    for orders in (pair_orders, pair_orders[::-1]):
        book = build_symbol_exposure(Decimal(0), Decimal(100), orders, QUOTED)
        assert [book.sell_quantity, book.sell_value, book.buy_value] == [10, 1200, 700]
        assert book.shorting_value == 1200
    assert (
        build_symbol_exposure(
            Decimal(0), Decimal(100), pair_orders, QUOTED, build_order(oco_group_id="G1")
        ).sell_value
        == 0
    )


@given(st.lists(books, max_size=5), books, books)
def test_book_of_a_sum_can_be_replaced(several, previous, current):
    total = sum_totals([*several, previous])
    assert replace_totals(total, compute_totals(previous), compute_totals(current)) == sum_totals(
        [*several, current]
    )
    assert replace_totals(total, NO_TOTALS, compute_totals(current)) == sum_totals(
        [*several, previous, current]
    )


@given(st.lists(books, max_size=5), books)
def test_exposure_totals_can_be_added_and_subtracted(several, exposure):
    assert subtract_totals(sum_totals([*several, exposure]), sum_totals([exposure])) == sum_totals(several)
    assert add_totals(sum_totals(several), sum_totals([exposure])) == sum_totals([exposure, *several])
    assert sum_totals([]) == NO_TOTALS


@given(st.integers(-100, 100), st.lists(resting, max_size=4))
def test_gross_and_net_exposure_assume_the_worst_case_of_working_orders(position, orders):
    totals = sum_totals([build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED)])
    outcomes = {Decimal(position) * 100}
    for order in orders:
        signed_value = order.leaves * order.limit_price * (1 if order.side == "BUY" else -1)
        outcomes |= {outcome + signed_value for outcome in outcomes}
    assert totals.net_high == max(outcomes)
    assert totals.net_low == min(outcomes)
    assert totals.gross == max(abs(outcome) for outcome in outcomes)
    assert totals.shorts == max(-position * 100, 0)


def test_position_without_a_mark_has_no_value():
    assert sum_totals([SymbolExposure(Decimal(5))]).gross == 0


@given(st.integers(-100, 100), st.lists(resting, max_size=6), st.integers(1, 100))
def test_exposure_scales_with_the_exchange_rate(position, orders, rate):
    own = build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED)
    local = build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED, rate=Decimal(rate))
    assert compute_totals(local) == convert_totals(compute_totals(own), Decimal(rate))
    assert (local.buy_quantity, local.lowest_offer) == (own.buy_quantity, own.lowest_offer)


@pytest.mark.parametrize(
    ("position", "side", "judged", "expected"),
    [
        (10, "SELL", None, (10, 7, 0, 7)),  # 3 by the plain order; 7 of 10 are left to the exit
        (10, "SELL", build_order(side="SELL", quantity="2"), (8, 5, 0, 7)),
        (10, "SELL", build_order(side="BUY", quantity="2"), (10, 7, 0, 7)),
        (10, "SELL", build_order(side="SELL", quantity="20"), (3, 0, 0, 7)),
        (2, "SELL", None, (3, 0, 100, 0)),
        (-10, "BUY", None, (10, 7, 0, 7)),
    ],
)
def test_exits_count_only_beyond_the_quantity_that_other_orders_close(position, side, judged, expected):
    orders = [build_working_order(side, "10", "100", is_exit=True), build_working_order(side, "3", "100")]
    book = build_symbol_exposure(Decimal(position), Decimal(100), orders, QUOTED, judged)
    quantity, exits = (
        (book.sell_quantity, book.sell_exits) if side == "SELL" else (book.buy_quantity, book.buy_exits)
    )
    assert (quantity, exits, book.shorting_value, get_reducible_quantity(book, side)) == expected
    assert (book.sell_value if side == "SELL" else book.buy_value) == quantity * 100
