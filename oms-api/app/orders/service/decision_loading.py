"""Load what the rarer commands read while they are decided, so that deciding runs no statement."""

from collections.abc import Sequence
from decimal import Decimal

from app.brokers.rules.values import Busted, Charged, Executed
from app.costs.rules.values import Schedule
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, TradeKey
from app.ledger.service.commands import RecordTrade, ReverseTrade
from app.ledger.service.reversals import load_reversed_trades
from app.market_data.rules.values import Quote
from app.orders.rules.contingency import EXITS, reduction_of
from app.orders.rules.values import FINAL, PENDING, Order, Status, Ticket
from app.orders.service.aggregates import load_firm_totals
from app.orders.service.batch_context import BatchContext, ExecutionKey
from app.orders.service.commands import (
    BustExecution,
    CancelOrder,
    ClosePosition,
    Command,
    CommandOnOrder,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    get_order_key,
    get_tenant_id,
    list_tickets,
)
from app.orders.service.current_losses import load_firm_profits
from app.orders.service.execution_latch import holders_for, load_execution_count
from app.orders.service.exit_restoration import load_recent_exits
from app.orders.service.filling import find_successor
from app.orders.service.internal_commands import BrokerReport, QuoteArrived, ReleaseOrders
from app.orders.service.lock_plan import list_instrument_keys
from app.orders.service.matching import load_consumed_liquidity
from app.orders.service.order_records import (
    list_executions,
    load_executed_orders,
    load_executions,
    load_histories,
)
from app.risk.rules.latches import list_latch_subjects

_ExecutionChange = BustExecution | CorrectExecution
_RiskChecked = (
    PlaceOrder | PlaceSignal | PlaceGroup | PreviewOrder | ReplaceOrder | ClosePosition | SetExits
    | DecideApproval | RequestOverride | ReviewApprovals | ReleaseOrders
)  # fmt: skip
# Built once: to build a union on each call is slow.
_Placement = PlaceOrder | PlaceGroup
_Reducing = _Placement | ClosePosition | RecordTrade
_WithSymbol = ClosePosition | RecordTrade
_Reporting = _ExecutionChange | BrokerReport
_Resent = ReplaceOrder | DecideApproval
_OrderAction = tuple[CommandOnOrder, Order]  # a command, and the order that it names


def load_decision_inputs(
    context: BatchContext, commands: Sequence[Command], matched: Sequence[Order]
) -> None:
    """Load what the commands read beyond portfolios and orders. `matched` are the orders of quotes.

    Nothing may be changed before, because the statements do not see changes that are not written.
    """
    plan, store = context.plan, context.order_store
    actions = [
        (command, store.get(*get_order_key(command)))
        for command in commands
        if isinstance(command, CommandOnOrder) and plan.has_order(command)
    ]
    _load_histories(context, actions)
    _load_executions(context, actions, matched)
    _load_busted_trades(context, actions)
    _load_entries(context, commands)
    load_consumed_liquidity(context, _list_matched_quotes(context, commands, matched))
    checked = {get_tenant_id(command) for command in commands if isinstance(command, _RiskChecked)}
    tenants = sorted(checked & context.switches.keys())  # those with a locked portfolio
    load_firm_totals(context, tenants)
    load_firm_profits(context, tenants)
    _load_execution_counts(context, commands, matched)


def _load_histories(context: BatchContext, actions: Sequence[_OrderAction]) -> None:
    """Load the histories that show whether an order was changed under the same key, and how it ended."""
    orders = []
    for command, order in actions:
        is_open = order.status not in FINAL and order.status not in PENDING
        if isinstance(command, DecideApproval):
            orders += [] if is_open and command.origin.idempotency_key is None else [order]
        elif isinstance(command, _ExecutionChange) and command.origin.idempotency_key:
            orders.append(find_successor(context, order))
        elif isinstance(command, CancelOrder | ReplaceOrder) and command.origin.idempotency_key:
            orders += [] if is_open else [order]
    load_histories(context, orders)


def _load_executions(
    context: BatchContext, actions: Sequence[_OrderAction], matched: Sequence[Order]
) -> None:
    """Load the executions of the orders that may be filled further, or of which one is changed."""
    keys: list[ExecutionKey] = []
    orders = [order for order in matched if order.status is Status.PARTIALLY_FILLED]
    for command, order in actions:
        if isinstance(command, _ExecutionChange):
            orders.append(order)
        elif isinstance(command, BrokerReport) and isinstance(command.event, Executed | Busted | Charged):
            keys.append((order.tenant_id, order.broker, command.event.execution_id))
            orders += context.order_store.chain_of(order) if _is_charged_by_order(order) else [order]
    load_executed_orders(context, keys)
    load_executions(context, [order for order in orders if order.filled_quantity])


def _is_charged_by_order(order: Order) -> bool:
    return order.cost_schedule == Schedule.ZERODHA and bool(order.replaces)


