"""A symbol in a batch: its instrument, its quote, and the prices and mark that follow from them."""

from decimal import Decimal
from typing import NamedTuple

from app.instruments.rules import Instrument
from app.market_data.rules.values import MarkOverride, Quote, compute_mark
from app.risk.rules.values import Prices, Tradable

_NO_PRICES = Prices()


class SymbolState(NamedTuple):
    """The instrument and the quote of a symbol, their terms and prices for the risk rules, and the mark.

    The mark is what a person set, else the mid or last of the quote; None without either.
    """

    instrument: Instrument
    quote: Quote | None
    tradable: Tradable
    prices: Prices
    mark: Decimal | None


def build_symbol_state(
    instrument: Instrument, quote: Quote | None, override: MarkOverride | None
) -> SymbolState:
    """Return the state of a symbol. `override` is the mark that a person set."""
    tradable = Tradable(
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        is_tradable=instrument.is_tradable,
        is_restricted=instrument.is_restricted,
        asset_class=instrument.asset_class,
    )
    current = get_mark(quote) if override is None else override.price
    return SymbolState(instrument, quote, tradable, get_prices(quote), current)


def get_mark(quote: Quote | None) -> Decimal | None:
    """Return the mark that a quote gives: mid, else last; None without one."""
    return None if quote is None else compute_mark(quote)


def get_prices(quote: Quote | None) -> Prices:
    """Return the quote's prices as input for the risk rules."""
    return Prices(quote.bid, quote.ask, quote.last) if quote else _NO_PRICES
