"""Release orders at the open of their session, and square off intraday (MIS) positions after it."""

from datetime import datetime

from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import CommandOrigin
from app.orders.rules.trading_sessions import INTRADAY, SQUARE_OFF, is_square_off, waits_for_session
from app.orders.rules.values import WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.broker_orders import find_broker_hold_reason
from app.orders.service.broker.order_pairs import sort_pairs, waits_for_swap
from app.orders.service.changes.order_expiry import expire_orders
from app.orders.service.changes.position_closes import close_in_portfolio
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.commands import ClosePosition
from app.orders.service.contingent_orders.groups import (
    GROUP_ACTOR,
    cancel_open_orders,
    cancel_order,
    get_closable_quantity,
    release_order,
)
from app.orders.service.execution.matching import match_new_order
from app.orders.service.internal_commands import ReleaseOrders, SquareOff
from app.orders.service.risk_checks.trading_sessions import find_last_square_off, find_order_hold
from app.timestamps import Timestamp


def release_orders(context: BatchContext, command: ReleaseOrders) -> OrderResult:
    """Release the held orders of the symbols whose session is open. The risk checks run again.

    Orders whose time has ended expire first.
    """
    portfolio_keys = context.loaded.list_portfolios(command.tenant_id, *command.symbols)
    expire_orders(context, portfolio_keys, command.at)
    for portfolio_key in portfolio_keys:
        for symbol in command.symbols:
            open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, symbol)
            for stale_order in sort_pairs(context, open_orders):
                _release_in_session(context, context.order_store.get_current(stale_order), command.at)
    return NO_ORDERS


def _release_in_session(context: BatchContext, order: Order, at: Timestamp) -> None:
    if not waits_for_session(order) or waits_for_swap(context, order):
        return
    if find_order_hold(context, order, at) is not None:
        return
    if find_broker_hold_reason(context, order) is not None:
        return
    if order.role is Role.CLOSING:
        _release_closing_order(context, order, at)
        return
    released_order = release_order(context, order, at)
    if released_order.status in WORKING_STATUSES:
        match_new_order(context, released_order, at)
    elif released_order.status is Status.DENIED and order.role is Role.EITHER:
        orders = context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        siblings = [sibling for sibling in orders if sibling.group_id == order.group_id]
        cancel_open_orders(context, siblings, at, GROUP_ACTOR, reason=f"{order.id} was denied")


def _release_closing_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Release a closing order for at most the remaining position."""
    closable_quantity = get_closable_quantity(context, order)
    if not closable_quantity:
        cancel_order(context, order, at, GROUP_ACTOR, reason="The position is closed.")
        return
    match_new_order(
        context, release_order(context, order, at, quantity=min(order.quantity, closable_quantity)), at
    )


_SQUARE_OFF_REASON = "Squared off"
_EARLIEST_TIME = Timestamp("1970-01-01T00:00:00Z")


def close_intraday_positions(context: BatchContext, command: SquareOff) -> OrderResult:
    """Cancel the tenant's intraday orders that are due for square-off, and close their positions.

    Orders and positions that began after the last square-off of their instrument are left alone.
    """
    at = command.at
    for portfolio_key in context.loaded.portfolios_with_intraday_positions.get(command.tenant_id, []):
        orders = context.order_store.list_open_orders(portfolio_key)
        due_orders = [order for order in orders if _is_due_for_square_off(context, order, at)]
        cancel_open_orders(context, due_orders, at, SQUARE_OFF, reason=_SQUARE_OFF_REASON)
        for symbol in _list_due_symbols(context, portfolio_key, at):
            if not _has_square_off_order(context, portfolio_key, symbol):
                _close_position(context, portfolio_key, symbol, at)
    return NO_ORDERS


def _is_due_for_square_off(context: BatchContext, order: Order, at: Timestamp) -> bool:
    if order.product != INTRADAY or is_square_off(order):
        return False
    return _began_before(context, order.portfolio_key, order.symbol, order.created_at, at)


def _began_before(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, began_at: Timestamp, at: Timestamp
) -> bool:
    """Return whether `began_at` is at or before the last square-off of the symbol."""
    squared_off = find_last_square_off(context, portfolio_key, symbol, datetime.fromisoformat(at))
    return squared_off is not None and datetime.fromisoformat(began_at) <= squared_off


def _list_due_symbols(context: BatchContext, portfolio_key: PortfolioKey, at: Timestamp) -> list[str]:
    """Return the symbols of intraday positions without a trade since the last square-off."""
    positions = context.ledger.get_positions(portfolio_key).items()
    return sorted(
        key.symbol
        for key, position in positions
        if key.product == INTRADAY
        and position.quantity
        and _began_before(context, portfolio_key, key.symbol, position.last_executed_at or _EARLIEST_TIME, at)
    )


def _has_square_off_order(context: BatchContext, portfolio_key: PortfolioKey, symbol: str) -> bool:
    return any(map(is_square_off, context.order_store.list_open_orders_of_symbol(portfolio_key, symbol)))


def _close_position(context: BatchContext, portfolio_key: PortfolioKey, symbol: str, at: Timestamp) -> None:
    portfolio = context.ledger.get_portfolio(portfolio_key)
    origin = CommandOrigin(portfolio_key.tenant_id, SQUARE_OFF, None, datetime.fromisoformat(at), None, None)
    names = (portfolio.name, portfolio.name_key, symbol, INTRADAY)
    command = ClosePosition(origin, *names, None, _SQUARE_OFF_REASON, ignores_halt=True)
    close_in_portfolio(context, command, portfolio_key)
