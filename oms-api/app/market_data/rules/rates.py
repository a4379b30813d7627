"""Rates of exchange, from the quotes of pairs: "USD/INR" is quoted in INR for one USD."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from app.market_data.rules.values import Quote, mark
from app.money import exact_product, fits, ratio

VEHICLE = "USD"  # where two currencies have no pair, each has one with this

_ONE = Decimal(1)


class _Leg(NamedTuple):
    """A rate that is not divided yet."""

    over: Decimal
    under: Decimal


def pairs_of(currency: str, base: str) -> tuple[str, ...]:
    """Return the symbols whose quotes may tell what `currency` is worth in `base`."""
    pairs = [(currency, base)]
    if VEHICLE not in pairs[0]:
        pairs += [(currency, VEHICLE), (VEHICLE, base)]
    return tuple(symbol for one, other in pairs for symbol in (f"{one}/{other}", f"{other}/{one}"))


def rate_of(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> Decimal | None:
    """Return how much of `base` one unit of `currency` is worth, half-even to 8 places.

    By the mark of their pair, else by the inverse of the pair the other way round, else by way of USD. None
    where the quotes (by symbol) do not tell, or the rate is none that can be stored.
    """
    if currency == base:
        return _ONE
    legs = [_leg(currency, base, quotes)]
    if legs[0] is None and VEHICLE not in {currency, base}:
        legs = [_leg(currency, VEHICLE, quotes), _leg(VEHICLE, base, quotes)]
    over = under = _ONE
    for leg in legs:
        if leg is None:
            return None
        over, under = exact_product(over, leg.over), exact_product(under, leg.under)
    rate = ratio(over, under)
    return rate if rate and fits(rate) else None


def _leg(currency: str, base: str, quotes: Mapping[str, Quote | None]) -> _Leg | None:
    direct, inverse = (_mark(quotes.get(symbol)) for symbol in pairs_of(currency, base)[:2])
    if direct is not None:
        return _Leg(direct, _ONE)
    return None if inverse is None else _Leg(_ONE, inverse)


def _mark(quote: Quote | None) -> Decimal | None:
    return None if quote is None else mark(quote)
