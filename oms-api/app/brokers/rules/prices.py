"""Prices of the paper market: what a quote offers, what slippage makes of it, the tick it ends on."""

from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.settings import PaperSettings, Slippage
from app.brokers.rules.values import SMALLEST, BrokerOrder
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Quote
from app.money import ZERO, ceiling_to, round_down_to

_HALF = Decimal("0.5")
_BASIS = Decimal(10_000)
_BUY = Side.BUY


class Offer(NamedTuple):
    """One side of a quote: what an order of that side pays or gets, what its stop watches, what may fill."""

    price: Decimal | None
    watched: Decimal | None
    size: Decimal | None


def offer(quote: Quote, side: Side, settings: PaperSettings) -> Offer:
    """Return what `quote` offers an order of `side`: the other side, else last ± half the spread set.

    Stops watch the last price, else the side they would trade at.
    """
    is_buy = side is _BUY
    price, size = (quote.ask, quote.ask_size) if is_buy else (quote.bid, quote.bid_size)
    if price is None and quote.last is not None:
        price = away(quote.last, settings.spread * _HALF, side)
    return Offer(price, price if quote.last is None else quote.last, size)


def away(price: Decimal, distance: Decimal, side: Side) -> Decimal:
    """Return `price` made worse for `side` by `distance`; above zero."""
    return price + distance if side is _BUY else max(price - distance, SMALLEST)


def half_spread(quote: Quote, settings: PaperSettings) -> Decimal:
    """Return half the quoted spread, or half the one set where a side is missing."""
    if quote.bid is None or quote.ask is None:
        return settings.spread * _HALF
    return (quote.ask - quote.bid) * _HALF


def slipped(
    order: BrokerOrder,
    price: Decimal,
    quantity: Decimal,
    settings: PaperSettings,
    half: Decimal,
    volume: Decimal | None,
) -> Decimal:
    """Return the price after slippage, on a tick that is no better for the order.

    `half` is half the spread, `volume` what the market has to give, in units.
    """
    how = settings.slippage
    if how is Slippage.NONE:
        return price
    if how is Slippage.HALF_SPREAD:
        distance = half
    elif how is Slippage.BASIS_POINTS:
        distance = price * settings.basis_points / _BASIS
    else:
        share = min(quantity / volume, Decimal(1)) if volume else ZERO
        distance = price * settings.impact * share * share
    return worse_tick(away(price, distance, order.side), order)


def worse_tick(price: Decimal, order: BrokerOrder) -> Decimal:
    """Return the nearest tick that is no better for the order: up for a BUY, down for a SELL, above zero."""
    ticked = ceiling_to(price, order.tick) if order.side is _BUY else round_down_to(price, order.tick)
    return max(ticked, order.tick)
