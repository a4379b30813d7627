"""Record executions: each as a trade of the ledger, and in the filled quantity of its order."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from app.brokers.rules.values import Executed
from app.costs.rules.booked_charges import BookedCharges, format_components
from app.costs.rules.values import ChargedExecution
from app.ledger.rules.accounting import Side, apply_fill, build_fill
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.tickets import MAX_AHEAD
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.dp_charges import book_dp_charge
from app.ledger.service.portfolio_state import build_trade_entry
from app.money import format_fixed
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.states import get_status_after_fill
from app.orders.rules.values import FINAL_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.contingent_orders.broker_exits import is_broker_entry, protect_fill
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.contingent_orders.exit_restoration import ReversedReduction, restore_exits
from app.orders.service.contingent_orders.groups import apply_fill_to_group
from app.orders.service.contingent_orders.replacement_confirmation import confirm_reductions
from app.orders.service.risk_checks.currency_conversion import find_booking_rate, find_trading_currency
from app.orders.service.risk_checks.fill_charges import build_charged_trade, compute_charges
from app.timestamps import Timestamp, format_timestamp

_SIDES = {side.value: side for side in Side}
# The anomalies of an execution, as stored in its note: it came after the order's end, exceeds the
# order's quantity, or belongs to a rejected order. It is recorded all the same.
LATE_FILL, OVERFILL, FILL_OF_REJECTED_ORDER = "late", "over", "stray"


def record_execution(context: BatchContext, order: Order, event: Executed, at: Timestamp) -> Order:
    """Record an execution of the order and return the updated order.

    An unexpected execution is recorded too, with the anomaly as its note. Raises
    AmountTooLarge, NoRate or RateUnknown before anything is changed. `at` is the time of booking. A broker
    other than the paper market reports the time of execution.
    """
    anomaly = find_anomaly(order, find_successor(context, order), event)
    trade, charges = record_trade(context, order, event, at, _get_execution_time(order, event, at))
    row = build_execution_row(order, event, trade, anomaly, charges)
    updated_order = apply_execution(context, order, row, at, order.broker)
    if is_broker_entry(updated_order):
        protect_fill(context, updated_order, event.quantity, at)
    else:
        apply_fill_to_group(context, updated_order, event.quantity, at)
        confirm_reductions(context, updated_order, event.at, at)
    if anomaly is not None and updated_order.role is Role.ENTRY and not is_broker_entry(updated_order):
        reason = f"{event.execution_id} filled {anomaly}"
        reduction = ReversedReduction(
            updated_order.position_key,
            event.quantity,
            updated_order.created_at,
            reason,
            updated_order.group_id,
        )
        restore_exits(context, reduction, at)
    reduce_competing_orders(context, trade, at, updated_order)
    return updated_order


def _get_execution_time(order: Order, event: Executed, at: Timestamp) -> Timestamp | None:
    """Return the broker's time, None for the paper market and for a clock that is far ahead of ours."""
    if not is_remote(order) or event.at - datetime.fromisoformat(at) > MAX_AHEAD:
        return None
    return format_timestamp(event.at)


def apply_execution(
    context: BatchContext, order: Order, row: ExecutionRow, at: Timestamp, actor: str, **fields: Any
) -> Order:
    """Add an execution, and return the updated order that it counts for: see `find_successor`.

    `fields` are further fields of the history row.
    """
    context.order_store.add_execution(row)
    successor = find_successor(context, order)
    filled_quantity = successor.filled_quantity + Decimal(row.quantity)
    status = get_status_after_fill(successor.status, successor.quantity, filled_quantity)
    changes: dict[str, Any] = {
        "execution_id": row.execution_id,
        "reason": row.note,
        "filled_quantity": filled_quantity,
        "filled_value": successor.filled_value + Decimal(row.value),
        **fields,
    }
    if status is successor.status and status is not Status.PARTIALLY_FILLED:
        updated_order = context.order_store.record_change(successor, at, actor, **changes)
    else:
        updated_order = context.order_store.change_status(successor, status, at, actor, **changes)
    if row.note in {OVERFILL, FILL_OF_REJECTED_ORDER}:
        issue = {"order_id": order.id, "execution_id": row.execution_id, "kind": row.note}
        context.order_store.add_event(order.tenant_id, "reconciliation.issue", issue, at)
    return updated_order


def find_successor(context: BatchContext, order: Order) -> Order:
    """Return the order that the fill counts for: the last successor of a replaced order."""
    order = context.order_store.get_current(order)
    while order.status is Status.REPLACED and order.replaced_by:
        order = context.order_store.get(order.tenant_id, order.replaced_by)
    return order


def find_anomaly(order: Order, successor: Order, event: Executed) -> str | None:
    """Return the anomaly of an execution that counts for `successor`, None if it is regular."""
    if successor.status in {Status.REJECTED, Status.DENIED}:
        return FILL_OF_REJECTED_ORDER
    if successor.filled_quantity + event.quantity > successor.quantity:
        return OVERFILL
    return LATE_FILL if order.status in FINAL_STATUSES else None


def record_trade(
    context: BatchContext,
    order: Order,
    event: Executed,
    at: Timestamp,
    executed_at: Timestamp | None = None,
) -> tuple[TradeRow, BookedCharges]:
    """Append the trade of an execution, and return it with its charges.

    `executed_at` is None if it is the time of recording. Raises AmountTooLarge, NoRate and RateUnknown.
    """
    traded_at = executed_at or at
    side, position = _SIDES[order.side], context.get_position(order)
    currency = find_trading_currency(context, order.portfolio_key, order.symbol, position)
    rate = None if currency is None else find_booking_rate(context, order, currency, position)
    fill = build_fill(side, event.quantity, event.value, currency, rate, traded_at)
    after = apply_fill(position, fill)
    execution = ChargedExecution(event.quantity, event.value)
    charged = build_charged_trade(context, order, execution, currency, rate, traded_at)
    charges = compute_charges(context, order, charged)
    origin = _build_origin(context, order, at)
    fields = {"note": order.reason, "order_id": order.id, "executed_at": executed_at}
    entry = build_trade_entry(order.symbol, order.product, fill, event.price, rate, charges, **fields)
    portfolio = context.get_portfolio(order)
    trade = context.ledger.append(portfolio, origin, entry, after)
    book_dp_charge(context.ledger, portfolio, origin, order.symbol, charged, position)
    return trade, charges


def _build_origin(context: BatchContext, order: Order, at: Timestamp) -> CommandOrigin:
    return CommandOrigin(
        tenant_id=order.tenant_id,
        source=order.source,
        user_label=order.user_id,
        at=datetime.fromisoformat(at),
        idempotency_key=None,
        request_hash=None,
        actor=order.actor,
        request_id=context.request_id,  # of the request that caused the fill, None for a quote
    )


def build_execution_row(
    order: Order, event: Executed, trade: TradeRow, anomaly: str | None, charges: BookedCharges
) -> ExecutionRow:
    """Return the row of an execution, which refers to its trade. `anomaly` is its note."""
    return ExecutionRow(
        tenant_id=order.tenant_id,
        broker=order.broker,
        execution_id=event.execution_id,
        order_id=order.id,
        portfolio_id=order.portfolio_id,
        symbol=order.symbol,
        side=order.side,
        quantity=format_fixed(event.quantity),
        price=format_fixed(event.price),
        value=format_fixed(event.value),
        trade_id=trade.trade_id,
        note=anomaly,
        executed_at=trade.executed_at,
        charges=format_components(charges),
    )
