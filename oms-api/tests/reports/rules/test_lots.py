"""FIFO lots add up to the position, the values of its trades and their charges."""

from decimal import Decimal

from hypothesis import given

from app.ledger.rules.accounting import Side, replay_fills
from app.ledger.rules.corporate_actions import Ratio, Split
from app.reports.rules.lots import match_lots
from app.reports.rules.values import BookedSplit, split_at_flat
from app.timestamps import Timestamp
from tests.reports.fills import BOOK, TRADES, build_fills, to_decimals


def list_lots(*trades):
    return match_lots(BOOK, build_fills(*trades))


def test_oldest_lot_is_closed_first():
    lots = list_lots(("BUY", 100, 10, 1), ("BUY", 100, 20, 2), ("SELL", 150, 30, 3))
    (open_lot,) = lots.open
    assert open_lot.quantity == 50
    assert open_lot.value == 1000
    assert open_lot.charges == 1
    assert open_lot.trade_id == "T1"
    assert open_lot.unit_cost == 20
    assert [(lot.quantity, lot.cost, lot.proceeds, lot.realized_pnl, lot.charges) for lot in lots.closed] == [
        (100, 1000, 3000, 2000, 3),
        (50, 1000, 1500, 500, 2),
    ]
    assert [(lot.opening_trade_id, lot.closing_trade_id) for lot in lots.closed] == [
        ("T0", "T2"),
        ("T1", "T2"),
    ]


def test_short_lot_is_closed_by_buying_back():
    (closed,) = list_lots(("SELL", 10, 100, 1), ("BUY", 10, 90, 1)).closed
    assert closed.side == Side.SELL
    assert closed.cost == 900
    assert closed.proceeds == 1000
    assert closed.realized_pnl == 100


def test_trade_through_zero_closes_lots_and_opens_one():
    lots = list_lots(("BUY", 100, 10), ("SELL", 150, 9, 3))
    (opened,) = lots.open
    assert opened.side == Side.SELL
    assert opened.quantity == 50
    assert opened.value == 450
    assert opened.charges == 1
    assert [lot.realized_pnl for lot in lots.closed] == [-100]


@given(TRADES)
def test_lots_sum_up_to_position_values_and_charges(trades):
    fills = build_fills(*trades)
    matched = match_lots(BOOK, fills)
    position = replay_fills(fill.fill for fill in fills)
    assert sum((lot.side.sign * lot.quantity for lot in matched.open), Decimal(0)) == position.quantity
    assert len({lot.side for lot in matched.open}) <= 1
    total = sum((fill.charges for fill in fills), Decimal(0))
    parts = [lot.charges for lot in matched.open] + [closed_lot.charges for closed_lot in matched.closed]
    assert sum(parts, Decimal(0)) == total
    # Bought less sold is what the open lots cost less what the closed ones realized.
    paid = sum((fill.fill.side.sign * fill.fill.value for fill in fills), Decimal(0))
    held_quantity = sum((lot.side.sign * lot.value for lot in matched.open), Decimal(0))
    assert held_quantity - sum((closed_lot.realized_pnl for closed_lot in matched.closed), Decimal(0)) == paid


@given(TRADES)
def test_split_fill_changes_the_position_like_the_whole_fill(trades):
    position = replay_fills(())
    for whole in build_fills(*trades):
        parts = list(split_at_flat(position, whole))
        position, in_parts = (
            replay_fills([whole.fill], position),
            replay_fills((booked_fill.fill for booked_fill in parts), position),
        )
        assert in_parts.amounts == position.amounts


def test_split_multiplies_the_lots_and_keeps_their_values():
    ratio = Ratio(Decimal(1), Decimal(3))
    split = BookedSplit(Split(Timestamp("2026-11-21T00:00:00.000000Z"), ratio))
    bought = build_fills(("BUY", 10, 6, 0), ("BUY", 10, 9, 0))
    first, second = match_lots(BOOK, [*bought, split]).open
    assert (first.quantity, first.value) == to_decimals("3.33333333", 60)
    assert (second.quantity, second.value) == to_decimals("3.33333334", 90)  # adds up to the position
    assert match_lots(BOOK, [split]).open == []
