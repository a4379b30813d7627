"""Values that the rules of reports share."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import Fill, Position, compute_closed_quantity
from app.ledger.rules.corporate_actions import Split
from app.money import ZERO, compute_share


class PositionIdentity(NamedTuple):
    """One position of a portfolio: its symbol and product. `currency` is the portfolio's."""

    portfolio_name: str
    symbol: str
    product: str
    currency: str


class BookedFill(NamedTuple):
    """A trade that no reversal undid.

    The fill's value and the charges are in the portfolio's currency, the price in the instrument's.
    """

    trade_id: str
    fill: Fill
    price: Decimal
    charges: Decimal


class BookedSplit(NamedTuple):
    """A split of a position that no reversal undid."""

    split: Split


BookedStep = BookedFill | BookedSplit


class UsedRate(NamedTuple):
    """A rate that converted a currency to the tenant's, and the age of its oldest quote in seconds."""

    currency: str
    rate: Decimal
    age_seconds: float


def split_at_flat(position: Position, booked_fill: BookedFill) -> Iterator[BookedFill]:
    """Yield the fill, or its closing and opening part where it takes the position through zero.

    Value and charges are divided in proportion to the quantity; the opening part gets the rest.
    """
    fill = booked_fill.fill
    closed_quantity = compute_closed_quantity(position.quantity, fill.side.sign * fill.quantity)
    if closed_quantity in {ZERO, fill.quantity}:
        yield booked_fill
        return
    value, local_value, charges = (
        compute_share(amount, closed_quantity, fill.quantity)
        for amount in (fill.value, fill.local_value, booked_fill.charges)
    )
    closing = fill._replace(quantity=closed_quantity, value=value, local_value=local_value)
    opening = fill._replace(
        quantity=fill.quantity - closed_quantity,
        value=fill.value - value,
        local_value=fill.local_value - local_value,
    )
    yield booked_fill._replace(fill=closing, charges=charges)
    yield booked_fill._replace(fill=opening, charges=booked_fill.charges - charges)
