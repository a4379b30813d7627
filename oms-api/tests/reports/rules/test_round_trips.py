"""Round trips: from flat to flat, split at zero, with the extremes of the prices traded."""

from decimal import Decimal

from hypothesis import given

from app.ledger.rules.accounting import Fill, Side, replay_fills
from app.ledger.rules.corporate_actions import Ratio, Split
from app.reports.rules.round_trips import list_round_trips
from app.reports.rules.values import BookedFill, BookedSplit
from app.timestamps import Timestamp
from tests.reports.fills import BOOK, TRADES, build_fills, to_decimals


def list_trips(*trades):
    return list(list_round_trips(BOOK, build_fills(*trades)))


def build_dollar_fill(trade_id, side, price, rate):
    """Return a fill of 10 units in USD for a portfolio in another currency."""
    value = 10 * Decimal(price)
    at = Timestamp(f"2026-11-20T1{'AB'.index(trade_id)}:00:00.000000Z")
    return BookedFill(
        trade_id, Fill(side, Decimal(10), value * Decimal(rate), value, "USD", at), Decimal(price), Decimal(0)
    )


def test_round_trip_averages_its_entries_and_exits():
    (trip,) = list_trips(("BUY", 100, 10, 1), ("BUY", 100, 12, 1), ("SELL", 50, 14, 1), ("SELL", 150, 11, 1))
    assert trip.side == Side.BUY
    assert trip.quantity == 200
    assert trip.entry_price == 11
    assert trip.exit_price == Decimal("11.75")
    assert (trip.realized_pnl, trip.charges, trip.net_pnl) == to_decimals(150, 4, 146)
    assert (trip.opened_at[14:16], trip.closed_at[14:16]) == ("00", "03")
    assert (trip.opening_trade_id, trip.closing_trade_id, trip.trades) == ("T0", "T3", 4)


def test_trade_through_zero_ends_one_round_trip_and_starts_the_next():
    first, second = list_trips(("BUY", 50, 11, 2), ("SELL", 150, 9, 3), ("BUY", 100, 8, 1))
    assert first.side == Side.BUY
    assert first.quantity == 50
    assert first.realized_pnl == -100
    assert first.charges == 3
    assert second.side == Side.SELL
    assert second.quantity == 100
    assert second.realized_pnl == 100
    assert second.charges == 3
    assert first.closing_trade_id == second.opening_trade_id == "T1"


def test_extremes_include_only_prices_traded_while_it_was_open():
    (trip,) = list_trips(("BUY", 100, 10), ("BUY", 100, 8), ("SELL", 100, 13), ("SELL", 100, 12))
    assert (trip.highest_price, trip.lowest_price) == to_decimals(13, 8)
    # 100 @ 10 and 100 @ 8: at 8 the trip is down 200; at 13 it is up 400 realized and 400 unrealized.
    assert (trip.max_adverse, trip.max_favorable) == to_decimals(200, 800)


def test_short_round_trip_gains_when_the_price_falls():
    (trip,) = list_trips(("SELL", 10, 100), ("SELL", 10, 110), ("BUY", 20, 90))
    assert (trip.entry_price, trip.exit_price, trip.realized_pnl) == to_decimals(105, 90, 300)
    assert (trip.max_adverse, trip.max_favorable) == to_decimals(100, 300)


def test_open_position_is_not_a_round_trip():
    assert list_trips(("BUY", 100, 10), ("SELL", 99, 12)) == []


def test_prices_are_in_the_instruments_currency_and_amounts_in_the_portfolios():
    fills = [
        build_dollar_fill("A", Side.BUY, "200", rate="83.50"),
        build_dollar_fill("B", Side.SELL, "210", rate="84"),
    ]
    (trip,) = list_round_trips(BOOK, fills)
    assert (trip.entry_price, trip.exit_price, trip.realized_pnl) == to_decimals(200, 210, 9_400)
    assert (trip.max_adverse, trip.max_favorable) == to_decimals(0, 9_400)


@given(TRADES)
def test_round_trips_sum_up_to_realised_profit_and_charges(trades):
    fills = build_fills(*trades)
    flat_at = [
        count
        for count in range(1, len(fills) + 1)
        if not replay_fills(fill.fill for fill in fills[:count]).quantity
    ]
    closed = fills[: flat_at[-1] if flat_at else 0]
    round_trips = list(list_round_trips(BOOK, closed))
    assert (
        sum(trip.realized_pnl for trip in round_trips)
        == replay_fills(trade.fill for trade in closed).realized_pnl
    )
    assert sum(trip.charges for trip in round_trips) == sum(trade.charges for trade in closed)
    for trip in round_trips:
        assert trip.lowest_price <= trip.highest_price
        assert -trip.max_adverse <= trip.realized_pnl <= trip.max_favorable


def test_split_restates_a_round_trip_in_the_units_after_it():
    split = BookedSplit(Split(Timestamp("2026-11-20T15:00:30.000000Z"), Ratio(Decimal(2), Decimal(1))))
    bought, sold = build_fills(("BUY", 100, 10, 0), ("SELL", 200, 6, 0))
    (trip,) = list_round_trips(BOOK, [split, bought, split, sold])
    values = (trip.quantity, trip.entry_price, trip.exit_price, trip.realized_pnl)
    assert values == to_decimals(200, 5, 6, 200)
    assert (trip.highest_price, trip.lowest_price) == to_decimals(6, 5)
