"""Load the inputs of the less common commands before they are decided, so that deciding runs no statement."""

from collections.abc import Sequence, Set
from itertools import chain

from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, TradeKey
from app.ledger.service.commands import RecordTrade, ReverseTrade
from app.market_data.rules.values import Quote
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.values import (
    FINAL_STATUSES,
    PENDING_STATUSES,
    GroupKind,
    Order,
    OrderKey,
    Role,
    Status,
    TimeInForce,
)
from app.orders.service.approval.approval_decisions import load_override
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import load_histories
from app.orders.service.changes.order_cancels import load_canceled_orders
from app.orders.service.commands import (
    AdoptOrder,
    ApplyCorporateAction,
    CancelInPortfolio,
    CancelOrder,
    ClosePosition,
    CommandNamingOrder,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    WriterCommand,
    get_order_key,
    get_tenant_id,
)
from app.orders.service.execution.executions import find_successor
from app.orders.service.execution.matching import load_closing_quote, load_consumed_liquidity
from app.orders.service.execution_changes.busts import ExecutionChange
from app.orders.service.internal_commands import ApplyBrokerReport, CheckLosses, MatchQuote, ReleaseOrders
from app.orders.service.market_events.corporate_actions import load_corporate_action
from app.orders.service.risk_checks.approvals import load_decider, load_key_creators, load_requests
from app.orders.service.risk_checks.currency_conversion import load_booking_rates
from app.orders.service.risk_checks.exposure import load_marks_of_symbols
from app.orders.service.risk_checks.loss_limits import load_loss_checks
from app.orders.service.write_path.report_loading import OrderAction, load_report_inputs
from app.orders.service.write_path.risk_loading import load_risk_inputs
from app.timestamps import format_timestamp

# Built once: to build a union on each call is slow.
_ReducingCommand = ClosePosition | RecordTrade | SetExits
_ExecutionCommand = ExecutionChange | ApplyBrokerReport
_ApprovalCommand = DecideApproval | ReviewApprovals
_ResendingCommand = ReplaceOrder | DecideApproval


def load_decision_inputs(
    context: BatchContext,
    commands: Sequence[WriterCommand],
    instruments: Set[InstrumentKey],
    matched: Sequence[Order],
) -> None:
    """Load the inputs of the commands beyond portfolios and orders.

    Nothing may be changed before, because the statements do not see changes that are not written.
    `instruments` are the instruments of the tickets, `matched` the orders that quotes may fill.
    """
    placed = [command for command in commands if type(command) is PlaceOrder]
    uncommon_commands = [command for command in commands if type(command) is not PlaceOrder]
    actions = [
        OrderAction(command, context.order_store.get(*get_order_key(command)))
        for command in uncommon_commands
        if isinstance(command, CommandNamingOrder) and context.loaded.has_order(command)
    ]
    members = _list_members_to_release(context, actions)
    held_orders = [*members, *(order for order in matched if order.status is Status.HELD)]
    _load_approvals(context, uncommon_commands, actions, [*matched, *members])
    _load_histories(context, actions)
    if uncommon_commands:
        load_report_inputs(context, actions, matched)
        load_booking_rates(context, [*matched, *(order for _, order in actions)])
        _load_command_inputs(context, uncommon_commands)
        _load_closing_quotes(context)
    load_marks_of_symbols(context, {*instruments, *(order.instrument_key for _, order in actions)})
    _load_entries(context, placed, uncommon_commands, actions)
    load_consumed_liquidity(context, _list_matched_quotes(context, uncommon_commands, instruments, matched))
    load_risk_inputs(context, commands, held_orders, [*matched, *(order for _, order in actions)])


def _list_members_to_release(context: BatchContext, actions: Sequence[OrderAction]) -> list[Order]:
    """Return the orders that a broker's report on another order of their group may release."""
    return [
        member
        for command, order in actions
        if isinstance(command, ApplyBrokerReport) and order.group_kind in {GroupKind.OCO, GroupKind.OTO}
        for member in context.order_store.list_group(order)
    ]


def _load_command_inputs(context: BatchContext, uncommon_commands: Sequence[WriterCommand]) -> None:
    for command in uncommon_commands:
        if isinstance(command, CheckLosses):
            load_loss_checks(context, command)
        elif isinstance(command, ApplyCorporateAction):
            load_corporate_action(context, command)
        elif isinstance(command, AdoptOrder):
            order = context.order_store.find(command.origin.tenant_id, command.order_id)
            context.order_store.load_relatives([] if order is None else [order])
        elif isinstance(command, CancelInPortfolio):
            order_ids = load_canceled_orders(context, command) or ()
            keys = [OrderKey(command.origin.tenant_id, order_id) for order_id in order_ids]
            context.order_store.load_relatives(context.order_store.load_orders(keys))


def _load_closing_quotes(context: BatchContext) -> None:
    """Load the last quotes before the end of the closing auction orders that expire."""
    now = format_timestamp(context.now)
    for portfolio_key in context.loaded.portfolio_keys:
        for order in context.order_store.open_orders[portfolio_key].list_overdue(now):
            if order.time_in_force is TimeInForce.CLS:
                load_closing_quote(context, order)


