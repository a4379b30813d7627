"""Apply a halt: cancel the orders that could open or increase a position, before they fill."""

from collections.abc import Iterable

from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.orders.rules.contingency import select_opening_orders
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.contingent_orders.groups import cancel_open_orders
from app.orders.service.internal_commands import CancelHalted
from app.risk.rules.values import TradingState
from app.timestamps import Timestamp

HALT_CANCEL_REASON = "Trading is halted"
_KILL_SWITCH_ACTOR = "kill switch"  # cancels the orders that the request of the halt did not cancel in time


def list_opening_orders(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str | None = None
) -> list[Order]:
    """Return a portfolio's open orders that could open or increase a position, of one symbol or of all."""
    orders_by_position: dict[PositionKey, list[Order]] = {}
    orders: Iterable[Order] = context.order_store.list_open_orders(portfolio_key)
    for order in (
        orders if symbol is None else context.order_store.list_open_orders_of_symbol(portfolio_key, symbol)
    ):
        orders_by_position.setdefault(order.position_key, []).append(order)
    opening = []
    for position_key, orders in orders_by_position.items():
        opening += select_opening_orders(orders, context.ledger.get_position(position_key).quantity)
    return opening


def list_orders_forbidden_by_halt(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str | None = None
) -> list[Order]:
    """Return the open orders that a halt forbids, of one symbol if it is given."""
    if not context.is_any_halted(portfolio_key):
        return []
    opening_orders = list_opening_orders(context, portfolio_key, symbol)
    return [
        order for order in opening_orders if context.get_trading_state(order).state is TradingState.HALTED
    ]


def cancel_orders_forbidden_by_halt(context: BatchContext, command: CancelHalted) -> OrderResult:
    """Cancel the orders that a halt forbids in all portfolios of the tenant."""
    for portfolio_key in context.loaded.list_locked_portfolios(command.tenant_id):
        cancel_for_halt(context, list_orders_forbidden_by_halt(context, portfolio_key), command.at)
    return NO_ORDERS


def cancel_for_halt(context: BatchContext, orders: Iterable[Order], at: Timestamp) -> None:
    """Cancel orders with the reason and the actor of a halt."""
    cancel_open_orders(context, orders, at, _KILL_SWITCH_ACTOR, reason=HALT_CANCEL_REASON)
