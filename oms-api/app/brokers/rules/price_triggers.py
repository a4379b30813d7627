"""The effect of a quote or bar on one order, before the available quantity is considered."""

from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.prices import Offer, round_to_worse_tick, worsen_price
from app.brokers.rules.settings import PaperSettings
from app.brokers.rules.trails import advance_trail, is_stop_reached
from app.brokers.rules.values import BrokerOrder, OrderType
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar
from app.money import ZERO

_BUY = Side.BUY
_MARKET, _LIMIT = OrderType.MARKET, OrderType.LIMIT
_STOP_LIMIT, _TRAIL = OrderType.STOP_LIMIT, OrderType.TRAILING_STOP
_HALF = Decimal("0.5")

# The order in which orders are matched: at market, then stops (the worse of a pair first), then limits.
AT_MARKET, AT_STOP, AT_LIMIT = 0, 1, 2


class PriceEffect(NamedTuple):
    """The effect of a price on an order.

    `price` is the price at which the order would trade; None means that it does not trade. `level` is the new
    level of a trailing stop. `rank` and `key` determine the order of matching. `has_slippage` states whether
    slippage applies, which it never does to a limit.
    """

    price: Decimal | None = None
    is_triggered: bool = False
    level: Decimal | None = None
    rank: int = AT_MARKET
    key: Decimal = ZERO
    has_slippage: bool = True


NOTHING = PriceEffect()


def match_at_quote(order: BrokerOrder, offer: Offer) -> PriceEffect:
    """Return the effect of the order's side of a quote."""
    kind, price = order.kind, offer.price
    if kind is _LIMIT or (kind is _STOP_LIMIT and order.triggered):
        return _apply_limit(order, price)
    if kind is _MARKET or order.triggered:
        return PriceEffect(price)
    return _stop_at_quote(order, offer)


def _apply_limit(order: BrokerOrder, price: Decimal | None, *, is_triggered: bool = False) -> PriceEffect:
    """Return the effect on a limit order: it fills at the opposite side if that is within the limit."""
    limit = _get_limit_price(order)
    if price is None or (price > limit if order.side is _BUY else price < limit):
        return PriceEffect(None, is_triggered) if is_triggered else NOTHING
    return PriceEffect(price, is_triggered, None, AT_LIMIT, -limit if order.side is _BUY else limit, False)


def _stop_at_quote(order: BrokerOrder, offer: Offer) -> PriceEffect:
    if offer.trigger_price is None:
        return NOTHING
    stop = _find_stop_price(order)
    if stop is None or not is_stop_reached(order.side, offer.trigger_price, stop):
        return (
            PriceEffect(level=advance_trail(order, offer.trigger_price)) if order.kind is _TRAIL else NOTHING
        )
    if order.kind is _STOP_LIMIT:
        return _apply_limit(order, offer.price, is_triggered=True)._replace(
            rank=AT_STOP, key=_stop_key(order, stop)
        )
    return PriceEffect(offer.price, True, None, AT_STOP, _stop_key(order, stop))


def match_on_bar(order: BrokerOrder, bar: Bar, settings: PaperSettings) -> PriceEffect:
    """Return the effect of a bar that began after the order arrived."""
    kind = order.kind
    if kind is _LIMIT or (kind is _STOP_LIMIT and order.triggered):
        return _limit_on_bar(order, bar, bar.open)
    if kind is _MARKET or order.triggered:
        return PriceEffect(_compute_spread(order, bar.open, settings))
    return _stop_on_bar(order, bar)


def _limit_on_bar(order: BrokerOrder, bar: Bar, best: Decimal) -> PriceEffect:
    """Return the effect of a bar on a limit order.

    The price must cross the limit, not only touch it. A bar that opens beyond the limit fills at the open.
    """
    limit = _get_limit_price(order)
    if order.side is _BUY:
        crossed, price, key = bar.low < limit, min(best, limit), -limit
    else:
        crossed, price, key = bar.high > limit, max(best, limit), limit
    return PriceEffect(price, False, None, AT_LIMIT, key, False) if crossed else NOTHING


def _stop_on_bar(order: BrokerOrder, bar: Bar) -> PriceEffect:
    stop = _find_stop_price(order)
    is_buy = order.side is _BUY
    if stop is None or not is_stop_reached(order.side, bar.high if is_buy else bar.low, stop):
        best = bar.low if is_buy else bar.high
        return PriceEffect(level=advance_trail(order, best)) if order.kind is _TRAIL else NOTHING
    price = max(bar.open, stop) if is_buy else min(bar.open, stop)
    if order.kind is _STOP_LIMIT:
        return _stop_limit_on_bar(order, bar, stop, price)
    return PriceEffect(price, True, None, AT_STOP, _stop_key(order, stop))


def _stop_limit_on_bar(order: BrokerOrder, bar: Bar, stop: Decimal, price: Decimal) -> PriceEffect:
    """Return the effect of a bar on a triggered stop-limit order.

    It fills at the stop if that is within the limit. After an opening gap it fills at the limit if the bar
    returns to it. Otherwise it is a limit order from the next bar on.
    """
    limit, key = _get_limit_price(order), _stop_key(order, stop)
    if is_stop_reached(order.side, limit, price):
        return PriceEffect(price, True, None, AT_STOP, key, False)
    gapped = is_stop_reached(order.side, bar.open, stop)
    comes_back = bar.low < limit if order.side is _BUY else bar.high > limit
    if gapped and comes_back:
        return PriceEffect(limit, True, None, AT_STOP, key, False)
    return PriceEffect(None, True, None, AT_STOP, key)


def _compute_spread(order: BrokerOrder, price: Decimal, settings: PaperSettings) -> Decimal:
    if not settings.spread:
        return price
    return round_to_worse_tick(worsen_price(price, settings.spread * _HALF, order.side), order)


def _stop_key(order: BrokerOrder, stop: Decimal) -> Decimal:
    """Return the sort key of a stop: the stop that the price reaches first comes first."""
    return stop if order.side is _BUY else -stop


def _get_limit_price(order: BrokerOrder) -> Decimal:
    if order.limit_price is None:
        raise ValueError(f"order {order.id} has no limit price")
    return order.limit_price


def _find_stop_price(order: BrokerOrder) -> Decimal | None:
    """Return the trigger price. A trailing stop has none before its first price."""
    if order.kind is _TRAIL:
        return order.trail_level
    if order.stop_price is None:
        raise ValueError(f"order {order.id} has no stop price")
    return order.stop_price
