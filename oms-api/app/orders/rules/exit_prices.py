"""Rules for the prices of exits: beyond the entry's price, not yet reached by the market, and on tick."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from app.brokers.rules.trails import is_stop_reached
from app.brokers.rules.values import OrderType
from app.ledger.rules.accounting import Side
from app.ledger.rules.marks import ExitPrices
from app.money import round_down_to_step, round_up_to_step
from app.orders.rules.contingency import OCO_ROLES, find_oco_group_id
from app.orders.rules.values import WORKING_STATUSES, Order, Role
from app.risk.rules.exposure import get_touch_price
from app.risk.rules.values import Prices

_STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def compute_exit_prices(quantity: Decimal, orders: Iterable[Order]) -> ExitPrices:
    """Return the nearest stop-loss and take-profit price of a position of the signed `quantity`.

    Only working exits and OCO orders count.
    """
    side = "SELL" if quantity > 0 else "BUY"
    exits = [
        order
        for order in orders
        if order.side == side and order.role in OCO_ROLES and order.status in WORKING_STATUSES
    ]
    take_profit_prices = [
        exit_order.limit_price
        for exit_order in exits
        if exit_order.type is OrderType.LIMIT and exit_order.limit_price
    ]
    stop_prices = (
        exit_order.trail_level or exit_order.stop_price
        for exit_order in exits
        if exit_order.type is not OrderType.LIMIT
    )
    stop_loss_prices = [price for price in stop_prices if price is not None]
    nearest_stop, nearest_target = (max, min) if side == "SELL" else (min, max)
    return ExitPrices(
        nearest_stop(stop_loss_prices, default=None), nearest_target(take_profit_prices, default=None)
    )


def list_entry_prices(entry: Order, prices: Prices) -> list[Decimal]:
    """Return the prices at which the entry may fill: its own, and the quote's if it would fill at once.

    A trailing entry has none, because its price follows the market.
    """
    order_prices = [price for price in (entry.limit_price, entry.stop_price) if price is not None]
    touch_price = get_touch_price(entry.side, prices) if fills_at_once(entry, prices) else None
    return order_prices if touch_price is None else [*order_prices, touch_price]


def fills_at_once(entry: Order, prices: Prices) -> bool:
    """Return whether the entry would fill at this quote."""
    price = get_touch_price(entry.side, prices)
    if price is None or entry.type not in {OrderType.MARKET, OrderType.LIMIT}:
        return False
    return entry.limit_price is None or is_stop_reached(_get_opposite(entry.side), price, entry.limit_price)


def get_trigger_price(order: Order, prices: Prices) -> Decimal | None:
    """Return the price that triggers a stop: the last price, else the bid or ask of the order's side."""
    return get_touch_price(order.side, prices) if prices.last is None else prices.last


def find_triggering_price(order: Order, prices: Iterable[Decimal]) -> Decimal | None:
    """Return the first of the prices that triggers the order's stop, None if none does."""
    if order.type not in _STOP_TYPES or order.stop_price is None or order.is_triggered:
        return None
    stop = order.stop_price
    return next((price for price in prices if is_stop_reached(Side(order.side), price, stop)), None)


def sort_for_sending(orders: Iterable[Order], prices: Prices) -> list[Order]:
    """Return the orders of a pair in the order in which they are sent.

    An order that may fill at once comes last. Its sibling is then at the broker, which reduces it by that
    fill.
    """
    quoted_prices = [price for price in (prices.last, prices.bid, prices.ask) if price is not None]

    def may_fill(order: Order) -> bool:
        return fills_at_once(order, prices) or find_triggering_price(order, quoted_prices) is not None

    return sorted(orders, key=may_fill)


def sort_pairs_for_sending(orders: Iterable[Order], prices: Prices) -> list[Order]:
    """Return orders of one symbol in the order of sending: each pair at the position of its first order."""
    groups: dict[str, list[Order]] = {}
    for order in orders:
        groups.setdefault(find_oco_group_id(order) or order.id, []).append(order)
    return [order for group in groups.values() for order in sort_for_sending(group, prices)]


def compute_nearest_exit_price(prices: Sequence[Decimal], tick: Decimal, *, is_above: bool) -> Decimal | None:
    """Return the nearest price on tick above, or else below, all the prices. None if it is not positive."""
    if is_above:
        return round_down_to_step(max(prices), tick) + tick
    price = round_up_to_step(min(prices), tick) - tick
    return price if price > 0 else None


def find_unprofitable_price(order: Order, prices: Iterable[Decimal]) -> Decimal | None:
    """Return the first of the entry's prices at which a take-profit makes no profit, else None."""
    if order.role is not Role.TAKE_PROFIT or order.limit_price is None:
        return None
    limit = order.limit_price
    return next((price for price in prices if is_stop_reached(_get_opposite(order.side), price, limit)), None)


def is_tightened(order: Order, successor: Order) -> bool:
    """Return whether the successor of an exit is at least as tight as the exit.

    A tight successor has no larger quantity, no price further from the market, no wider trail, and the same
    expiry.
    """
    if successor.quantity > order.quantity or successor.ends_at != order.ends_at:
        return False
    if successor.type is OrderType.TRAILING_STOP:
        return _is_tighter_trail(order, successor)
    pairs = ((order.limit_price, successor.limit_price), (order.stop_price, successor.stop_price))
    is_market_above = (order.side == "SELL") != (order.type is OrderType.LIMIT)
    return all(
        before is None or after is None or _is_nearer(before, after, is_market_above)
        for before, after in pairs
    )


def _is_tighter_trail(order: Order, successor: Order) -> bool:
    if order.trail_level is not None and successor.trail_level is not None:
        return _is_nearer(order.trail_level, successor.trail_level, order.side == "SELL")
    trails = ((order.trail_amount, successor.trail_amount), (order.trail_percent, successor.trail_percent))
    return any(before is not None and after is not None and after <= before for before, after in trails)


def _is_nearer(before: Decimal, after: Decimal, is_market_above: bool) -> bool:
    return after >= before if is_market_above else after <= before


def round_to_tick(order: Order, tick: Decimal) -> dict[str, Decimal]:
    """Return the exit's prices that are off tick, rounded away from the market, never to zero."""
    names = [name for name in ("limit_price", "stop_price") if (getattr(order, name) or tick) % tick]
    is_up = (order.side == "SELL") == (order.type is OrderType.LIMIT)
    round_to = round_up_to_step if is_up else round_down_to_step
    return {name: max(round_to(getattr(order, name), tick), tick) for name in names}


def _get_opposite(side: str) -> Side:
    return Side.SELL if side == "BUY" else Side.BUY
