"""The paper market: which working orders fill at a quote or a bar, at which price and quantity.

Paper portfolios, backtests and `brokers.in_memory` share these pure functions. All orders passed to a call
have the same symbol. Each event concerns one order, and the events of an order are in time order.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.brokers.rules.liquidity import ConsumedQuantities, Liquidity
from app.brokers.rules.price_triggers import NO_EFFECT, PriceEffect, match_at_quote, match_on_bar
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
_IMMEDIATE_TIMES_IN_FORCE = frozenset({TimeInForce.IOC, _FOK})
_AUCTION_TIMES_IN_FORCE = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_TYPES_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})
_UNFILLED = "No more quantity was available immediately."
_FULL_PARTICIPATION = Decimal(1)
_TWO = Decimal(2)
_NOTHING_CONSUMED: ConsumedQuantities = {}

_PricedOrder = tuple[BrokerOrder, PriceEffect]


def compute_fills(
    orders: Sequence[BrokerOrder],
    quote: Quote,
    at: datetime,
    settings: PaperSettings = IDEAL_MARKET,
    consumed_quantities: ConsumedQuantities = _NOTHING_CONSUMED,
) -> list[MarketEvent]:
    """Return the events of matching `orders` against `quote` at the instant `at`.

    `orders` may include orders that arrived after the quote. `consumed_quantities` are the quantities of this
    quote, in units, that each portfolio has already traded on each side.
    """
    buying, selling = get_offer(quote, _BUY, settings), get_offer(quote, _SELL, settings)
    latest = at - settings.latency
    priced_orders, trail_moves = _select_orders(
        (order, match_at_quote(order, buying if order.side is _BUY else selling))
        for order in orders
        if order.accepted_at <= latest and order.time_in_force not in _AUCTION_TIMES_IN_FORCE
    )
    if not priced_orders:
        return trail_moves
    volumes = {_BUY: buying.size, _SELL: selling.size}
    supply = Liquidity(
        volumes, settings.participation or _FULL_PARTICIPATION, consumed_quantities, by_side=True
    )
    return trail_moves + _MatchingRun(
        at, settings, get_half_spread(quote, settings), supply
    ).match_in_priority_order(priced_orders)


def match_bar(
    orders: Sequence[BrokerOrder], bar: Bar, settings: PaperSettings = IDEAL_MARKET
) -> list[MarketEvent]:
    """Return the events of matching `orders` against `bar`. Skip orders that arrived after it began."""
    start = bar.start
    latest = start - settings.latency
    priced_orders, trail_moves = _select_orders(
        (order, match_on_bar(order, bar, settings))
        for order in orders
        if order.accepted_at <= latest and order.time_in_force not in _AUCTION_TIMES_IN_FORCE
    )
    if not priced_orders:
        return trail_moves
    supply = Liquidity(
        {_BUY: bar.volume, _SELL: bar.volume}, settings.participation, _NOTHING_CONSUMED, by_side=False
    )
    return trail_moves + _MatchingRun(
        start, settings, settings.spread / _TWO, supply
    ).match_in_priority_order(priced_orders)


def match_without_quote(orders: Sequence[BrokerOrder], at: datetime) -> list[MarketEvent]:
    """Return the events of orders without a quote: IOC and FOK orders are canceled, others wait."""
    return [
        UnfilledCanceled(order.id, "There is no price.", at)
        for order in orders
        if order.time_in_force in _IMMEDIATE_TIMES_IN_FORCE
    ]


def _select_orders(
    orders_with_effects: Iterable[_PricedOrder],
) -> tuple[list[_PricedOrder], list[MarketEvent]]:
    """Return the orders that trade, trigger or end, in price-time priority, and the trail moves."""
    priced_orders: list[_PricedOrder] = []
    trail_moves: list[MarketEvent] = []
    for order, effect in orders_with_effects:
        if effect is NO_EFFECT and order.time_in_force not in _IMMEDIATE_TIMES_IN_FORCE:
            continue  # the usual case
        if effect.price is not None or effect.is_triggered or _is_ending_now(order):
            priced_orders.append((order, effect))
        elif effect.trail_level is not None:
            trail_moves.append(TrailMoved(order.id, effect.trail_level))
    if len(priced_orders) > 1:
        priced_orders.sort(key=_get_priority)
    return priced_orders, trail_moves


def _get_priority(order_with_effect: _PricedOrder) -> tuple[int, Decimal, datetime, str]:
    order, effect = order_with_effect
    return effect.priority, effect.priority_price, order.accepted_at, order.id


def _is_ending_now(order: BrokerOrder) -> bool:
    """Return whether an order ends after this match. IOC and FOK stops wait for their trigger."""
    if order.time_in_force not in _IMMEDIATE_TIMES_IN_FORCE:
        return False
    return order.is_triggered or order.type in _TYPES_WITHOUT_STOP


class _MatchingRun:
    """One matching pass: orders are served in priority order and share the available quantity."""

    def __init__(
        self, at: datetime, settings: PaperSettings, half_spread: Decimal, supply: Liquidity
    ) -> None:
        self._at = at
        self._settings = settings
        self._half_spread = half_spread
        self._supply = supply
        self._events: list[MarketEvent] = []
        self._filled_by_group: dict[str, Decimal] = {}  # the filled quantity of each group
        self._ended: set[str] = set()  # parents whose child orders have filled

    def match_in_priority_order(self, priced_orders: list[_PricedOrder]) -> list[MarketEvent]:
        for order, effect in priced_orders:
            leaves = (
                order.leaves - self._filled_by_group.get(order.group_id, ZERO)
                if order.group_id
                else order.leaves
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
        if quantity < leaves and order.time_in_force in _IMMEDIATE_TIMES_IN_FORCE:
            self._events.append(UnfilledCanceled(order.id, _UNFILLED, self._at))

    def _compute_price(
        self, order: BrokerOrder, effect: PriceEffect, price: Decimal, quantity: Decimal
    ) -> Decimal:
        if not effect.has_slippage:
            return price
        volume = self._supply.get_volume(order.side)
        return apply_slippage(order, price, quantity, self._settings, self._half_spread, volume)

    def _fill(self, order: BrokerOrder, quantity: Decimal, price: Decimal, value: Decimal) -> Decimal:
        """Return the filled quantity, or zero if the value is too small for the ledger to open a position."""
        if not value and not order.is_reducing:
            return ZERO
        self._supply.consume(order, quantity)
        if order.group_id:
            self._filled_by_group[order.group_id] = self._filled_by_group.get(order.group_id, ZERO) + quantity
        if order.parent_id:
            self._ended.add(order.parent_id)
        self._events.append(Executed(order.id, build_execution_id(order), quantity, price, value, self._at))
        return quantity


def build_execution_id(order: BrokerOrder) -> str:
    """Return the id of the order's next fill, derived from the quantity filled before."""
    return f"{order.id}:{format_plain_amount(order.quantity - order.leaves)}"
