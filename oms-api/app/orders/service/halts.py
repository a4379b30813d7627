"""What a halt does to orders: those that could open or increase a position end, and never fill."""

from collections.abc import Iterable

from app.orders.rules.contingency import opening_orders
from app.orders.rules.values import FINAL, Order
from app.orders.service.batch_context import BatchContext, PortfolioKey, PositionKey
from app.orders.service.groups import cancel
from app.risk.rules.values import TradingState

REASON = "Trading is halted"
_SWITCH = "kill switch"  # who cancels what an answered halt could not reach in time


def opening_in(context: BatchContext, portfolio_key: PortfolioKey, symbol: str | None = None) -> list[Order]:
    """Return the open orders of a portfolio, of one symbol where it is given, that could open or increase a
    position.
    """
    here: dict[PositionKey, list[Order]] = {}
    orders: Iterable[Order] = context.order_store.open_in(portfolio_key)
    for order in orders if symbol is None else context.order_store.open_of(portfolio_key, symbol):
        here.setdefault((order.symbol, order.product), []).append(order)
    found = []
    for position_key, orders in here.items():
        found += opening_orders(orders, context.books.position((*portfolio_key, *position_key)).quantity)
    return found


def list_halted(context: BatchContext, portfolio_key: PortfolioKey, symbol: str) -> list[Order]:
    """Return the open orders of a symbol that a halt is about to cancel."""
    if not context.is_any_halted(portfolio_key):
        return []
    found = opening_in(context, portfolio_key, symbol)
    return [order for order in found if context.state(order)[0] is TradingState.HALTED]


def cancel_halted(context: BatchContext, orders: Iterable[Order], at: str) -> None:
    """Cancel what a halt forbids before a new quote can fill it."""
    for known in orders:
        order = context.order_store.now(known)  # a group may have ended it meanwhile
        if order.status not in FINAL:
            cancel(context, order, at, _SWITCH, reason=REASON)
