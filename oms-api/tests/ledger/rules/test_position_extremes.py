"""Extremes of positions, recomputed naively from each tick, however often the record is extended."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.ledger.rules.position_extremes import (
    Extremes,
    LedgerRow,
    PositionAfterRow,
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
NEW = PositionRecord(0, NOON, PositionAfterRow(), ZERO, None)


def to_instant(seconds):
    return NOON + seconds * SECOND


def to_decimals(*numbers):
    return tuple(map(Decimal, numbers))


def build_row(sequence, seconds, quantity, price, before=None, charges=1, is_trade=True):
    """Return a ledger row that sets the position to `quantity` by a trade at `price`."""
    state = before or PositionAfterRow()
    cost, realized = state.cost + (quantity - state.quantity) * price, state.realized_pnl
    if state.quantity * quantity < 0 or abs(quantity) < abs(state.quantity):  # closes: at average cost
        kept_quantity = quantity if state.quantity * quantity > 0 else 0
        released = state.cost * (state.quantity - kept_quantity) / state.quantity
        realized += (state.quantity - kept_quantity) * price - released
        cost = quantity * price if state.quantity * quantity < 0 else state.cost - released
    return LedgerRow(
        *(sequence, to_instant(seconds), is_trade, Decimal(price), Decimal(charges)),
        PositionAfterRow(*to_decimals(quantity, cost, realized)),
    )


def compute_extremes(record):
    """Return the extremes of an open position."""
    assert record.extremes is not None
    return record.extremes


def build_history(*ticks, rate=None):
    """Return the bars and ticks of (second, price)."""
    quotes = [
        Quote("X", None, None, Decimal(price), None, None, to_instant(second), "test")
        for second, price in ticks
    ]
    by_minute: dict[datetime, list[PricePoint]] = {}
    for second, price in ticks:
        minute = get_bar_start(to_instant(second), Interval.MINUTE)
        by_minute.setdefault(minute, []).append(PricePoint(to_instant(second), Decimal(price)))
    return PriceHistory(fold_quotes(quotes), by_minute, lambda _: rate)


def build_bars(*prices):
    bars = [Bar("X", NOON + MINUTE * number, *to_decimals(*price)) for number, price in enumerate(prices, 1)]
    return PriceHistory(bars, {}, lambda _: None)


def test_minute_of_the_opening_counts_only_ticks_after_it():
    prices = build_history((5, 150), (20, 110), (30, 90), (40, 105))
    record = extend_record(NEW, [build_row(1, 10, 100, 100)], prices, to_instant(50))
    assert record.extremes == Extremes(*to_decimals(110, 90, 1000, 2000))
    assert (record.sequence, record.until) == (1, to_instant(50))
    assert record.charges == 1


@pytest.mark.parametrize(
    ("quantity", "bar", "drawdown"),
    [
        (100, (100, 110, 90, 95), 2000),  # the high first
        (-100, (100, 110, 90, 95), 2000),  # the low first
        (100, (100, 100, 90, 110), 1000),
    ],
)
def test_favorable_extreme_of_a_bar_comes_first(quantity, bar, drawdown):
    record = extend_record(NEW, [build_row(1, 10, quantity, 100)], build_bars(bar), to_instant(180))
    assert compute_extremes(record).max_drawdown == drawdown
    assert record.until == to_instant(180)


def test_close_counts_where_no_ticks_of_the_minute_are_kept():
    bar = Bar("X", NOON, *to_decimals(150, 160, 80, 104))
    prices = PriceHistory([bar], {}, lambda _: None)
    early = extend_record(NEW, [build_row(1, 10, 100, 100)], prices, to_instant(50))
    assert early.extremes == Extremes(*to_decimals(100, 100, 0, 0))
    assert extend_record(early, [], prices, to_instant(61)).extremes == Extremes(
        *to_decimals(104, 100, 400, 0)
    )


def test_extremes_begin_again_through_zero_and_end_when_flat():
    first = build_row(1, 10, 100, 100)
    second = build_row(2, 130, -50, 120, first.position)
    third = build_row(3, 250, 0, 110, second.position)
    prices = build_bars((100, 140, 90, 120), (120, 120, 120, 120), (120, 130, 115, 118))
    through = extend_record(NEW, [first, second], prices, to_instant(240))
    assert through.extremes == Extremes(*to_decimals(130, 115, 2250, 750))
    assert through.position.realized_pnl == 2000
    flat = extend_record(through, [third], prices, to_instant(260))
    assert flat.extremes is None
    assert flat.charges == 3
    assert flat.position.realized_pnl == 2500


def test_reversal_changes_the_position_without_a_new_extreme():
    first = build_row(1, 10, 100, 100)
    undone = build_row(2, 20, 50, 7, first.position, charges=-1, is_trade=False)
    opened = build_row(1, 10, 100, 7, is_trade=False)
    reduced = extend_record(NEW, [first, undone], build_bars(), to_instant(30))
    assert compute_extremes(reduced).lowest_price == 100
    assert reduced.charges == 0
    assert compute_extremes(extend_record(NEW, [opened], build_bars(), to_instant(30))).lowest_price == 7


def test_drawdown_is_in_the_currency_of_the_portfolio():
    opened = LedgerRow(
        1, to_instant(10), True, Decimal(200), ZERO, PositionAfterRow(*to_decimals(10, 167000, 0))
    )
    record = extend_record(
        NEW, [opened], build_history((20, 210), (30, 190), rate=Decimal("83.5")), to_instant(50)
    )
    assert record.extremes == Extremes(*to_decimals(210, 190, 8350, 16700))


def test_partial_minute_is_precise():
    assert list_precise_minutes(to_instant(60), [build_row(1, 130, 1, 1)]) == {to_instant(120)}
    assert list_precise_minutes(to_instant(61), []) == {to_instant(60)}


quantities = st.lists(st.sampled_from([-50, 0, 50, 100, 150]), min_size=1, max_size=6)


@given(
    quantities,
    st.lists(
        st.tuples(st.integers(0, 599), st.integers(1, 200)), max_size=40, unique_by=lambda tick: tick[0]
    ),
    st.lists(st.integers(0, 11), max_size=6),
    st.booleans(),
)
@example([50, 100], [(60, 15)], [1], True)  # a price at the instant of the last extension
def test_extremes_equal_a_computation_tick_by_tick(targets, ticks, stops, on_minutes):
    ticks = sorted(ticks)
    rows, position = [], PositionAfterRow()
    for number, quantity in enumerate(targets):
        if quantity != position.quantity:
            rows.append(build_row(number + 1, 97 * number + 0.5, quantity, 50 + 7 * number, position))
            position = rows[-1].position
    instants = sorted({stop * 60 if on_minutes else stop * 53 + 0.7 for stop in stops} | {660})
    record = NEW
    for instant in instants:
        history = build_history(*(tick for tick in ticks if tick[0] < instant))
        bars = [bar for bar in history.bars if bar.start >= get_bar_start(record.until, Interval.MINUTE)]
        new = [row for row in rows if row.sequence > record.sequence and row.at < to_instant(instant)]
        record = extend_record(record, new, history._replace(bars=bars), to_instant(instant))
    whole = extend_record(NEW, rows, build_history(*ticks), to_instant(660))
    assert record.position == whole.position == position
    assert record.charges == len(rows)
    if not position.quantity:
        assert record.extremes is whole.extremes is None
        return
    opening = next(row for row in reversed(rows) if is_opening(rows, row))
    trades = [row for row in rows if row.at >= opening.at]
    prices = [trade.price for trade in trades] + [
        price for second, price in ticks if to_instant(second) > opening.at
    ]
    stepwise, at_once = compute_extremes(record), compute_extremes(whole)
    for extremes in (stepwise, at_once):
        assert (extremes.highest_price, extremes.lowest_price) == (max(prices), min(prices))
        assert extremes.max_drawdown >= 0
    assert stepwise.peak_pnl >= at_once.peak_pnl
    assert stepwise.max_drawdown >= at_once.max_drawdown
    if on_minutes:
        assert stepwise == at_once


def is_opening(rows, row):
    place = rows.index(row)
    return place == 0 or rows[place - 1].position.quantity * row.position.quantity <= 0
