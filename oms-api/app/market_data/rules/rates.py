"""Exchange rates from the quotes of currency pairs: "USD/INR" is quoted in INR per USD."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from app.market_data.rules.values import Quote, compute_mark
from app.money import divide, is_storable, multiply_exactly

VEHICLE = "USD"  # the cross currency of two currencies that have no pair

_ONE = Decimal(1)


class _Leg(NamedTuple):
    """A rate as a fraction that is not divided yet."""

    over: Decimal
    under: Decimal


def list_pairs(currency: str, base: str) -> tuple[str, ...]:
    """Return the pairs whose quotes may determine the value of `currency` in `base`."""
    pairs = [(currency, base)]
    if VEHICLE not in pairs[0]:
        pairs += [(currency, VEHICLE), (VEHICLE, base)]
    return tuple(symbol for first, second in pairs for symbol in (f"{first}/{second}", f"{second}/{first}"))


def find_rate(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> Decimal | None:
    """Return the value of one unit of `currency` in `base`, rounded half-even to 8 decimals.

    It is the mark of their pair, or else the inverse of the reverse pair, or else the cross rate through USD.
    Return None if the quotes (by symbol) do not determine it, or if it cannot be stored.
    """
    if currency == base:
        return _ONE
    legs = [_find_leg(currency, base, quotes)]
    if legs[0] is None and VEHICLE not in {currency, base}:
        legs = [_find_leg(currency, VEHICLE, quotes), _find_leg(VEHICLE, base, quotes)]
    over = under = _ONE
    for leg in legs:
        if leg is None:
            return None
        over, under = multiply_exactly(over, leg.over), multiply_exactly(under, leg.under)
    rate = divide(over, under)
    return rate if rate and is_storable(rate) else None


def _find_leg(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> _Leg | None:
    direct, inverse = (_mark(quotes.get(symbol)) for symbol in list_pairs(currency, base)[:2])
    if direct is not None:
        return _Leg(direct, _ONE)
    return None if inverse is None else _Leg(_ONE, inverse)


def _mark(quote: Quote | None) -> Decimal | None:
    return None if quote is None else compute_mark(quote)
