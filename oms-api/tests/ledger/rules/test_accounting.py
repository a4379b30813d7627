"""The worked examples of average-cost netting."""

from decimal import Decimal

import pytest

from app.ledger.rules.accounting import (
    FLAT,
    MIXED,
    Fill,
    Position,
    Side,
    apply_fill,
    choose_fill_currency,
    compute_average_cost,
    compute_closed_quantity,
    compute_position_times,
    replay_fills,
)
from app.timestamps import Timestamp
from tests.factories import build_buy, build_sell


def summarize(position: Position) -> tuple[object, ...]:
    """Return the figures of a statement: quantity, average cost, realized P&L."""
    return (position.quantity, compute_average_cost(position.quantity, position.cost), position.realized_pnl)


def test_fills_in_the_same_direction_add_quantity_and_cost():
    position = replay_fills([build_buy("100", "10"), build_buy("100", "12")])
    assert summarize(position) == (200, 11, 0)


def test_partial_close_realises_profit_and_keeps_the_average_cost():
    position = replay_fills([build_buy("100", "10"), build_buy("100", "12"), build_sell("150", "13")])
    assert summarize(position) == (50, 11, 300)


def test_sell_through_zero_opens_a_short_at_the_fill_price():
    position = replay_fills(
        [build_buy("100", "10"), build_buy("100", "12"), build_sell("150", "13"), build_sell("100", "9")]
    )
    assert summarize(position) == (-50, 9, 200)


def test_covered_short_leaves_only_realised_profit():
    fills = [
        build_buy("100", "10"),
        build_buy("100", "12"),
        build_sell("150", "13"),
        build_sell("100", "9"),
        build_buy("50", "8"),
    ]
    assert replay_fills(fills) == Position(Decimal(0), Decimal(0), Decimal(250))


def test_cost_without_an_exact_price_is_released_in_proportion():
    short = apply_fill(FLAT, Fill(Side.SELL, Decimal(3), Decimal(100)))
    covered = apply_fill(short, build_buy("1", "30"))
    assert covered == Position(Decimal(-2), Decimal("-66.66666667"), Decimal("3.33333333"))
    turned = apply_fill(covered, build_buy("5", "28"))
    assert turned == Position(Decimal(3), Decimal(84), Decimal(14))


def test_buy_through_zero_opens_a_long_at_the_fill_price():
    position = replay_fills([build_sell("50", "9"), build_buy("80", "8")])
    assert summarize(position) == (30, 8, 50)


def test_reversed_trade_leaves_the_position_as_without_it():
    position = replay_fills([build_buy("100", "10")])
    assert summarize(position) == (100, 10, 0)


def test_flat_position_has_no_average_cost():
    assert compute_average_cost(Decimal(0), Decimal(0)) == 0


def test_average_cost_has_eight_decimal_places():
    assert compute_average_cost(Decimal(3), Decimal(100)) == Decimal("33.33333333")


@pytest.mark.parametrize(
    ("position", "fill", "closes"),
    [
        ("0", "5", "0"),
        ("5", "5", "0"),
        ("-5", "-5", "0"),
        ("5", "-3", "3"),
        ("5", "-8", "5"),
        ("-5", "8", "5"),
    ],
)
def test_only_an_opposite_fill_closes(position, fill, closes):
    assert compute_closed_quantity(Decimal(position), Decimal(fill)) == Decimal(closes)


def test_replay_continues_from_a_given_position():
    start = replay_fills([build_buy("100", "10")])
    assert replay_fills([build_sell("100", "11")], start) == replay_fills(
        [build_buy("100", "10"), build_sell("100", "11")]
    )


NOON, LATER, LAST = (
    Timestamp("2026-11-20T12:00:00.000000Z"),
    Timestamp("2026-11-20T13:00:00.000000Z"),
    Timestamp("2026-11-20T14:00:00.000000Z"),
)


def build_foreign_fill(
    side: Side, quantity: str, price: str, rate: str, currency: str | None = "USD"
) -> Fill:
    """Return a fill in another currency than the portfolio's."""
    value = Decimal(quantity) * Decimal(price)
    return Fill(side, Decimal(quantity), value * Decimal(rate), value, currency)


def to_whole_units(position: Position) -> tuple[object, ...]:
    return position.amounts


