"""Extremes of positions, recomputed naively from each tick, however often the record is extended."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.position_extremes import (
    Extremes,
    Holding,
    LedgerRow,
    PositionRecord,
    PriceHistory,
    PricePoint,
    extend_record,
    list_precise_minutes,
)
from app.market_data.rules.bars import Interval, fold_quotes, get_bar_start
from app.market_data.rules.values import Bar, Quote
from app.money import ZERO

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NEW = PositionRecord(0, NOON, Holding(), ZERO, None)


def at(seconds):
    return NOON + seconds * SECOND


def amounts(*numbers):
    return tuple(map(Decimal, numbers))


def row(sequence, seconds, quantity, price, before=None, charges=1, is_trade=True):
    """Return a ledger row that sets the position to `quantity` by a trade at `price`."""
    held = before or Holding()
    cost, realized = held.cost + (quantity - held.quantity) * price, held.realized_pnl
    if held.quantity * quantity < 0 or abs(quantity) < abs(held.quantity):  # closes: at average cost
        kept = quantity if held.quantity * quantity > 0 else 0
        released = held.cost * (held.quantity - kept) / held.quantity
        realized += (held.quantity - kept) * price - released
        cost = quantity * price if held.quantity * quantity < 0 else held.cost - released
    return LedgerRow(
        *(sequence, at(seconds), is_trade, Decimal(price), Decimal(charges)),
        Holding(*amounts(quantity, cost, realized)),
    )


def extremes_of(record):
    """Return the extremes of an open position."""
    assert record.extremes is not None
    return record.extremes


def history(*ticks, rate=None):
    """Return the bars and ticks of (second, price)."""
    quotes = [
        Quote("X", None, None, Decimal(price), None, None, at(second), "test") for second, price in ticks
    ]
    by_minute: dict[datetime, list[PricePoint]] = {}
    for second, price in ticks:
        minute = get_bar_start(at(second), Interval.MINUTE)
        by_minute.setdefault(minute, []).append(PricePoint(at(second), Decimal(price)))
    return PriceHistory(fold_quotes(quotes), by_minute, lambda _: rate)


def bars_of(*prices):
    bars = [Bar("X", NOON + MINUTE * number, *amounts(*one)) for number, one in enumerate(prices, 1)]
    return PriceHistory(bars, {}, lambda _: None)


def test_minute_of_the_opening_counts_only_ticks_after_it():
    prices = history((5, 150), (20, 110), (30, 90), (40, 105))
    record = extend_record(NEW, [row(1, 10, 100, 100)], prices, at(50))
    assert record.extremes == Extremes(*amounts(110, 90, 1000, 2000))
    assert (record.sequence, record.until) == (1, at(50))
    assert record.charges == 1


@pytest.mark.parametrize(
    ("quantity", "bar", "drawdown"),
    [
        (100, (100, 110, 90, 95), 2000),  # the high first
        (-100, (100, 110, 90, 95), 2000),  # the low first
        (100, (100, 100, 90, 110), 1000),
    ],
)
def test_favourable_extreme_of_a_bar_comes_first(quantity, bar, drawdown):
    record = extend_record(NEW, [row(1, 10, quantity, 100)], bars_of(bar), at(180))
    assert extremes_of(record).max_drawdown == drawdown
    assert record.until == at(180)


def test_close_counts_where_no_ticks_of_the_minute_are_kept():
    bar = Bar("X", NOON, *amounts(150, 160, 80, 104))
    prices = PriceHistory([bar], {}, lambda _: None)
    early = extend_record(NEW, [row(1, 10, 100, 100)], prices, at(50))
    assert early.extremes == Extremes(*amounts(100, 100, 0, 0))
    assert extend_record(early, [], prices, at(61)).extremes == Extremes(*amounts(104, 100, 400, 0))


def test_extremes_begin_again_through_zero_and_end_when_flat():
    first = row(1, 10, 100, 100)
    second = row(2, 130, -50, 120, first.holding)
    third = row(3, 250, 0, 110, second.holding)
    prices = bars_of((100, 140, 90, 120), (120, 120, 120, 120), (120, 130, 115, 118))
    through = extend_record(NEW, [first, second], prices, at(240))
    assert through.extremes == Extremes(*amounts(130, 115, 2250, 750))
    assert through.holding.realized_pnl == 2000
    flat = extend_record(through, [third], prices, at(260))
    assert flat.extremes is None
    assert flat.charges == 3
    assert flat.holding.realized_pnl == 2500


def test_reversal_changes_the_position_and_its_price_is_no_extreme():
    first = row(1, 10, 100, 100)
    undone = row(2, 20, 50, 7, first.holding, charges=-1, is_trade=False)
    opened = row(1, 10, 100, 7, is_trade=False)
    reduced = extend_record(NEW, [first, undone], bars_of(), at(30))
    assert extremes_of(reduced).lowest_price == 100
    assert reduced.charges == 0
    assert extremes_of(extend_record(NEW, [opened], bars_of(), at(30))).lowest_price == 7


def test_drawdown_is_in_the_currency_of_the_portfolio():
    opened = LedgerRow(1, at(10), True, Decimal(200), ZERO, Holding(*amounts(10, 167000, 0)))
    record = extend_record(NEW, [opened], history((20, 210), (30, 190), rate=Decimal("83.5")), at(50))
    assert record.extremes == Extremes(*amounts(210, 190, 8350, 16700))


def test_partial_minute_is_precise():
    assert list_precise_minutes(at(60), [row(1, 130, 1, 1)]) == {at(120)}
    assert list_precise_minutes(at(61), []) == {at(60)}


quantities = st.lists(st.sampled_from([-50, 0, 50, 100, 150]), min_size=1, max_size=6)


@given(
    quantities,
    st.lists(
        st.tuples(st.integers(0, 599), st.integers(1, 200)), max_size=40, unique_by=lambda tick: tick[0]
    ),
    st.lists(st.integers(0, 11), max_size=6),
    st.booleans(),
)
def test_extremes_equal_those_of_each_tick_however_the_record_was_extended(targets, ticks, stops, on_minutes):
    ticks = sorted(ticks)
    rows, holding = [], Holding()
    for number, quantity in enumerate(targets):
        if quantity != holding.quantity:
            rows.append(row(number + 1, 97 * number + 0.5, quantity, 50 + 7 * number, holding))
            holding = rows[-1].holding
    instants = sorted({stop * 60 if on_minutes else stop * 53 + 0.7 for stop in stops} | {660})
    record = NEW
    for instant in instants:
        seen = history(*(tick for tick in ticks if tick[0] < instant))
        bars = [bar for bar in seen.bars if bar.start >= get_bar_start(record.until, Interval.MINUTE)]
        new = [one for one in rows if one.sequence > record.sequence and one.at < at(instant)]
        record = extend_record(record, new, seen._replace(bars=bars), at(instant))
    whole = extend_record(NEW, rows, history(*ticks), at(660))
    assert record.holding == whole.holding == holding
    assert record.charges == len(rows)
    if not holding.quantity:
        assert record.extremes is whole.extremes is None
        return
    opening = next(one for one in reversed(rows) if is_opening(rows, one))
    trades = [one for one in rows if one.at >= opening.at]
    prices = [trade.price for trade in trades] + [price for second, price in ticks if at(second) > opening.at]
    stepwise, at_once = extremes_of(record), extremes_of(whole)
    for found in (stepwise, at_once):
        assert (found.highest_price, found.lowest_price) == (max(prices), min(prices))
        assert found.max_drawdown >= 0
    assert stepwise.peak_pnl >= at_once.peak_pnl
    assert stepwise.max_drawdown >= at_once.max_drawdown
    if on_minutes:
        assert stepwise == at_once


def is_opening(rows, one):
    place = rows.index(one)
    return place == 0 or rows[place - 1].holding.quantity * one.holding.quantity <= 0