def _load_busted_trades(context: BatchContext, actions: Sequence[_OrderAction]) -> None:
    """Load the trades of executions that are busted or corrected, and the exits that they ended."""
    trade_keys = [
        TradeKey(row.tenant_id, row.trade_id)
        for command, order in actions
        if isinstance(command, _ExecutionChange)
        for row in list_executions(context, [order])
        if row.execution_id == command.execution_id
    ]
    if not trade_keys:
        return
    load_reversed_trades(context.ledger, trade_keys)
    exits: list[Order] = []
    for row in filter(None, map(context.ledger.originals.get, trade_keys)):
        if reduction_of(Decimal(row.position_quantity), Decimal(row.quantity_delta)) is not None:
            exits += load_recent_exits(context, row.position_key, row.created_at)
    context.order_store.load_relatives(exits)
    load_histories(context, [one for one in exits if one.status is Status.CANCELED])


def _load_entries(context: BatchContext, commands: Sequence[Command]) -> None:
    """Load the entries of the exits in positions that the commands may reduce."""
    locked, store = context.order_store.portfolio_keys, context.order_store
    open_orders: list[Order] = []
    for portfolio_key, symbol in {key for command in commands for key in _list_reduced(context, command)}:
        if portfolio_key in locked:
            open_orders += store.open_of(portfolio_key, symbol)
    store.load_parents([order for order in open_orders if order.role in EXITS])


def _list_reduced(context: BatchContext, command: Command) -> list[tuple[PortfolioKey, str]]:
    """Return the portfolios and symbols in which a command may reduce a position."""
    if isinstance(command, _Reducing):
        name = PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)
        portfolio_id = context.ledger.portfolio_ids.get(name)
        if portfolio_id is None:
            return []
        key = PortfolioKey(name.tenant_id, portfolio_id)
        if isinstance(command, _WithSymbol):
            return [(key, command.symbol)]
        return [(key, one.symbol) for one in list_tickets(command) if _is_reducing(context, key, one)]
    if isinstance(command, ReverseTrade):
        original = context.ledger.originals.get(TradeKey(command.origin.tenant_id, command.trade_id))
        return [] if original is None else [(original.portfolio_key, original.symbol)]
    if isinstance(command, _Reporting) and context.plan.has_order(command):
        order = context.order_store.get(*get_order_key(command))
        return [(order.portfolio_key, order.symbol)]
    return []


def _is_reducing(context: BatchContext, portfolio_key: PortfolioKey, ticket: Ticket) -> bool:
    """Return whether the ticket's side reduces the position in its symbol and product."""
    held = context.ledger.position((*portfolio_key, ticket.symbol, ticket.product)).quantity
    return held > 0 if ticket.side == "SELL" else held < 0


def _list_matched_quotes(
    context: BatchContext, commands: Sequence[Command], matched: Sequence[Order]
) -> set[tuple[int, Quote]]:
    """Return the quotes that orders of the commands may match, with their tenants."""
    found: set[tuple[int, Quote]] = set()
    matched_instruments = {order.instrument_key for order in matched}
    instruments = list_instrument_keys(commands)
    for command in commands:
        tenant_id = get_tenant_id(command)
        if isinstance(command, ClosePosition):
            instruments.add(InstrumentKey(tenant_id, command.symbol))
        elif isinstance(command, ReleaseOrders):
            instruments |= {InstrumentKey(tenant_id, symbol) for symbol in command.symbols}
        elif isinstance(command, QuoteArrived) and command.instrument_key in matched_instruments:
            instruments.add(command.instrument_key)
            found |= {(tenant_id, command.quote)} if command.is_new else set()
        elif isinstance(command, _Resent) and context.plan.has_order(command):
            instruments.add(context.order_store.get(*get_order_key(command)).instrument_key)
    for key in instruments:
        quote = context.quote(*key)
        if quote is not None:
            found.add((key.tenant_id, quote))
    return found


def _load_execution_counts(
    context: BatchContext, commands: Sequence[Command], matched: Sequence[Order]
) -> None:
    """Load what those who place orders automatically have executed, where repeated executions are limited."""
    holders = {(order.tenant_id, one) for order in matched for one in holders_for(order)[:1]}
    for command in commands:
        if isinstance(command, _Placement):
            origin = command.origin
            for ticket in list_tickets(command):
                subjects = list_latch_subjects(ticket.symbol, ticket.strategy, origin.source, origin.actor)
                holders |= {(origin.tenant_id, one) for one in subjects[:1]}
        elif isinstance(command, BrokerReport) and context.plan.has_order(command):
            order = context.order_store.get(*get_order_key(command))
            holders |= {(order.tenant_id, one) for one in holders_for(order)[:1]}
    for key in sorted(holders):
        if key[0] in context.switches:
            load_execution_count(context, key)
