"""Load the inputs of brokers' execution reports, busts, corrections and reversals before they are decided."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.values import Busted, Charged, Executed, Replaced
from app.ledger.rules.keys import TradeKey
from app.ledger.service.reversals import load_reversed_trades
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.contingency import find_reduction
from app.orders.rules.rows import ExecutionKey, ExecutionRow
from app.orders.rules.values import Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import (
    find_order_of_execution,
    list_executions,
    load_broker_requests,
    load_executed_orders,
    load_executions,
    load_histories,
)
from app.orders.service.broker_reports.broker_charges import load_broker_charge
from app.orders.service.commands import CommandNamingOrder, DecideApproval, ReplaceOrder
from app.orders.service.contingent_orders.exit_restoration import load_recent_exits
from app.orders.service.execution.executions import find_anomaly, find_successor
from app.orders.service.execution_changes.adoption_reversal import load_adoption
from app.orders.service.execution_changes.busts import ExecutionChange
from app.orders.service.internal_commands import ApplyBrokerReport
from app.orders.service.risk_checks.currency_conversion import find_current_rate
from app.orders.service.risk_checks.fill_charges import list_charged_orders

# Built once: to build a union on each call is slow.
_ExecutionEvent = Executed | Busted | Charged
_EventOnStoredExecution = Busted | Charged
_PositionEvent = Executed | Busted
_FillingCommand = ExecutionChange | ReplaceOrder | DecideApproval


class OrderAction(NamedTuple):
    """A command, and the order that it names."""

    command: CommandNamingOrder
    order: Order


def load_report_inputs(
    context: BatchContext, actions: Sequence[OrderAction], matched: Iterable[Order]
) -> None:
    """Load executions, trades to reverse, requests to brokers, and charges of brokers."""
    remote = [order for order in (*matched, *(order for _, order in actions)) if is_remote(order)]
    grouped = [order for order in remote if order.group_id is not None]
    entries = [find_successor(context, order) for order in remote if order.role is Role.ENTRY]
    load_histories(
        context,
        [
            *(member for order in grouped for member in context.order_store.list_group(order)),
            *(exit_order for order in entries for exit_order in context.order_store.list_children(order)),
        ],
    )
    _load_executions(context, actions, matched)
    for command, order in actions:
        if isinstance(command, ApplyBrokerReport):
            _load_report(context, order, command)
    busted = _list_named_executions(context, actions)
    if busted:
        trade_keys = [TradeKey(row.tenant_id, row.trade_id) for row in busted]
        load_reversed_trades(context.ledger, trade_keys)
    _load_restored_exits(context, actions)


def _load_executions(context: BatchContext, actions: Sequence[OrderAction], matched: Iterable[Order]) -> None:
    """Load the executions of the orders that may be filled further, or of which one is changed."""
    keys = []
    orders = [order for order in matched if order.status is Status.PARTIALLY_FILLED or order.filled_quantity]
    for command, order in actions:
        if isinstance(command, ApplyBrokerReport) and isinstance(command.event, _ExecutionEvent):
            keys.append(ExecutionKey(order.tenant_id, order.broker, command.event.execution_id))
            orders.append(order)
        elif isinstance(command, _FillingCommand):
            orders.append(order)
    load_executed_orders(context, keys)
    load_executions(context, [charged for order in orders for charged in list_charged_orders(context, order)])


def _load_report(context: BatchContext, order: Order, command: ApplyBrokerReport) -> None:
    if isinstance(command.event, Replaced):
        load_broker_requests(context, order)
        load_histories(context, [order])
    if (
        isinstance(command.event, Charged)
        and command.event.currency != context.get_portfolio(order).base_currency
    ):
        find_current_rate(context, order.portfolio_key, command.event.currency)
    if isinstance(command.event, _PositionEvent):
        load_adoption(context, order, command.event.at, command.at)
    if isinstance(command.event, _EventOnStoredExecution):
        for row in _list_named_executions(context, [OrderAction(command, order)]):
            load_broker_charge(context, row)


def _list_named_executions(context: BatchContext, actions: Iterable[OrderAction]) -> list[ExecutionRow]:
    """Return the stored executions that are busted, corrected or charged."""
    rows: list[ExecutionRow] = []
    for command, order in actions:
        if isinstance(command, ExecutionChange):
            executed_order, execution_id = order, command.execution_id
        elif isinstance(command, ApplyBrokerReport) and isinstance(command.event, _EventOnStoredExecution):
            execution_id = command.event.execution_id
            executed_order = find_order_of_execution(context, order, execution_id)
        else:
            continue
        executions = list_executions(context, [executed_order])
        rows += [row for row in executions if row.execution_id == execution_id]
    return rows


def _load_restored_exits(context: BatchContext, actions: Iterable[OrderAction]) -> None:
    """Load the exits that trades to reverse ended, and the exits that a late fill restores or sends."""
    exits: list[Order] = []
    successors: list[Order] = []  # the orders that the fills are booked on
    for row in context.ledger.originals.values():
        if find_reduction(Decimal(row.position_quantity), Decimal(row.quantity_delta)) is not None:
            exits += load_recent_exits(context, row.position_key, row.created_at)
    for command, order in actions:
        if isinstance(command, ApplyBrokerReport) and isinstance(command.event, Executed):
            successor = find_successor(context, order)
            successors.append(successor)
            if order.role is Role.ENTRY and find_anomaly(order, successor, command.event) is not None:
                exits += load_recent_exits(context, order.position_key, successor.created_at)
    context.order_store.load_relatives([*exits, *successors])
    load_histories(context, [exit_order for exit_order in exits if exit_order.status is Status.CANCELED])
