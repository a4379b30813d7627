"""The charges of a fill, by the cost schedule that its order was made under."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.costs.errors import RateUnknown
from app.costs.rules.booked_charges import NO_CHARGES, BookedCharges, ChargedTrade, compute_booked_charges
from app.costs.rules.markets import MARKETS, get_trading_day
from app.costs.rules.values import ChargedExecution, OrderTotals, Schedule
from app.costs.service import load_rates
from app.money import ZERO
from app.orders.rules.execution_ids import list_unbusted
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.trading_sessions import is_square_off
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_executions
from app.timestamps import Timestamp

_BY_DAY_ALONE = Schedule.US_EQUITY  # its fees depend on the portfolio's day, not on the order


class ChargedMarket(NamedTuple):
    """The market that charges an order: its exchange, its currency, and the portfolio's rate of that."""

    exchange: str
    currency: str
    rate: Decimal | None


def build_charged_trade(
    context: BatchContext,
    order: Order,
    execution: ChargedExecution,
    currency: str | None,
    rate: Decimal | None,
    at: Timestamp,
) -> ChargedTrade:
    """Return the inputs of the charges of an execution.

    `currency` and `rate` belong to the fill, None for the portfolio's own currency.
    """
    return ChargedTrade(
        schedule=order.cost_schedule,
        exchange=context.find_instrument(order.tenant_id, order.symbol).exchange,
        product=order.product,
        side=order.side,
        execution=execution,
        currency=currency or context.get_portfolio(order).base_currency,
        rate=rate,
        at=datetime.fromisoformat(at),
        is_square_off=is_square_off(order),
    )


def compute_charges(context: BatchContext, order: Order, trade: ChargedTrade) -> BookedCharges:
    """Return the charges of an execution: the charges of its order with it, less the earlier charges.

    Raises RateUnknown.
    """
    if order.cost_schedule == Schedule.NONE:
        return NO_CHARGES
    earlier_fills = _sum_fills_of_day(context, order, trade)
    return compute_booked_charges(trade, earlier_fills, context.get_portfolio(order).fee_totals, load_rates())


def estimate_charges(
    order: Order, market: ChargedMarket, quantity: Decimal, price: Decimal | None
) -> Decimal:
    """Return the charges for filling a quantity of the order at a price, in the portfolio's currency.

    The quantity is added to the earlier fills of the order, as if on the same day. Zero where a rate is
    unknown.
    """
    if order.cost_schedule == Schedule.NONE or price is None:
        return ZERO
    trade = ChargedTrade(
        schedule=order.cost_schedule,
        exchange=market.exchange,
        product=order.product,
        side=order.side,
        execution=ChargedExecution.from_price(quantity, price),
        currency=market.currency,
        rate=market.rate,
        at=datetime.fromisoformat(order.created_at),
    )
    earlier_fills = OrderTotals(order.filled_quantity, order.filled_value)
    try:
        return compute_booked_charges(trade, earlier_fills, None, load_rates()).total
    except RateUnknown:
        return ZERO


def _sum_fills_of_day(context: BatchContext, order: Order, trade: ChargedTrade) -> OrderTotals:
    """Return the quantity and value that the order filled earlier on the trading day of a new fill."""
    if trade.exchange not in MARKETS or order.cost_schedule == _BY_DAY_ALONE:
        return OrderTotals()
    quantity = value = ZERO
    day = get_trading_day(trade.exchange, trade.at)
    for row in list_unbusted(_list_earlier_executions(context, order)):
        if get_trading_day(trade.exchange, datetime.fromisoformat(row.executed_at)) == day:
            quantity += Decimal(row.quantity)
            value += Decimal(row.value)
    return OrderTotals(quantity, value)


def _list_earlier_executions(context: BatchContext, order: Order) -> list[ExecutionRow]:
    """Return the executions whose charges depend on each other with the order's next one, new ones too."""
    orders = [charged for charged in list_charged_orders(context, order) if charged.filled_quantity]
    return list_executions(context, orders) if orders else []


def list_charged_orders(context: BatchContext, order: Order) -> list[Order]:
    """Return the orders that are charged as one.

    For Zerodha a chain of replacements is one order; for IBKR each replacement is a separate order. An order
    without executions has no earlier charges, so its predecessors are not needed.
    """
    is_chain = order.replaced_by or (order.replaces and order.filled_quantity)
    if order.cost_schedule == Schedule.ZERODHA and is_chain:
        return context.order_store.list_replacement_chain(order)
    return [order]
