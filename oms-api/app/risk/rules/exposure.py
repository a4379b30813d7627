"""Value and sum up the positions and working orders of a portfolio for the checks."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.money import ZERO, compute_share, multiply
from app.risk.rules.values import CandidateOrder, ExposureTotals, Prices, SymbolExposure, WorkingOrder

NO_PRICES = Prices()
_TWO = Decimal(2)
_STOP_TYPES = frozenset({"STOP", "STOP_LIMIT", "TRAILING_STOP"})


class _ValuedOrder(NamedTuple):
    order: WorkingOrder
    value: Decimal


def get_reference_price(prices: Prices) -> Decimal | None:
    """Return the price that orders are compared with: mid, else last."""
    if prices.bid is not None and prices.ask is not None:
        return (prices.bid + prices.ask) / _TWO
    return prices.last


def get_touch_price(side: str, prices: Prices) -> Decimal | None:
    """Return the price at which a marketable order would trade: the other side's price, else last."""
    other = prices.ask if side == "BUY" else prices.bid
    return prices.last if other is None else other


def find_order_price(order: CandidateOrder | WorkingOrder, prices: Prices) -> Decimal | None:
    """Return the price that an order is valued at: its limit, else its stop, else the touch price."""
    if order.limit_price is not None:
        return order.limit_price
    if order.stop_price is not None and not order.is_triggered:
        return order.stop_price
    return get_touch_price(order.side, prices)


def compute_order_value(quantity: Decimal, price: Decimal, rate: Decimal | None = None) -> Decimal:
    """Return quantity × price in the portfolio's currency; `rate` converts from another currency."""
    value = multiply(quantity, price)
    return value if rate is None else multiply(value, rate)


def needs_current_price(order: CandidateOrder, prices: Prices) -> bool:
    """Return whether the order trades at the current price or starts from it.

    True for a market order, a trail before its first level, a stop that is reached, and a limit that crosses
    the market.
    """
    if is_waiting(order):
        trigger_price = get_touch_price(order.side, prices) if prices.last is None else prices.last
        if order.stop_price is None or trigger_price is None:
            return order.stop_price is None
        return _is_at_least(order.side, trigger_price, order.stop_price)
    if order.limit_price is None:
        return True
    other = get_touch_price(order.side, prices)
    return other is not None and _is_at_least(order.side, order.limit_price, other)


def _is_at_least(side: str, price: Decimal, other: Decimal) -> bool:
    return price >= other if side == "BUY" else price <= other


def is_waiting(order: CandidateOrder | WorkingOrder) -> bool:
    """Return whether the order is an untriggered stop, which is not in the order book yet."""
    return order.type in _STOP_TYPES and not order.is_triggered


def get_reducible_quantity(exposure: SymbolExposure, side: str) -> Decimal:
    """Return the quantity that an order of that side may trade while it only reduces the position.

    It is the position minus the open quantity of other orders of that side. Exits do not count, because fills
    reduce them.
    """
    if side == "BUY":
        return max(-exposure.position - (exposure.buy_quantity - exposure.buy_exits), ZERO)
    return max(exposure.position - (exposure.sell_quantity - exposure.sell_exits), ZERO)


def build_symbol_exposure(
    position: Decimal,
    mark: Decimal | None,
    working_orders: Sequence[WorkingOrder] = (),
    prices: Prices = NO_PRICES,
    order: CandidateOrder | None = None,
    rate: Decimal | None = None,
) -> SymbolExposure:
    """Return a portfolio's position in one symbol and product with its working orders.

    Of mutually exclusive orders, only the order with the highest value counts. Orders that exclude `order` do
    not count, and orders of its group do not count as its opposite side.
    """
    if not working_orders:
        return SymbolExposure(position, mark, rate=rate)
    exclusive = order.oco_group_id if order else None
    valued_orders = [
        _ValuedOrder(
            working_order,
            compute_order_value(working_order.leaves, _get_price_or_mark(mark, working_order, prices), rate),
        )
        for working_order in working_orders
    ]
    counted_orders = _count_exclusive_orders_once(
        [entry for entry in valued_orders if not exclusive or entry.order.oco_group_id != exclusive]
    )
    buys = _limit_exits([entry for entry in counted_orders if entry.order.side == "BUY"], -position, order)
    sells = _limit_exits([entry for entry in counted_orders if entry.order.side != "BUY"], position, order)
    group = order.group_id if order else None
    return SymbolExposure(
        position,
        mark,
        *_sum_quantity_and_value(buys),
        *_sum_quantity_and_value(sells),
        _compute_shorting_value(position, sells),
        len(working_orders),
        min(_list_resting_prices(working_orders, "SELL", group), default=None),
        max(_list_resting_prices(working_orders, "BUY", group), default=None),
        rate,
        _sum_exit_quantity(buys),
        _sum_exit_quantity(sells),
        sum((working_order.charges for working_order, _ in buys), ZERO),
    )


def sum_totals(exposures: Iterable[SymbolExposure]) -> ExposureTotals:
    """Return the sum of the totals of several symbol exposures."""
    total = ExposureTotals()
    for exposure in exposures:
        total = add_totals(total, compute_totals(exposure))
    return total


def compute_totals(exposure: SymbolExposure) -> ExposureTotals:
    """Return the totals of one symbol exposure."""
    value = compute_market_value(exposure)
    if not exposure.orders:
        return ExposureTotals(shorts=max(-value, ZERO), gross=abs(value), net_high=value, net_low=value)
    high, low = value + exposure.buy_value, value - exposure.sell_value
    return ExposureTotals(
        shorts=max(-value, ZERO),
        buy_value=exposure.buy_value,
        shorting_value=exposure.shorting_value,
        gross=max(abs(high), abs(low)),
        net_high=high,
        net_low=low,
        orders=exposure.orders,
        buy_charges=exposure.buy_charges,
    )


