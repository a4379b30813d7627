"""Fills for tests of reports, written as `("BUY", quantity, price, charges)`."""

from decimal import Decimal

from hypothesis import strategies as st

from app.ledger.rules.accounting import Fill, Side
from app.money import multiply
from app.reports.rules.values import BookedFill, PositionIdentity
from app.timestamps import Timestamp

BOOK = PositionIdentity("Growth", "AAPL", "", "USD")
_QUANTITIES = st.decimals("0.01", "50", places=2)
_PRICES = st.decimals("0.5", "200", places=4)
_CHARGES = st.decimals("0", "3", places=2)
TRADES = st.lists(st.tuples(st.sampled_from(Side), _QUANTITIES, _PRICES, _CHARGES), max_size=25)


def to_decimals(*numbers):
    """Return the numbers as decimals."""
    return tuple(map(Decimal, numbers))


def build_fills(*trades):
    """Return the fills, one a minute, numbered from T0."""
    return [
        _list_booked(number, Side(side), *(Decimal(amount) for amount in sizes))
        for number, (side, *sizes) in enumerate(trades)
    ]


def _list_booked(number, side, quantity, price, charges=Decimal(0)):
    at = Timestamp(f"2026-11-20T15:{number:02}:00.000000Z")
    return BookedFill(f"T{number}", Fill(side, quantity, multiply(quantity, price), at=at), price, charges)
