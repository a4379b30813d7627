"""The paper market: which working orders fill at a quote or a bar, at which price and quantity.

The paper broker and backtests share these pure functions. All orders passed to a call have the same symbol.
Each event concerns one order, and the events of an order are in time order.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.brokers.rules.liquidity import Liquidity, UsedQuantities
from app.brokers.rules.price_triggers import NOTHING, PriceEffect, match_at_quote, match_on_bar
from app.brokers.rules.prices import apply_slippage, get_half_spread, get_offer
from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.brokers.rules.values import (
    BrokerOrder,
    Executed,
    MarketEvent,
    OrderType,
    TimeInForce,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)  # fmt: skip
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar, Quote
from app.money import ZERO, format_plain_amount, multiply

_BUY, _SELL = Side.BUY, Side.SELL
_FOK = TimeInForce.FOK
_AT_ONCE = frozenset({TimeInForce.IOC, _FOK})
_AT_AUCTION = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})
_UNFILLED = "No more quantity was available immediately."
_ALL = Decimal(1)
_TWO = Decimal(2)
_NO_USE: UsedQuantities = {}

_PricedOrder = tuple[BrokerOrder, PriceEffect]


def compute_fills(
    orders: Sequence[BrokerOrder],
    quote: Quote,
    at: datetime,
    settings: PaperSettings = IDEAL_MARKET,
    used: UsedQuantities = _NO_USE,
) -> list[MarketEvent]:
    """Return the events of matching `orders` against `quote` at the instant `at`.

    `orders` may include orders that arrived after the quote. `used` is the quantity of this quote, in units,
    that each portfolio has already traded on each side.
    """
    buying, selling = get_offer(quote, _BUY, settings), get_offer(quote, _SELL, settings)
    latest = at - settings.latency
    priced_orders, moves = _select_orders(
        (order, match_at_quote(order, buying if order.side is _BUY else selling))
        for order in orders
        if order.accepted_at <= latest and order.time_in_force not in _AT_AUCTION
    )
    if not priced_orders:
        return moves
    volumes = {_BUY: buying.size, _SELL: selling.size}
    supply = Liquidity(volumes, settings.participation or _ALL, used, by_side=True)
    return moves + _MatchingRun(
        at, settings, get_half_spread(quote, settings), supply
    ).match_in_priority_order(priced_orders)


def match_bar(
    orders: Sequence[BrokerOrder], bar: Bar, settings: PaperSettings = IDEAL_MARKET
) -> list[MarketEvent]:
    """Return the events of matching `orders` against `bar`. Skip orders that arrived after it began."""
    start = bar.start
    latest = start - settings.latency
    priced_orders, moves = _select_orders(
        (order, match_on_bar(order, bar, settings))
        for order in orders
        if order.accepted_at <= latest and order.time_in_force not in _AT_AUCTION
    )
    if not priced_orders:
        return moves
    supply = Liquidity({_BUY: bar.volume, _SELL: bar.volume}, settings.participation, _NO_USE, by_side=False)
    return moves + _MatchingRun(start, settings, settings.spread / _TWO, supply).match_in_priority_order(
        priced_orders
    )


def match_without_quote(orders: Sequence[BrokerOrder], at: datetime) -> list[MarketEvent]:
    """Return the events of orders that arrive without a quote: IOC and FOK orders lapse, others wait."""
    return [
        UnfilledCanceled(order.id, "There is no price.", at)
        for order in orders
        if order.time_in_force in _AT_ONCE
    ]


def _select_orders(
    orders_with_effects: Iterable[_PricedOrder],
) -> tuple[list[_PricedOrder], list[MarketEvent]]:
    """Return the orders that trade, trigger or end, in price-time priority, and the moved trailing stops."""
    priced_orders: list[_PricedOrder] = []
    moves: list[MarketEvent] = []
    for order, effect in orders_with_effects:
        if effect is NOTHING and order.time_in_force not in _AT_ONCE:
            continue  # the usual case
        if effect.price is not None or effect.is_triggered or _ends_now(order):
            priced_orders.append((order, effect))
        elif effect.level is not None:
            moves.append(TrailMoved(order.id, effect.level))
    if len(priced_orders) > 1:
        priced_orders.sort(key=_get_priority)
    return priced_orders, moves


def _get_priority(order_with_effect: _PricedOrder) -> tuple[int, Decimal, datetime, str]:
    order, effect = order_with_effect
    return effect.rank, effect.key, order.accepted_at, order.id


def _ends_now(order: BrokerOrder) -> bool:
    """Return whether an order ends after this match. IOC and FOK stops wait for their trigger."""
    if order.time_in_force not in _AT_ONCE:
        return False
    return order.triggered or order.kind in _WITHOUT_STOP


class _MatchingRun:
    """One matching pass: orders are served in priority order and share the available quantity."""

    def __init__(self, at: datetime, settings: PaperSettings, half: Decimal, supply: Liquidity) -> None:
        self._at = at
        self._settings = settings
        self._half = half
        self._supply = supply
        self._events: list[MarketEvent] = []
        self._filled_by_group: dict[str, Decimal] = {}  # the filled quantity of each group
        self._ended: set[str] = set()  # parents whose child orders have filled

    def match_in_priority_order(self, priced_orders: list[_PricedOrder]) -> list[MarketEvent]:
        for order, effect in priced_orders:
            leaves = (
                order.leaves - self._filled_by_group.get(order.group, ZERO) if order.group else order.leaves
            )
            if leaves > ZERO and order.id not in self._ended:
                self._match_order(order, effect, leaves)
        return self._events

    def _match_order(self, order: BrokerOrder, effect: PriceEffect, leaves: Decimal) -> None:
        if effect.is_triggered:
            self._events.append(Triggered(order.id, self._at))
        quantity = ZERO if effect.price is None else self._supply.compute_available(order, leaves)
        if order.time_in_force is _FOK and quantity < leaves:
            quantity = ZERO
        if quantity and effect.price is not None:
            price = self._compute_price(order, effect, effect.price, quantity)
            quantity = self._fill(order, quantity, price, multiply(quantity, price))
        if quantity < leaves and order.time_in_force in _AT_ONCE:
            self._events.append(UnfilledCanceled(order.id, _UNFILLED, self._at))

    def _compute_price(
        self, order: BrokerOrder, effect: PriceEffect, price: Decimal, quantity: Decimal
    ) -> Decimal:
        if not effect.has_slippage:
            return price
        volume = self._supply.get_volume(order.side)
        return apply_slippage(order, price, quantity, self._settings, self._half, volume)

    def _fill(self, order: BrokerOrder, quantity: Decimal, price: Decimal, value: Decimal) -> Decimal:
        """Return the filled quantity, or zero if the value is too small for the ledger to open a position."""
        if not value and not order.reduces:
            return ZERO
        self._supply.consume(order, quantity)
        if order.group:
            self._filled_by_group[order.group] = self._filled_by_group.get(order.group, ZERO) + quantity
        if order.parent_id:
            self._ended.add(order.parent_id)
        self._events.append(Executed(order.id, build_execution_id(order), quantity, price, value, self._at))
        return quantity


def build_execution_id(order: BrokerOrder) -> str:
    """Return the id of the order's next fill, derived from the quantity filled before."""
    return f"{order.id}:{format_plain_amount(order.quantity - order.leaves)}"
