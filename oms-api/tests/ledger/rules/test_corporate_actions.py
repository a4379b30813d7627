"""Splits, symbol changes and dividends: their effect on a position, wherever their rows are in the ledger."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.accounting import FLAT, Fill, Position, Side, replay_fills
from app.ledger.rules.corporate_actions import (
    ActionKind,
    CashDividend,
    CorporateActionTerms,
    Ratio,
    Split,
    TransferIn,
    TransferOut,
    apply_split,
    build_row_key,
    compute_dividend,
    compute_fraction,
    compute_fraction_price,
    parse_action_key,
    replay_before,
    replay_steps,
    sort_steps,
)
from app.ledger.rules.verification import check_action_row
from app.timestamps import Timestamp
from tests.factories import build_trade_row

ZERO = Decimal(0)
TWO_FOR_ONE = Ratio(Decimal(2), Decimal(1))
MIDDLE = Timestamp("2026-11-20T12")

sizes = st.integers(1, 10_000).map(lambda units: units * Decimal("0.01"))
sides = st.sampled_from(Side)


def draw_fills_at(instant):
    """Return a strategy of fills that were executed at an instant."""
    fill = st.tuples(sides, sizes, sizes).map(lambda values: Fill(*values, at=instant))
    return st.lists(fill, max_size=8)


earlier, later = draw_fills_at(Timestamp("2026-11-20T11")), draw_fills_at(Timestamp("2026-11-20T13"))
units = st.integers(1, 20).map(Decimal)
ratios = st.tuples(units, units).map(Ratio._make)


def build_split(ratio=TWO_FOR_ONE, at=MIDDLE):
    return Split(at, ratio)


def build_fill(side, quantity, value, at):
    return Fill(Side(side), Decimal(quantity), Decimal(value), at=at)


def build_dividend(amount, withholding=None, currency="USD"):
    terms: dict[str, Any] = {
        "amount": Decimal(amount),
        "withholding_percent": withholding and Decimal(withholding),
    }
    return CorporateActionTerms(
        1, "C1", ActionKind.DIVIDEND, "AAPL", MIDDLE, "2026-11-20", currency=currency, **terms
    )


@given(earlier, ratios)
def test_split_multiplies_quantity_and_keeps_cost_and_pnl(fills, ratio):
    before, after = replay_fills(fills), replay_steps([*fills, build_split(ratio)])
    exact = Fraction(before.quantity) * Fraction(ratio.new_units) / Fraction(ratio.old_units)
    assert abs(Fraction(after.quantity) - exact) <= Fraction(1, 2 * 10**8)
    assert (after.cost, after.realized_pnl) == (before.cost, before.realized_pnl)


@given(earlier, later, ratios)
def test_late_row_has_the_result_of_an_early_row(fills, since, ratio):
    assert replay_steps([*fills, *since, build_split(ratio)]) == replay_steps(
        [*fills, build_split(ratio), *since]
    )


@given(earlier, later, ratios)
def test_positions_match_a_naive_recomputation_over_random_actions(fills, since, ratio):
    quantity = cost = realized = Fraction(0)
    factor = Fraction(ratio.new_units) / Fraction(ratio.old_units)
    for step in [*fills, None, *since]:
        if step is None:
            quantity *= factor
            continue
        signed = step.side.sign * Fraction(step.quantity)
        closed = min(abs(quantity), abs(signed)) if quantity * signed < 0 else Fraction(0)
        released = cost * closed / abs(quantity) if closed else Fraction(0)
        value = step.side.sign * Fraction(step.value)
        closing = value * closed / abs(signed)
        realized += -closing - released
        cost += value - closing - released
        quantity += signed
    position = replay_steps([*fills, *since, build_split(ratio)])
    assert abs(Fraction(position.quantity) - quantity) <= Fraction(1, 10**8)
    # Each rounding to 8 decimals of the quantity moves the cost by at most the cost of that much.
    total = Fraction(position.cost) - Fraction(position.realized_pnl)
    assert total == cost - realized


@given(earlier, later, ratios)
def test_replay_without_the_split_row_equals_a_replay_before_the_split(fills, since, ratio):
    steps = [*fills, *since, build_split(ratio)]
    assert replay_steps(step for step in steps if isinstance(step, Fill)) == replay_fills([*fills, *since])


def test_position_before_an_action_leaves_out_later_fills():
    steps = [
        build_fill("BUY", "10", "100", "2026-11-20T11"),
        build_fill("BUY", "5", "60", "2026-11-20T12"),
        build_split(at="2026-11-20T10"),
    ]
    assert replay_before(steps, MIDDLE).quantity == 10
    assert replay_before(steps, Timestamp("2026-11-20T12:30")).quantity == 15


def test_actions_at_one_instant_are_applied_in_row_order():
    first, second = build_split(), build_split(Ratio(Decimal(1), Decimal(3)))
    assert sort_steps([first, second]) == [first, second]


def test_split_of_a_flat_position_changes_nothing():
    assert apply_split(FLAT, build_split()) == FLAT


def test_split_that_leaves_nothing_realizes_the_cost():
    position = Position(Decimal("0.00000001"), Decimal(5), opened_at=Timestamp("2026-11-19"))
    after = apply_split(position, build_split(Ratio(Decimal(1), Decimal(10))))
    assert (after.quantity, after.cost, after.realized_pnl) == (ZERO, ZERO, Decimal(-5))
    assert (after.opened_at, after.closed_at) == (None, MIDDLE)


def test_transfer_moves_quantity_and_cost_to_the_new_symbol():
    bought = build_fill("BUY", "10", "200", "2026-11-20T11")
    transfer_in = Fill(Side.BUY, Decimal(10), Decimal(200), at=MIDDLE)
    remaining = replay_steps([bought, TransferOut(MIDDLE)])
    assert remaining.quantity == ZERO
    assert remaining.cost == ZERO
    assert remaining.realized_pnl == ZERO
    assert remaining.closed_at == MIDDLE
    assert replay_steps([TransferOut(MIDDLE)]) == FLAT
    sold = build_fill("SELL", "4", "100", "2026-11-20T13")
    arrived = replay_steps([sold, TransferIn(MIDDLE, transfer_in)])  # recorded late: the sale closes
    assert (arrived.quantity, arrived.cost, arrived.realized_pnl) == tuple(map(Decimal, (6, 120, 20)))


@pytest.mark.parametrize(
    ("quantity", "ratio", "expected"),
    [
        ("100", ("1", "3"), "0.33333333"),
        ("-100", ("1", "3"), "-0.33333333"),
        ("100", ("2", "1"), "0"),
        ("10.5", ("1", "2"), "0"),  # it had a fraction already
        ("1", ("1", "10"), "0.1"),
    ],
)
def test_fraction_is_paid_for_instruments_in_whole_units(quantity, ratio, expected):
    assert compute_fraction(Decimal(quantity), Ratio(*map(Decimal, ratio))) == Decimal(expected)


def test_longs_receive_less_withholding_and_shorts_pay_gross():
    terms = build_dividend("0.5", "15")
    assert compute_dividend(Decimal(100), terms, None) == CashDividend(Decimal(50), Decimal("7.5"))
    assert compute_dividend(Decimal(-100), terms, None) == CashDividend(Decimal(-50), Decimal(0))
    assert compute_dividend(Decimal(100), build_dividend("0.5"), Decimal(2)) == CashDividend(
        Decimal(100), Decimal(0)
    )


def test_key_of_a_row_names_its_action():
    assert parse_action_key(build_row_key("C1", "CNC", ":in")) == "C1"
    assert parse_action_key("corporate-action:C1") is None
    assert parse_action_key(None) is None


def build_row(**changes):
    terms = {"kind": "split", "symbol": "AAPL", "executed_at": MIDDLE, "idempotency_key": None} | changes
    return build_trade_row()._replace(**terms)


SPLIT_ACTION = CorporateActionTerms(1, "C1", ActionKind.SPLIT, "AAPL", MIDDLE, "2026-11-20")


@pytest.mark.parametrize(
    ("changes", "action", "fields"),
    [
        ({}, SPLIT_ACTION, []),
        ({"kind": "trade"}, SPLIT_ACTION, []),  # the cash in lieu
        ({"kind": "trade"}, None, []),
        ({}, None, ["idempotency_key"]),
        ({"executed_at": "2026"}, SPLIT_ACTION, ["executed_at"]),
        ({"kind": "transfer"}, SPLIT_ACTION, ["kind"]),
        ({"symbol": "MSFT"}, SPLIT_ACTION, ["symbol"]),
    ],
)
def test_row_must_match_its_action(changes, action, fields):
    assert [finding.field for finding in check_action_row(build_row(**changes), action)] == fields


def test_fraction_is_priced_by_the_action_or_at_the_average_cost():
    action = CorporateActionTerms(
        1,
        "S",
        ActionKind.SPLIT,
        "A",
        Timestamp("2026-01-05T00:00:00.000000Z"),
        "2026-01-05",
        new_units=Decimal(3),
        old_units=Decimal(2),
    )
    position = Position(Decimal(5), Decimal(500))
    half = Decimal("0.5")
    assert compute_fraction_price(action, position, half) == (Decimal("66.66666666"), Decimal("33.33333333"))
    assert compute_fraction_price(action._replace(cash_in_lieu_price=Decimal(60)), position, half) == (
        Decimal(60), Decimal(30),
    )  # fmt: skip
    abroad = position._replace(currency="USD", local_cost=Decimal(60))
    assert compute_fraction_price(action, abroad, half) == (Decimal(8), Decimal(4))
    assert compute_fraction_price(action, Position(Decimal(5), Decimal(0)), half) == (
        Decimal("0.00000001"), Decimal(0),
    )  # fmt: skip