def add_totals(first: ExposureTotals, second: ExposureTotals) -> ExposureTotals:
    """Return the sum of two totals."""
    return ExposureTotals(
        first.shorts + second.shorts,
        first.buy_value + second.buy_value,
        first.shorting_value + second.shorting_value,
        first.gross + second.gross,
        first.net_high + second.net_high,
        first.net_low + second.net_low,
        first.orders + second.orders,
        first.buy_charges + second.buy_charges,
    )


def subtract_totals(minuend: ExposureTotals, subtrahend: ExposureTotals) -> ExposureTotals:
    """Return the difference of two totals."""
    return ExposureTotals(
        minuend.shorts - subtrahend.shorts,
        minuend.buy_value - subtrahend.buy_value,
        minuend.shorting_value - subtrahend.shorting_value,
        minuend.gross - subtrahend.gross,
        minuend.net_high - subtrahend.net_high,
        minuend.net_low - subtrahend.net_low,
        minuend.orders - subtrahend.orders,
        minuend.buy_charges - subtrahend.buy_charges,
    )


def replace_totals(
    total: ExposureTotals, previous: ExposureTotals, current: ExposureTotals
) -> ExposureTotals:
    """Return a sum of totals in which one has been replaced."""
    return total if previous == current else add_totals(subtract_totals(total, previous), current)


def convert_totals(totals: ExposureTotals, rate: Decimal) -> ExposureTotals:
    """Return the totals in another currency. The number of orders is unchanged."""
    return ExposureTotals(
        multiply(totals.shorts, rate),
        multiply(totals.buy_value, rate),
        multiply(totals.shorting_value, rate),
        multiply(totals.gross, rate),
        multiply(totals.net_high, rate),
        multiply(totals.net_low, rate),
        totals.orders,
        multiply(totals.buy_charges, rate),
    )


def convert_to_firm_currency(amount: Decimal, rate: Decimal | None) -> Decimal:
    """Return an amount of the portfolio in the tenant's currency."""
    return amount if rate is None else multiply(amount, rate)


def compute_market_value(exposure: SymbolExposure) -> Decimal:
    """Return quantity × mark, with the sign of the position."""
    if not exposure.position or exposure.mark is None:
        return ZERO
    return compute_order_value(exposure.position, exposure.mark, exposure.rate)


def _get_price_or_mark(mark: Decimal | None, order: WorkingOrder, prices: Prices) -> Decimal:
    price = find_order_price(order, prices)
    return (mark or ZERO) if price is None else price


def _count_exclusive_orders_once(valued_orders: Sequence[_ValuedOrder]) -> list[_ValuedOrder]:
    counted_orders: list[_ValuedOrder] = []
    largest: dict[tuple[str, str], int] = {}
    for entry in valued_orders:
        if entry.order.oco_group_id is None:
            counted_orders.append(entry)
            continue
        key = (entry.order.oco_group_id, entry.order.side)
        if key not in largest:
            largest[key] = len(counted_orders)
            counted_orders.append(entry)
        elif entry.value > counted_orders[largest[key]].value:
            counted_orders[largest[key]] = entry
    return counted_orders


def _limit_exits(
    valued_orders: Sequence[_ValuedOrder], held_quantity: Decimal, order: CandidateOrder | None
) -> list[_ValuedOrder]:
    """Return the orders of one side, exits last. Exits are limited to the quantity that other orders leave.

    The evaluated order counts among the other orders. `held_quantity` is positive if that side reduces the
    position.
    """
    limited_orders = [entry for entry in valued_orders if not entry.order.is_exit]
    if len(limited_orders) == len(valued_orders):
        return limited_orders
    remaining_quantity = held_quantity - sum((entry.order.leaves for entry in limited_orders), ZERO)
    if order is not None and order.side == valued_orders[0].order.side:
        remaining_quantity -= order.quantity
    for working_order, value in valued_orders:
        leaves = min(working_order.leaves, max(remaining_quantity, ZERO)) if working_order.is_exit else ZERO
        if leaves:
            charges = compute_share(working_order.charges, leaves, working_order.leaves)
            limited_order = working_order._replace(leaves=leaves, charges=charges)
            limited_orders.append(
                _ValuedOrder(limited_order, compute_share(value, leaves, working_order.leaves))
            )
            remaining_quantity -= leaves
    return limited_orders


def _sum_exit_quantity(valued_orders: Sequence[_ValuedOrder]) -> Decimal:
    return sum((working_order.leaves for working_order, _ in valued_orders if working_order.is_exit), ZERO)


def _sum_quantity_and_value(valued_orders: Sequence[_ValuedOrder]) -> tuple[Decimal, Decimal]:
    return sum((working_order.leaves for working_order, _ in valued_orders), ZERO), sum(
        (value for _, value in valued_orders), ZERO
    )


def _compute_shorting_value(position: Decimal, sells: Sequence[_ValuedOrder]) -> Decimal:
    """Return the value of the part of the sells that exceeds the position, in the order of the sells."""
    held_quantity, total = max(position, ZERO), ZERO
    for order, value in sells:
        covered = min(held_quantity, order.leaves)
        held_quantity -= covered
        if covered < order.leaves:
            total += compute_share(value, order.leaves - covered, order.leaves)
    return total


def _list_resting_prices(
    working_orders: Sequence[WorkingOrder], side: str, group: str | None
) -> list[Decimal]:
    return [
        order.limit_price
        for order in working_orders
        if order.side == side
        and order.limit_price is not None
        and order.is_at_market
        and not is_waiting(order)
        and (group is None or order.group_id != group)
    ]
