"""Prices of the paper market: the offered side of a quote, slippage, and rounding to ticks."""

from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.settings import PaperSettings, Slippage
from app.brokers.rules.values import SMALLEST, BrokerOrder
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Quote
from app.money import ZERO, round_down_to_step, round_up_to_step

_HALF = Decimal("0.5")
_BASIS_POINTS_PER_UNIT = Decimal(10_000)
_BUY = Side.BUY


class Offer(NamedTuple):
    """One side of a quote.

    It holds the price that an order of that side gets, the price that triggers its stop, and the size.
    """

    price: Decimal | None
    trigger_price: Decimal | None
    size: Decimal | None


def get_offer(quote: Quote, side: Side, settings: PaperSettings) -> Offer:
    """Return the offer of `quote` to an order of `side`.

    The price is the opposite side's, or else last ± half the set spread. Stops watch the last price, or
    else the side that they would trade at.
    """
    is_buy = side is _BUY
    price, size = (quote.ask, quote.ask_size) if is_buy else (quote.bid, quote.bid_size)
    if price is None and quote.last is not None:
        price = worsen_price(quote.last, settings.spread * _HALF, side)
    return Offer(price, price if quote.last is None else quote.last, size)


def worsen_price(price: Decimal, distance: Decimal, side: Side) -> Decimal:
    """Return `price` moved by `distance` against `side`, above zero."""
    return price + distance if side is _BUY else max(price - distance, SMALLEST)


def get_half_spread(quote: Quote, settings: PaperSettings) -> Decimal:
    """Return half the quoted spread, or half the set one if a side is missing."""
    if quote.bid is None or quote.ask is None:
        return settings.spread * _HALF
    return (quote.ask - quote.bid) * _HALF


def apply_slippage(
    order: BrokerOrder,
    price: Decimal,
    quantity: Decimal,
    settings: PaperSettings,
    half_spread: Decimal,
    volume: Decimal | None,
) -> Decimal:
    """Return the price after slippage, rounded to a tick that is no better for the order.

    `half_spread` is half the spread. `volume` is the available volume in units.
    """
    model = settings.slippage
    if model is Slippage.NONE:
        return price
    if model is Slippage.HALF_SPREAD:
        distance = half_spread
    elif model is Slippage.BASIS_POINTS:
        distance = price * settings.basis_points / _BASIS_POINTS_PER_UNIT
    else:
        share = min(quantity / volume, Decimal(1)) if volume else ZERO
        distance = price * settings.impact * share * share
    return round_to_worse_tick(worsen_price(price, distance, order.side), order)


def round_to_worse_tick(price: Decimal, order: BrokerOrder) -> Decimal:
    """Return the nearest tick that is no better for the order: up for a BUY, down for a SELL, above zero."""
    ticked = (
        round_up_to_step(price, order.tick_size)
        if order.side is _BUY
        else round_down_to_step(price, order.tick_size)
    )
    return max(ticked, order.tick_size)
