"""Validate a reported trade: price, gross market value, limits and names."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.errors import FieldError
from app.money import ZERO, divide, multiply
from app.text import remove_joiners

MAX_NAME_CHARACTERS = 100
MAX_AHEAD = timedelta(seconds=60)  # of an execution time: clocks differ a little
_RESERVED_NAMES = {".", ".."}  # clients resolve these before they send a path


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """The inclusive bounds of one trade: quantity, gross market value and price per unit."""

    max_quantity: Decimal
    max_gmv: Decimal
    min_price: Decimal
    max_price: Decimal


class ReportedTrade(NamedTuple):
    """A reported execution. Either `gmv` or `price` is set. Names are cleaned.

    `executed_at` is None where it is the time of recording. With a `backdated_reason` it may be before the
    previous trade's. `charges` are in the portfolio's currency; None: as its cost schedule says.
    """

    symbol: str
    quantity: Decimal
    gmv: Decimal | None
    price: Decimal | None
    side: str
    portfolio_name: str
    user_id: str | None
    note: str | None
    executed_at: datetime | None = None
    backdated_reason: str | None = None
    charges: Decimal | None = None


class TradeValue(NamedTuple):
    """A quantity with its gross market value and its price per unit, each to 8 decimals."""

    quantity: Decimal
    gmv: Decimal
    price: Decimal


def compute_trade_value(quantity: Decimal, gmv: Decimal | None, price: Decimal | None) -> TradeValue:
    """Return the valued trade: price = GMV / quantity, or GMV = quantity × price, half-even to 8 decimals."""
    if gmv is not None:
        return TradeValue(quantity, gmv, divide(gmv, quantity))
    known_price = price if price is not None else ZERO
    return TradeValue(quantity, multiply(quantity, known_price), known_price)


def list_trade_errors(trade: TradeValue, limits: TradeLimits, priced_by: str) -> list[FieldError]:
    """Return the limits that the trade exceeds. `priced_by` ("gmv" or "price") is the field to report."""
    errors = []
    if trade.quantity > limits.max_quantity:
        errors.append(_build_size_error("quantity", "Quantity", limits.max_quantity))
    if trade.gmv > limits.max_gmv:
        errors.append(_build_size_error(priced_by, "The gross market value", limits.max_gmv))
    elif not (limits.min_price <= trade.price <= limits.max_price):
        message = f"The price per unit must be between {limits.min_price:f} and {limits.max_price:,f}."
        errors.append(FieldError(priced_by, message, "price_out_of_range"))
    elif not trade.gmv:
        errors.append(
            FieldError(
                priced_by,
                "The gross market value rounds to zero; report a larger quantity or price.",
                "value_too_small",
            )
        )
    return errors


def list_execution_time_errors(executed_at: datetime | None, now: datetime) -> list[FieldError]:
    """Return the errors of an execution time that do not depend on earlier trades."""
    if executed_at is None or executed_at - now <= MAX_AHEAD:
        return []
    message = f"Must be at most {MAX_AHEAD.total_seconds():.0f} seconds in the future."
    return [FieldError("executed_at", message, "future")]


def find_portfolio_name_error(name: str) -> str | None:
    """Return the message that refuses a cleaned portfolio name, or None."""
    if not remove_joiners(name).strip() or name in _RESERVED_NAMES:
        return "Give the portfolio a name."
    if len(name) > MAX_NAME_CHARACTERS:
        return f"At most {MAX_NAME_CHARACTERS} characters."
    return "A portfolio name cannot contain a slash." if "/" in name else None


def _build_size_error(field: str, description: str, most: Decimal) -> FieldError:
    return FieldError(field, f"{description} must be at most {most:,f}.", "too_large")