def test_foreign_position_has_cost_in_both_currencies():
    """The example of the rules, in a portfolio of rupees."""
    position = replay_fills(
        [build_foreign_fill(Side.BUY, "10", "200", "83.50"), build_foreign_fill(Side.SELL, "4", "210", "84")]
    )
    assert to_whole_units(position) == (6, 100_200, 3_760, 1_200)
    assert position.currency == "USD"


def test_fill_through_zero_splits_and_rounds_each_currency_separately():
    opened = replay_fills(
        [build_foreign_fill(Side.SELL, "3", "100", "80"), build_foreign_fill(Side.BUY, "5", "110", "81")]
    )
    assert to_whole_units(opened) == (2, 17_820, -2_730, 220)
    flat = apply_fill(opened, build_foreign_fill(Side.SELL, "2", "100", "80"))
    assert not any((flat.quantity, flat.cost, flat.local_cost))


def test_partial_close_releases_both_costs_in_proportion():
    position = replay_fills(
        [build_foreign_fill(Side.BUY, "3", "33.33333333", "3"), build_foreign_fill(Side.SELL, "1", "40", "3")]
    )
    assert (position.cost, position.local_cost) == (Decimal("199.99999998"), Decimal("66.66666666"))


def test_flat_position_takes_the_currency_of_its_next_fill():
    flat = replay_fills(
        [build_foreign_fill(Side.BUY, "1", "10", "2"), build_foreign_fill(Side.SELL, "1", "10", "2")]
    )
    assert apply_fill(flat, build_foreign_fill(Side.BUY, "1", "10", "3", "EUR")).currency == "EUR"
    own = apply_fill(flat, build_buy("1", "10"))
    assert own.currency is None
    assert own.local_cost == 0


def test_position_with_fills_in_two_currencies_has_no_currency():
    mixed = replay_fills([build_buy("1", "10"), build_foreign_fill(Side.BUY, "1", "10", "2")])
    assert mixed.currency == MIXED
    assert apply_fill(mixed, build_foreign_fill(Side.SELL, "3", "10", "2")).currency == MIXED
    assert apply_fill(mixed, build_sell("2", "10")).amounts[0] == 0


@pytest.mark.parametrize(
    ("position_currency", "listed", "currency"),
    [
        (FLAT, None, None),
        (FLAT, "INR", None),
        (FLAT, "USD", "USD"),
        (Position(Decimal(1), currency="USD"), "INR", "USD"),
        (Position(Decimal(1)), "USD", None),
        (Position(currency="EUR"), "USD", "USD"),
    ],
)
def test_fill_currency_is_the_position_currency_or_else_the_instrument_currency(
    position_currency, listed, currency
):
    assert choose_fill_currency(position_currency, listed, "INR") == currency


@pytest.mark.parametrize(
    ("fills", "opened_at", "closed_at"),
    [
        ([("BUY", 1, NOON)], NOON, None),
        ([("BUY", 1, NOON), ("BUY", 1, LATER)], NOON, None),
        ([("BUY", 2, NOON), ("SELL", 1, LATER)], NOON, None),
        ([("BUY", 1, NOON), ("SELL", 1, LATER)], None, LATER),
        ([("BUY", 1, NOON), ("SELL", 2, LATER)], LATER, None),
        ([("BUY", 1, NOON), ("SELL", 1, LATER), ("SELL", 1, LAST)], LAST, LATER),
        ([], None, None),
    ],
)
def test_position_keeps_its_opening_and_closing_times(fills, opened_at, closed_at):
    position = replay_fills(Fill(Side(side), Decimal(size), Decimal(size), at=at) for side, size, at in fills)
    assert (position.opened_at, position.closed_at) == (opened_at, closed_at)


@pytest.mark.parametrize("order", [(NOON, LATER, None), (LATER, NOON, None), (LATER, None, NOON)])
def test_position_keeps_the_time_of_its_latest_fill(order):
    position = replay_fills(Fill(Side.BUY, Decimal(1), Decimal(1), at=at) for at in order)
    assert position.last_executed_at == LATER
    assert replay_fills([Fill(Side.BUY, Decimal(1), Decimal(1))]).last_executed_at is None


def test_flat_position_keeps_its_times():
    assert compute_position_times(Position(closed_at=NOON), Decimal(0), LATER) == (None, NOON)
