"""What a report of a trade may say: its price and gross market value, its limits, the form of names."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from app.errors import FieldError
from app.money import ZERO, product, ratio
from app.text import remove_joiners

NAME_LENGTH = 100
_PATHS = {".", ".."}  # clients resolve these away before a request is sent


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """The bounds of one trade: units, gross market value and price per unit, all inclusive."""

    max_quantity: Decimal
    max_gmv: Decimal
    min_price: Decimal
    max_price: Decimal


class Report(NamedTuple):
    """An execution that happened, as reported: `gmv` or `price` is given, names are clean."""

    symbol: str
    quantity: Decimal
    gmv: Decimal | None
    price: Decimal | None
    side: str
    portfolio_name: str
    user_id: str | None
    note: str | None


class Valued(NamedTuple):
    """A quantity with its gross market value and the price per unit, each to 8 places."""

    quantity: Decimal
    gmv: Decimal
    price: Decimal


def value_trade(quantity: Decimal, gmv: Decimal | None, price: Decimal | None) -> Valued:
    """Return the trade valued: price = GMV / quantity, or GMV = quantity × price, half-even to 8 places."""
    if gmv is not None:
        return Valued(quantity, gmv, ratio(gmv, quantity))
    known = price if price is not None else ZERO
    return Valued(quantity, product(quantity, known), known)


def trade_errors(trade: Valued, limits: TradeLimits, priced_by: str) -> list[FieldError]:
    """Return what the limits have against the trade; `priced_by` ("gmv" or "price") is the field to blame."""
    errors = []
    if trade.quantity > limits.max_quantity:
        errors.append(_too_much("quantity", "Quantity", limits.max_quantity))
    if trade.gmv > limits.max_gmv:
        errors.append(_too_much(priced_by, "The gross market value", limits.max_gmv))
    elif not (limits.min_price <= trade.price <= limits.max_price):
        message = f"The price per unit must be between {limits.min_price:f} and {limits.max_price:,f}."
        errors.append(FieldError(priced_by, message, "price_out_of_range"))
    elif not trade.gmv:
        errors.append(
            FieldError(priced_by, "The gross market value is too small to book.", "value_too_small")
        )
    return errors


def portfolio_name_error(name: str) -> str | None:
    """Return the sentence against a cleaned portfolio name, or None."""
    if not remove_joiners(name).strip() or name in _PATHS:
        return "Give the portfolio a name."
    if len(name) > NAME_LENGTH:
        return f"At most {NAME_LENGTH} characters."
    return "A slash cannot stand in a portfolio's name." if "/" in name else None


def _too_much(field: str, what: str, most: Decimal) -> FieldError:
    return FieldError(field, f"{what} must be at most {most:,f}.", "too_large")
