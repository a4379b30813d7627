"""Book the charges of a broker for an execution, beyond those that the cost schedule booked with it."""

from datetime import datetime
from decimal import Decimal

from app.brokers.rules.values import Charged
from app.costs.rules.booked_charges import parse_components
from app.ledger.errors import NoRate
from app.ledger.queries.cash import find_movement_amount
from app.ledger.rules.cash import CashKind
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import CashEntry
from app.money import ZERO, multiply
from app.orders.rules.execution_ids import get_charge_key
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_executions
from app.orders.service.execution_changes.busts import find_execution
from app.orders.service.risk_checks.currency_conversion import find_current_rate
from app.timestamps import Timestamp


def book_broker_charges(context: BatchContext, order: Order, event: Charged, at: Timestamp) -> None:
    """Book the difference between the broker's charges and the charges of the execution, once.

    Higher charges are a movement of the kind `charges`, lower ones an `adjustment`. Raises NoSuchExecution,
    AlreadyBusted, NoRate and AmountTooLarge.
    """
    execution = find_execution(context, order, event.execution_id)
    if load_broker_charge(context, execution) is not None:
        return
    estimated = sum(parse_components(execution.charges).values(), ZERO)
    amount = _convert_amount(context, order, event.amount, event.currency) - estimated
    reason = f"{order.broker} charged {event.amount:f} {event.currency} for {event.execution_id}"
    _append_cash(context, order, execution, -amount, reason, at, _get_key(execution))
    context.loaded.broker_charges[execution.key] = -amount or None


def refund_broker_charges(context: BatchContext, order: Order, execution_id: str, at: Timestamp) -> None:
    """Refund the amount booked beyond the charges of an execution's trade, after the trade was reversed."""
    for execution in list_executions(context, [order]):
        if execution.execution_id != execution_id:
            continue
        booked_amount = load_broker_charge(context, execution)
        if booked_amount is not None:
            reason = f"{order.broker} took {execution_id} back"
            _append_cash(
                context, order, execution, -booked_amount, reason, at, f"{_get_key(execution)}:refund"
            )


def load_broker_charge(context: BatchContext, execution: ExecutionRow) -> Decimal | None:
    """Load and return the amount booked beyond the charges of an execution's trade, None if there is none."""
    charges = context.loaded.broker_charges
    if execution.key not in charges:
        is_new = execution in context.order_store.executions
        day_key = (execution.tenant_id, execution.portfolio_id, execution.symbol, execution.executed_at[:10])
        charges[execution.key] = (
            None if is_new else find_movement_amount(context.connection, *day_key, _get_key(execution))
        )
    return charges[execution.key]


def _get_key(execution: ExecutionRow) -> str:
    return get_charge_key(execution.broker, execution.execution_id)


def _convert_amount(context: BatchContext, order: Order, amount: Decimal, currency: str) -> Decimal:
    base = context.get_portfolio(order).base_currency
    if currency == base:
        return amount
    rate = find_current_rate(context, order.portfolio_key, currency)
    if rate is None:
        raise NoRate(order.symbol, currency, base)
    return multiply(amount, rate)


def _append_cash(
    context: BatchContext,
    order: Order,
    execution: ExecutionRow,
    amount: Decimal,
    reason: str,
    at: Timestamp,
    key: str,
) -> None:
    if not amount:
        return
    kind = CashKind.CHARGES if amount < ZERO else CashKind.ADJUSTMENT
    instant = datetime.fromisoformat(at)
    origin = CommandOrigin(order.tenant_id, order.source, None, instant, key, None, order.broker)
    entry = CashEntry(kind, amount, reason, symbol=execution.symbol, day=execution.executed_at[:10])
    context.ledger.append_cash(context.get_portfolio(order), origin, entry)
