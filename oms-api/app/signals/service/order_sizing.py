"""Compute the order of a signal from the locked state of its portfolio."""

from decimal import Decimal

from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.money import ZERO, to_places
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.risk_checks.currency_conversion import find_current_rate
from app.orders.service.risk_checks.loss_limits import compute_equity
from app.signals.errors import build_field_error
from app.signals.rules.planning import NO_PRODUCT
from app.signals.rules.sizing import SizedOrder, compute_notional, size_to_target
from app.signals.rules.values import Signal, SizeKind
from app.text import label_key


def size_order(context: BatchContext, signal: Signal, portfolio_key: PortfolioKey) -> SizedOrder | None:
    """Return side and size of the order, None if the position is at its target. Raises Invalid."""
    value = signal.size_value or ZERO
    match signal.size_kind:
        case SizeKind.QTY:
            return SizedOrder(signal.side, quantity=value)
        case SizeKind.NOTIONAL:
            return SizedOrder(signal.side, notional=value)
        case SizeKind.CLOSE:
            return SizedOrder(None)
        case SizeKind.TARGET_POSITION:
            position = context.ledger.get_position(PositionKey(*portfolio_key, signal.symbol, NO_PRODUCT))
            return size_to_target(value, position.quantity, _sum_working(context, signal, portfolio_key))
        case SizeKind.PERCENT_OF_EQUITY:
            return _compute_equity_size(context, signal, portfolio_key, value)


def _sum_working(context: BatchContext, signal: Signal, portfolio_key: PortfolioKey) -> Decimal:
    """Return the signed quantity that open orders of the strategy can still fill, without exits."""
    strategy = None if signal.strategy is None else label_key(signal.strategy)
    total = ZERO
    for order in context.order_store.list_open_orders_of_symbol(portfolio_key, signal.symbol):
        is_theirs = strategy is None or (order.strategy and label_key(order.strategy) == strategy)
        if is_theirs and order.role not in EXIT_ROLES:
            total += order.leaves_quantity if order.side == "BUY" else -order.leaves_quantity
    return total


def _compute_equity_size(
    context: BatchContext, signal: Signal, portfolio_key: PortfolioKey, percent: Decimal
) -> SizedOrder:
    base = context.ledger.get_portfolio(portfolio_key).base_currency
    currency = context.find_instrument(signal.tenant_id, signal.symbol).currency or base
    rate = Decimal(1) if currency == base else find_current_rate(context, portfolio_key, currency)
    if rate is None:
        message = f"There is no exchange rate from {currency} to {base}; send `qty`."
        raise build_field_error("percent_of_equity", message, "no_rate")
    notional = to_places(compute_notional(compute_equity(context, portfolio_key), percent, rate))
    if not notional:
        raise build_field_error("percent_of_equity", "The portfolio has no equity; send `qty`.", "no_equity")
    return SizedOrder(signal.side, notional=notional)
