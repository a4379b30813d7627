"""The charges that are booked with a trade, in its portfolio's currency.

A portfolio keeps the totals that the US fees of its last New York day are computed from ("fee totals"), as
JSON text: the day, units on both sides, the value sold, and the trading activity fee, unrounded.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

import orjson

from app.costs.rules.charges import compute_fill_charges
from app.costs.rules.markets import MARKETS, get_trading_day, is_covered
from app.costs.rules.rates import RateTable
from app.costs.rules.values import (
    ChargedExecution,
    ChargeTotals,
    DayTotals,
    OrderTerms,
    OrderTotals,
    Schedule,
)
from app.money import ZERO, format_fixed, format_money, multiply, parse_plain

_NO_COMPONENTS: Mapping[str, Decimal] = MappingProxyType({})


class ChargedTrade(NamedTuple):
    """The inputs of the charges of a trade.

    `exchange` is empty where the instrument has none, `product` where the trade has none. `currency` is that
    of the execution's value, `rate` the portfolio's per unit of it, None where it is the portfolio's own.
    `is_square_off` marks a close by the broker at the end of the day.
    """

    schedule: str
    exchange: str
    product: str
    side: str
    execution: ChargedExecution
    currency: str
    rate: Decimal | None
    at: datetime
    is_square_off: bool = False


class BookedCharges(NamedTuple):
    """The charges of a trade in its portfolio's currency; the total is the sum of the components.

    `fee_totals` are the portfolio's after the trade, None where they stay as they are.
    """

    total: Decimal = ZERO
    components: Mapping[str, Decimal] = _NO_COMPONENTS
    fee_totals: str | None = None


NO_CHARGES = BookedCharges()


class InvalidCharges(ValueError):
    """Raised when `format_components` cannot have returned the text."""


def compute_booked_charges(
    trade: ChargedTrade, order_totals: OrderTotals, fee_totals: str | None, table: RateTable
) -> BookedCharges:
    """Return the charges of a trade whose order has filled `order_totals` on the same day before it.

    A trade in another currency than its market's is not covered. Raises RateUnknown.
    """
    market = MARKETS.get(trade.exchange)
    if market is None or market.currency != trade.currency:
        return NO_CHARGES
    on = get_trading_day(trade.exchange, trade.at)
    schedule, product_name = Schedule(trade.schedule), trade.product or None
    order = OrderTerms(schedule, trade.exchange, trade.side, on, product_name, trade.is_square_off)
    if order.schedule is Schedule.NONE or not is_covered(order):
        return NO_CHARGES
    day, totals = _parse_fee_totals(fee_totals)
    previous = totals if day == on else DayTotals()
    fill_charges = compute_fill_charges(order, ChargeTotals(order_totals, previous), trade.execution, table)
    components = {
        name: amount if trade.rate is None else multiply(amount, trade.rate)
        for name, amount in fill_charges.charges.list_components(order.schedule).items()
    }
    current = fill_charges.totals.day
    is_kept = current == previous or (day is not None and day > on)
    return BookedCharges(
        sum(components.values(), ZERO), components, None if is_kept else _format_fee_totals(on, current)
    )


def format_components(charges: BookedCharges) -> str | None:
    """Return the components as a JSON object of canonical amounts, None where there are none."""
    if not charges.components:
        return None
    return orjson.dumps({name: format_fixed(amount) for name, amount in charges.components.items()}).decode()


def parse_components(text: str | None) -> dict[str, Decimal]:
    """Return the components that the text holds. Raises InvalidCharges."""
    try:
        components = {} if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidCharges("Charges must be JSON text.") from None
    if not isinstance(components, dict):
        raise InvalidCharges("Charges must be an object.")
    return {name: _parse_amount(amount) for name, amount in components.items()}


def has_components(text: str | None) -> bool:
    """Return whether `parse_components` reads the text."""
    try:
        parse_components(text)
    except InvalidCharges:
        return False
    return True


def serialize_charges(text: str | None) -> dict[str, str]:
    """Return the total and the components that the text holds, as on the wire. Raises InvalidCharges."""
    components = parse_components(text)
    amounts = {"total": sum(components.values(), ZERO), **components}
    return {name: format_money(amount) for name, amount in amounts.items()}


def _parse_amount(text: object) -> Decimal:
    amount = parse_plain(text) if isinstance(text, str) else None
    if amount is None:
        raise InvalidCharges("Charges must be plain decimal numbers.")
    return amount


def _parse_fee_totals(text: str | None) -> tuple[date | None, DayTotals]:
    if text is None:
        return None, DayTotals()
    day, *amounts = orjson.loads(text)
    return date.fromisoformat(day), DayTotals(*map(Decimal, amounts))


def _format_fee_totals(day: date, totals: DayTotals) -> str:
    return orjson.dumps([day.isoformat(), *(f"{amount:f}" for amount in totals)]).decode()
