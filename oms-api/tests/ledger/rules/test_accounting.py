"""The worked examples of average-cost netting."""

from decimal import Decimal

import pytest

from app.ledger.rules.accounting import (
    FLAT,
    Fill,
    Position,
    Side,
    apply_fill,
    average_cost,
    closed_quantity,
    replay,
)
from tests.factories import buy, sell


def told(position: Position) -> tuple[object, ...]:
    """Return what a statement shows: quantity, average cost, realised P&L."""
    return (position.quantity, average_cost(position.quantity, position.cost), position.realized_pnl)


def test_the_same_direction_adds_quantity_and_cost_up():
    position = replay([buy("100", "10"), buy("100", "12")])
    assert told(position) == (200, 11, 0)


def test_a_partial_close_realises_against_the_average_and_keeps_it():
    position = replay([buy("100", "10"), buy("100", "12"), sell("150", "13")])
    assert told(position) == (50, 11, 300)


def test_a_sell_through_zero_opens_a_short_at_the_fill_price():
    position = replay([buy("100", "10"), buy("100", "12"), sell("150", "13"), sell("100", "9")])
    assert told(position) == (-50, 9, 200)


def test_covering_the_short_leaves_exactly_nothing_but_what_was_realised():
    fills = [buy("100", "10"), buy("100", "12"), sell("150", "13"), sell("100", "9"), buy("50", "8")]
    assert replay(fills) == Position(Decimal(0), Decimal(0), Decimal(250))


def test_a_value_that_no_price_expresses_is_released_in_proportion():
    short = apply_fill(FLAT, Fill(Side.SELL, Decimal(3), Decimal(100)))
    covered = apply_fill(short, buy("1", "30"))
    assert covered == Position(Decimal(-2), Decimal("-66.66666667"), Decimal("3.33333333"))
    turned = apply_fill(covered, buy("5", "28"))
    assert turned == Position(Decimal(3), Decimal(84), Decimal(14))


def test_a_buy_through_zero_opens_a_long_at_the_fill_price():
    position = replay([sell("50", "9"), buy("80", "8")])
    assert told(position) == (30, 8, 50)


def test_reversing_the_second_purchase_is_as_if_it_never_was():
    position = replay([buy("100", "10")])
    assert told(position) == (100, 10, 0)


def test_a_flat_position_has_no_average_cost():
    assert average_cost(Decimal(0), Decimal(0)) == 0


def test_the_average_is_shown_to_eight_places():
    assert average_cost(Decimal(3), Decimal(100)) == Decimal("33.33333333")


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
def test_only_the_opposite_direction_closes(position, fill, closes):
    assert closed_quantity(Decimal(position), Decimal(fill)) == Decimal(closes)


def test_replay_goes_on_from_where_it_is_told():
    start = replay([buy("100", "10")])
    assert replay([sell("100", "11")], start) == replay([buy("100", "10"), sell("100", "11")])