def _load_approvals(
    context: BatchContext,
    uncommon_commands: Sequence[WriterCommand],
    actions: Sequence[OrderAction],
    matched: Sequence[Order],
) -> None:
    """Load the requests for approval of orders that wait or are released, and who may decide on them."""
    orders_to_decide = [
        order
        for command, order in actions
        if order.status is Status.AWAITING_APPROVAL or isinstance(command, DecideApproval)
    ]
    orders_to_decide += [
        member
        for order in orders_to_decide
        if order.role is Role.EITHER
        for member in context.order_store.list_group(order)
    ]
    loaded = context.loaded
    requests = chain(*loaded.approvals_to_review.values(), *loaded.expired_requests.values())
    orders_to_decide += [context.order_store.get(*request.order_key) for request in requests]
    deciding = [command for command in uncommon_commands if isinstance(command, _ApprovalCommand)]
    for command in deciding:
        load_decider(context, command.origin, command.role)
    parents = [
        member
        for member in (*orders_to_decide, *matched)
        if context.get_portfolio(member).approval is not None
    ]
    children = [child for member in parents for child in context.order_store.list_children(member)]
    load_requests(context, [*orders_to_decide, *parents, *children])
    if deciding:
        load_key_creators(context, orders_to_decide)


def _load_histories(context: BatchContext, actions: Sequence[OrderAction]) -> None:
    """Load the histories that show whether an order was changed under the same key, and how it ended."""
    orders = []
    for command, order in actions:
        is_open = order.status not in FINAL_STATUSES and order.status not in PENDING_STATUSES
        if isinstance(command, DecideApproval):
            orders.append(order)
        elif isinstance(command, ExecutionChange) and command.origin.idempotency_key:
            orders.append(find_successor(context, order))
        elif isinstance(command, RequestOverride):
            load_override(context, order)
        elif isinstance(command, CancelOrder | ReplaceOrder) and command.origin.idempotency_key:
            orders += [] if is_open else [order]
    load_histories(context, orders)


def _load_entries(
    context: BatchContext,
    placed: Sequence[PlaceOrder],
    uncommon_commands: Sequence[WriterCommand],
    actions: Sequence[OrderAction],
) -> None:
    """Load the entries of the exits in positions that the commands may reduce."""
    store, originals = context.order_store, context.ledger.originals
    entry_keys = {
        (command.origin.tenant_id, command.portfolio_name_key, command.ticket.symbol) for command in placed
    }
    keys = {
        (order.portfolio_key, order.symbol)
        for command, order in actions
        if isinstance(command, _ExecutionCommand)
    }
    for command in uncommon_commands:
        if isinstance(command, _ReducingCommand):
            entry_keys.add((command.origin.tenant_id, command.portfolio_name_key, command.symbol))
        elif isinstance(command, PlaceGroup):
            portfolio_name_key = (command.origin.tenant_id, command.portfolio_name_key)
            entry_keys |= {(*portfolio_name_key, ticket.symbol) for ticket in command.tickets}
        elif isinstance(command, ReverseTrade):
            row = originals.get(TradeKey(command.origin.tenant_id, command.trade_id))
            keys |= set() if row is None else {(row.portfolio_key, row.symbol)}
    for tenant_id, name_key, symbol in entry_keys:
        portfolio_id = context.ledger.portfolio_ids.get(PortfolioNameKey(tenant_id, name_key))
        keys |= set() if portfolio_id is None else {(PortfolioKey(tenant_id, portfolio_id), symbol)}
    open_orders = [
        order
        for key in keys
        if key[0] in store.portfolio_keys
        for order in store.list_open_orders_of_symbol(*key)
    ]
    store.load_parents(open_orders)
    at_broker = [order for order in open_orders if order.group_id is not None and is_remote(order)]
    store.load_relatives(at_broker)
    load_histories(context, at_broker)


def _list_matched_quotes(
    context: BatchContext,
    uncommon_commands: Sequence[WriterCommand],
    instruments: Set[InstrumentKey],
    matched: Sequence[Order],
) -> set[tuple[int, Quote]]:
    """Return the quotes that orders of the commands may match, with their tenants."""
    matched_quotes: set[tuple[int, Quote]] = set()
    keys = set(instruments) | {order.instrument_key for order in matched}
    for command in uncommon_commands:
        tenant_id = get_tenant_id(command)
        if isinstance(command, ClosePosition):
            keys.add(InstrumentKey(tenant_id, command.symbol))
        elif isinstance(command, ReleaseOrders):
            keys |= {InstrumentKey(tenant_id, symbol) for symbol in command.symbols}
        elif isinstance(command, MatchQuote) and command.is_new and command.instrument_key in keys:
            matched_quotes.add((tenant_id, command.quote))
        elif isinstance(command, _ResendingCommand) and context.loaded.has_order(command):
            keys.add(context.order_store.get(*get_order_key(command)).instrument_key)
    quotes = {(key.tenant_id, context.find_quote(*key)) for key in keys}
    return matched_quotes | {(tenant_id, quote) for tenant_id, quote in quotes if quote is not None}
