"""Exchange rates from the quotes of currency pairs: "USD/INR" is quoted in INR per USD."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from app.market_data.rules.values import Quote, compute_mark
from app.money import divide, is_storable, multiply_exactly

VEHICLE_CURRENCY = "USD"  # the cross currency of two currencies that have no pair

_ONE = Decimal(1)


class _RateFraction(NamedTuple):
    """A rate as a fraction that is not divided yet."""

    numerator: Decimal
    denominator: Decimal


def list_pairs(currency: str, base: str) -> tuple[str, ...]:
    """Return the pairs whose quotes may determine the value of `currency` in `base`."""
    pairs = [(currency, base)]
    if VEHICLE_CURRENCY not in pairs[0]:
        pairs += [(currency, VEHICLE_CURRENCY), (VEHICLE_CURRENCY, base)]
    return tuple(symbol for first, second in pairs for symbol in (f"{first}/{second}", f"{second}/{first}"))


def find_rate(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> Decimal | None:
    """Return the value of one unit of `currency` in `base`, rounded half-even to 8 decimals.

    It is the mark of their pair, or else the inverse of the reverse pair, or else the cross rate through USD.
    Return None if the quotes (by symbol) do not determine it, or if it cannot be stored.
    """
    if currency == base:
        return _ONE
    fractions = [_find_fraction(currency, base, quotes)]
    if fractions[0] is None and VEHICLE_CURRENCY not in {currency, base}:
        fractions = [
            _find_fraction(currency, VEHICLE_CURRENCY, quotes),
            _find_fraction(VEHICLE_CURRENCY, base, quotes),
        ]
    numerator = denominator = _ONE
    for fraction in fractions:
        if fraction is None:
            return None
        numerator, denominator = (
            multiply_exactly(numerator, fraction.numerator),
            multiply_exactly(denominator, fraction.denominator),
        )
    rate = divide(numerator, denominator)
    return rate if rate and is_storable(rate) else None


def _find_fraction(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> _RateFraction | None:
    direct, inverse = (_find_mark(quotes.get(symbol)) for symbol in list_pairs(currency, base)[:2])
    if direct is not None:
        return _RateFraction(direct, _ONE)
    return None if inverse is None else _RateFraction(_ONE, inverse)


def _find_mark(quote: Quote | None) -> Decimal | None:
    return None if quote is None else compute_mark(quote)
