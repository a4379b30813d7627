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
MARKET_PRIORITY, STOP_PRIORITY, LIMIT_PRIORITY = 0, 1, 2


class PriceEffect(NamedTuple):
    """The effect of a price on an order.

    `price` is the price at which the order would trade; None means that it does not trade. `trail_level` is
    the new level of a trailing stop. Orders are matched by `priority`, then by `priority_price`, the lowest
    first. `has_slippage` states whether slippage applies, which it never does to a limit.
    """

    price: Decimal | None = None
    is_triggered: bool = False
    trail_level: Decimal | None = None
    priority: int = MARKET_PRIORITY
    priority_price: Decimal = ZERO
    has_slippage: bool = True


NO_EFFECT = PriceEffect()


def match_at_quote(order: BrokerOrder, offer: Offer) -> PriceEffect:
    """Return the effect of the order's side of a quote."""
    order_type = order.type
    if order_type is _LIMIT or (order_type is _STOP_LIMIT and order.is_triggered):
        return _match_limit_at_price(order, offer.price)
    if order_type is _MARKET or order.is_triggered:
        return PriceEffect(offer.price)
    return _match_stop_at_quote(order, offer)


def _match_limit_at_price(
    order: BrokerOrder, price: Decimal | None, *, is_triggered: bool = False
) -> PriceEffect:
    """Return the effect on a limit order: it fills at the opposite side if that is within the limit."""
    limit = _get_limit_price(order)
    if price is None or (price > limit if order.side is _BUY else price < limit):
        return PriceEffect(None, is_triggered) if is_triggered else NO_EFFECT
    return PriceEffect(
        price, is_triggered, None, LIMIT_PRIORITY, -limit if order.side is _BUY else limit, False
    )


def _match_stop_at_quote(order: BrokerOrder, offer: Offer) -> PriceEffect:
    if offer.trigger_price is None:
        return NO_EFFECT
    stop = _find_stop_price(order)
    if stop is None or not is_stop_reached(order.side, offer.trigger_price, stop):
        return (
            PriceEffect(trail_level=advance_trail(order, offer.trigger_price))
            if order.type is _TRAIL
            else NO_EFFECT
        )
    if order.type is _STOP_LIMIT:
        return _match_limit_at_price(order, offer.price, is_triggered=True)._replace(
            priority=STOP_PRIORITY, priority_price=_get_stop_priority_price(order, stop)
        )
    return PriceEffect(offer.price, True, None, STOP_PRIORITY, _get_stop_priority_price(order, stop))


def match_on_bar(order: BrokerOrder, bar: Bar, settings: PaperSettings) -> PriceEffect:
    """Return the effect of a bar that began after the order arrived."""
    order_type = order.type
    if order_type is _LIMIT or (order_type is _STOP_LIMIT and order.is_triggered):
        return _match_limit_on_bar(order, bar, bar.open)
    if order_type is _MARKET or order.is_triggered:
        return PriceEffect(_add_half_spread(order, bar.open, settings))
    return _match_stop_on_bar(order, bar)


def _match_limit_on_bar(order: BrokerOrder, bar: Bar, best: Decimal) -> PriceEffect:
    """Return the effect of a bar on a limit order.

    The price must cross the limit, not only touch it. A bar that opens beyond the limit fills at the open.
    """
    limit = _get_limit_price(order)
    if order.side is _BUY:
        crossed, price, priority_price = bar.low < limit, min(best, limit), -limit
    else:
        crossed, price, priority_price = bar.high > limit, max(best, limit), limit
    return PriceEffect(price, False, None, LIMIT_PRIORITY, priority_price, False) if crossed else NO_EFFECT


def _match_stop_on_bar(order: BrokerOrder, bar: Bar) -> PriceEffect:
    stop = _find_stop_price(order)
    is_buy = order.side is _BUY
    if stop is None or not is_stop_reached(order.side, bar.high if is_buy else bar.low, stop):
        best = bar.low if is_buy else bar.high
        return PriceEffect(trail_level=advance_trail(order, best)) if order.type is _TRAIL else NO_EFFECT
    price = max(bar.open, stop) if is_buy else min(bar.open, stop)
    if order.type is _STOP_LIMIT:
        return _match_stop_limit_on_bar(order, bar, stop, price)
    return PriceEffect(price, True, None, STOP_PRIORITY, _get_stop_priority_price(order, stop))


def _match_stop_limit_on_bar(order: BrokerOrder, bar: Bar, stop: Decimal, price: Decimal) -> PriceEffect:
    """Return the effect of a bar on a triggered stop-limit order.

    It fills at the stop if that is within the limit. After an opening gap it fills at the limit if the bar
    returns to it. Otherwise it is a limit order from the next bar on.
    """
    limit = _get_limit_price(order)
    priority_price = _get_stop_priority_price(order, stop)
    if is_stop_reached(order.side, limit, price):
        return PriceEffect(price, True, None, STOP_PRIORITY, priority_price, False)
    opens_beyond_stop = is_stop_reached(order.side, bar.open, stop)
    returns_to_limit = bar.low < limit if order.side is _BUY else bar.high > limit
    if opens_beyond_stop and returns_to_limit:
        return PriceEffect(limit, True, None, STOP_PRIORITY, priority_price, False)
    return PriceEffect(None, True, None, STOP_PRIORITY, priority_price)


def _add_half_spread(order: BrokerOrder, price: Decimal, settings: PaperSettings) -> Decimal:
    if not settings.spread:
        return price
    return round_to_worse_tick(worsen_price(price, settings.spread * _HALF, order.side), order)


def _get_stop_priority_price(order: BrokerOrder, stop: Decimal) -> Decimal:
    """Return the priority price of a stop: the stop that the price reaches first comes first."""
    return stop if order.side is _BUY else -stop


def _get_limit_price(order: BrokerOrder) -> Decimal:
    if order.limit_price is None:
        raise ValueError(f"order {order.id} has no limit price")
    return order.limit_price


def _find_stop_price(order: BrokerOrder) -> Decimal | None:
    """Return the trigger price. A trailing stop has none before its first price."""
    if order.type is _TRAIL:
        return order.trail_level
    if order.stop_price is None:
        raise ValueError(f"order {order.id} has no stop price")
    return order.stop_price
