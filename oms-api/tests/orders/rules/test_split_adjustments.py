"""Open orders after a split."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.corporate_actions import Ratio
from app.orders.rules.order_factory import Placement, build_order_from_ticket
from app.orders.rules.split_adjustments import InstrumentIncrements, restate_order, restore_order
from app.orders.rules.values import OrderType, Status, Ticket
from app.timestamps import Timestamp

CENTS = InstrumentIncrements(Decimal("0.01"), Decimal(1))


def build_order(**terms):
    amounts = {"limit_price", "stop_price", "trail_amount", "quantity", "filled_quantity", "trail_level"}
    values: dict[str, Any] = {
        name: Decimal(value) if name in amounts else value for name, value in terms.items()
    }
    extra: dict[str, Any] = {
        name: values.pop(name) for name in ("filled_quantity", "trail_level") if name in values
    }
    defaults: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "type": OrderType.LIMIT}
    ticket = Ticket(**defaults | {"quantity": Decimal(10)} | values)
    origin = Placement(1, 1, "key", None, Timestamp("2026-11-20T12:00:00.000000Z"))
    order = build_order_from_ticket("O1", origin, ticket, ticket.quantity or Decimal(0))
    return order._replace(status=Status.ACCEPTED, **extra)


def restate_terms(placed, units, increments=CENTS):
    """Return the restated terms of an order of which something is left."""
    restated = restate_order(placed, units, increments)
    assert restated is not None
    return restated


def build_ratio(new, old):
    return Ratio(Decimal(new), Decimal(old))


@pytest.mark.parametrize(
    ("terms", "units", "expected"),
    [
        ({"limit_price": "9.01"}, (2, 1), ("20", "4.50", None)),  # a buy's limit: down
        ({"limit_price": "9.01", "side": "SELL"}, (2, 1), ("20", "4.51", None)),
        ({"type": OrderType.STOP, "stop_price": "9.01", "side": "SELL"}, (2, 1), ("20", None, "4.50")),
        ({"type": OrderType.STOP, "stop_price": "9.01"}, (2, 1), ("20", None, "4.51")),
        ({"limit_price": "9", "filled_quantity": "4"}, (3, 1), ("22", "3.00", None)),
        ({"limit_price": "9"}, (1, 3), ("3", "27.00", None)),
        ({"limit_price": "0.01"}, (100, 1), ("1000", "0.01", None)),
        ({"type": OrderType.MARKET}, (2, 1), ("20", None, None)),
    ],
)
def test_quantity_is_multiplied_and_prices_are_divided_away_from_the_market(terms, units, expected):
    restated = restate_terms(build_order(**terms), build_ratio(*units))
    values = (restated.quantity, restated.limit_price, restated.stop_price)
    assert values == tuple(None if text is None else Decimal(text) for text in expected)


def test_order_of_less_than_a_lot_has_nothing_left():
    assert restate_order(build_order(limit_price="9", quantity="2"), build_ratio(1, 3), CENTS) is None


def test_fraction_of_a_unit_is_kept_where_the_order_had_one():
    fine = InstrumentIncrements(Decimal("0.01"), Decimal("0.01"))
    restated = restate_terms(build_order(limit_price="9", quantity="0.5"), build_ratio(1, 2), fine)
    assert restated.quantity == Decimal("0.25")


def test_trail_is_divided_to_the_nearest_tick():
    stop = build_order(type=OrderType.TRAILING_STOP, side="SELL", trail_amount="2.01", trail_level="98")
    restated = restate_terms(stop, build_ratio(2, 1))
    assert (restated.trail_amount, restated.trail_level) == (Decimal("1.01"), Decimal(49))


@given(st.integers(1, 10_000), st.integers(1, 20), st.integers(1, 20), st.sampled_from(["BUY", "SELL"]))
def test_restated_limit_is_never_nearer_the_market(cents, new, old, side):
    price = cents * Decimal("0.01")
    restated = restate_terms(
        build_order(limit_price=str(price), quantity="100", side=side), build_ratio(new, old)
    )
    exact = price * old / new
    if side == "SELL":
        assert restated.limit_price >= exact
    elif exact >= CENTS.tick_size:
        assert restated.limit_price <= exact


def test_order_that_was_changed_since_the_split_is_not_restored():
    placed = build_order(limit_price="9.00")
    previous = {"quantity": placed.quantity, "limit_price": placed.limit_price}
    after = placed._replace(quantity=Decimal(20), limit_price=Decimal("4.50"))
    assert restore_order(after, previous, build_ratio(2, 1), CENTS) is not None
    assert (
        restore_order(after._replace(limit_price=Decimal("4.40")), previous, build_ratio(2, 1), CENTS) is None
    )
