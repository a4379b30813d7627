"""Load the inputs of the risk checks: brokers' connections, losses, totals of all portfolios, and counts."""

from collections.abc import Sequence

from app.orders.rules.values import (
    Order,
)
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.broker_orders import load_broker_connection
from app.orders.service.commands import (
    ClosePosition,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    WriterCommand,
    get_tenant_id,
    list_tickets,
)
from app.orders.service.internal_commands import ReleaseOrders
from app.orders.service.risk_checks.aggregates import has_firm_limits, load_firm_totals
from app.orders.service.risk_checks.duplicate_orders import load_recent_orders
from app.orders.service.risk_checks.execution_latch import list_order_subjects, load_execution_count
from app.orders.service.risk_checks.loss_limits import load_firm_profits, load_losses
from app.risk.rules.latches import list_latch_subjects

# Built once: to build a union on each call is slow.
_PlacementCommand = PlaceOrder | PlaceGroup
_RiskCheckedCommand = (
    PlaceOrder | PlaceSignal | PlaceGroup | PreviewOrder | ReplaceOrder | ClosePosition | SetExits
    | DecideApproval | RequestOverride | ReviewApprovals | ReleaseOrders
)  # fmt: skip


def load_risk_inputs(
    context: BatchContext,
    commands: Sequence[WriterCommand],
    held_orders: Sequence[Order],
    filling_orders: Sequence[Order],
) -> None:
    """Load the inputs of the risk checks of commands, and of `held_orders`, which may be released.

    The executions of `filling_orders` may set a latch.
    """
    load_recent_orders(context, commands, held_orders)
    _load_broker_connections(context, commands, held_orders)
    _load_limited_values(context, commands, held_orders)
    _load_execution_counts(context, commands, filling_orders)


def _load_broker_connections(
    context: BatchContext, commands: Sequence[WriterCommand], held_orders: Sequence[Order]
) -> None:
    """Load the connections of the portfolios whose orders may be sent to a broker."""
    remote = [
        portfolio
        for portfolio in context.ledger.list_locked_portfolios()
        if portfolio.broker_connection is not None
    ]
    if remote and (held_orders or any(isinstance(command, _RiskCheckedCommand) for command in commands)):
        for portfolio in remote:
            load_broker_connection(context, portfolio)


def _load_limited_values(
    context: BatchContext, commands: Sequence[WriterCommand], held_orders: Sequence[Order]
) -> None:
    """Load the values that the risk checks compare with limits: losses, totals and P&L of all portfolios."""
    controls = context.services.controls
    limited = {
        switch
        for switch in context.loaded.switches
        if controls.limits_losses(switch) or has_firm_limits(context, switch)
    }
    if not limited:
        return
    checked = {get_tenant_id(command) for command in commands if isinstance(command, _RiskCheckedCommand)}
    for tenant_id in sorted(limited & (checked | {order.tenant_id for order in held_orders})):
        for portfolio_key in context.loaded.list_locked_portfolios(tenant_id):
            load_losses(context, portfolio_key)
        load_firm_totals(context, tenant_id)
        load_firm_profits(context, tenant_id)


def _load_execution_counts(
    context: BatchContext, commands: Sequence[WriterCommand], orders: Sequence[Order]
) -> None:
    """Load the execution counts of strategies and API keys, where repeated executions are limited."""
    counting = {
        switch for switch in context.loaded.switches if context.services.controls.counts_executions(switch)
    }
    if not counting:
        return
    holders = {(order.tenant_id, holder) for order in orders for holder in list_order_subjects(order)[:1]}
    for command in commands:
        if not isinstance(command, _PlacementCommand):
            continue
        origin = command.origin
        for ticket in list_tickets(command):
            subjects = list_latch_subjects(ticket.symbol, ticket.strategy, origin.source, origin.actor)
            holders |= {(origin.tenant_id, subject) for subject in subjects[:1]}
    for key in sorted(holders):
        if key[0] in counting:
            load_execution_count(context, key)
