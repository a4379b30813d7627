"""The trade that makes a position equal to the broker's."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.accounting import Fill, Position, apply_fill
from app.reconciliation.rules.adoption import build_adoption_trade
from app.reconciliation.rules.differences import HeldAmount

QUANTITIES = st.integers(-1_000, 1_000).map(Decimal)
PRICES = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)


def build_position(quantity, price):
    return HeldAmount(Decimal(quantity), Decimal(quantity) * Decimal(price))


@given(QUANTITIES, PRICES, QUANTITIES, PRICES)
def test_position_after_adoption_is_the_brokers(quantity, price, their_quantity, their_price):
    own_position, broker_position = (
        build_position(quantity, price),
        build_position(their_quantity, their_price),
    )
    trade = build_adoption_trade(own_position, broker_position)
    if trade is None:
        assert own_position.quantity == broker_position.quantity
        return
    before = Position(own_position.quantity, own_position.cost)
    after = apply_fill(before, Fill(trade.side, trade.quantity, trade.value))
    assert after.quantity == broker_position.quantity
    assert trade.value >= 0
    if own_position.quantity * broker_position.quantity >= 0 and abs(broker_position.quantity) < abs(
        own_position.quantity
    ):
        assert abs(after.realized_pnl) < Decimal("0.0001")  # what it takes away realizes nothing


@pytest.mark.parametrize(
    ("own_position", "broker_position", "value"),
    [
        ((0, 0), (10, 100), 1_000),
        ((10, 100), (15, 110), 650),  # the cost is theirs afterwards
        ((10, 100), (15, 60), 300),  # their cost is below ours: at their average
        ((10, 100), (4, 90), 600),  # at our cost
        ((10, 100), (0, 0), 1_000),
        ((-10, 100), (-15, 110), 650),
        ((10, 100), (-5, 90), 1_450),  # closes at our cost, opens at theirs
    ],
)
def test_value_of_an_adoption(own_position, broker_position, value):
    trade = build_adoption_trade(build_position(*own_position), build_position(*broker_position))
    assert trade is not None
    assert trade.value == value
