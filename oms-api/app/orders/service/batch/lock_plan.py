"""Find the portfolios that a batch must lock, in a few statements before locking."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.database.locks import build_name_locks
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey
from app.orders.queries import approvals
from app.orders.queries import book as queries
from app.orders.queries.book import OrderColumnValue
from app.orders.queries.due_orders import find_intraday_portfolios
from app.orders.service.batch.loaded_state import LoadedState
from app.orders.service.commands import (
    ApplyCorporateAction,
    CancelInPortfolio,
    CommandOnOrder,
    OrderCommand,
    PlaceOrder,
    PortfolioRequest,
    ReplaceOrder,
    ReviewApprovals,
    get_order_key,
    list_tickets,
)
from app.orders.service.internal_commands import (
    MAX_EXPIRIES,
    CancelHalted,
    CheckLosses,
    ExpireOrders,
    InternalCommand,
    MatchQuote,
    ReleaseOrders,
    SquareOff,
)
from app.risk.queries.losses import list_portfolios_with_loss_limits

MAX_MATCHES = 100  # open orders that one transaction matches against quotes


def find_portfolios_to_lock(connection: Connection, commands: Sequence[OrderCommand]) -> LoadedState:
    """Return a new state with the portfolios that the commands need, by name and by key."""
    plan = LoadedState()
    _add_names(plan, commands)
    _find_recorded_orders(connection, plan, commands)
    uncommon_commands = [command for command in commands if type(command) is not PlaceOrder]
    if uncommon_commands:
        _find_orders(connection, plan, uncommon_commands)
        _find_portfolios(connection, plan, uncommon_commands)
        _find_portfolios_by_symbol(connection, plan, uncommon_commands)
        _find_overdue(
            connection, plan, [command for command in uncommon_commands if isinstance(command, ExpireOrders)]
        )
    return plan


def _add_names(plan: LoadedState, commands: Sequence[OrderCommand]) -> None:
    for command in commands:
        if isinstance(command, PortfolioRequest):
            plan.portfolio_names.add(PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key))
        elif isinstance(command, (ApplyCorporateAction, CancelInPortfolio)):
            plan.portfolio_keys.add(PortfolioKey(command.origin.tenant_id, command.portfolio_id))


def _find_recorded_orders(
    connection: Connection, plan: LoadedState, commands: Sequence[OrderCommand]
) -> None:
    """Lock the requests' keys and client order ids, and find the orders that have them.

    Their portfolios are locked too, because a repeated request returns their current state.
    """
    by_column = _list_request_keys(commands)
    locks = build_name_locks((column, *name) for column, names in by_column.items() for name in names)
    for column, names in by_column.items():
        if names:
            recorded_orders = queries.find_orders_by_name_index(connection, column, sorted(names), locks)
            plan.index_request_keys(recorded_orders)
            plan.portfolio_keys |= {order.portfolio_key for order in recorded_orders}
            locks = []  # the first statement took them


def _list_request_keys(commands: Sequence[OrderCommand]) -> dict[str, set[OrderColumnValue]]:
    """Return the client order ids and the idempotency keys of the requests, by the column of an order."""
    client_order_ids, request_keys = set(), set()
    for command in commands:
        if isinstance(command, InternalCommand):
            continue
        tenant_id = command.origin.tenant_id
        if command.origin.idempotency_key:
            request_keys.add(OrderColumnValue(tenant_id, command.origin.idempotency_key))
        names = [ticket.client_order_id for ticket in list_tickets(command)]
        if isinstance(command, ReplaceOrder):
            names.append(command.changes.client_order_id)
        client_order_ids |= {OrderColumnValue(tenant_id, name) for name in names if name}
    return {"client_order_id": client_order_ids, "idempotency_key": request_keys}


def _find_orders(connection: Connection, plan: LoadedState, commands: Sequence[OrderCommand]) -> None:
    order_commands = [command for command in commands if isinstance(command, CommandOnOrder)]
    order_keys = {get_order_key(command) for command in order_commands}
    plan.portfolios_by_order = queries.find_portfolio_keys(connection, sorted(order_keys))
    plan.portfolio_keys |= set(plan.portfolios_by_order.values())


def _find_portfolios(connection: Connection, plan: LoadedState, commands: Sequence[OrderCommand]) -> None:
    for command in commands:
        if isinstance(command, SquareOff):
            intraday_keys = find_intraday_portfolios(connection, command.tenant_id)
            plan.portfolios_with_intraday_positions[command.tenant_id] = sorted(intraday_keys)
            plan.portfolio_keys |= intraday_keys
        elif isinstance(command, ReviewApprovals):
            origin = command.origin
            requests = approvals.list_waiting_requests(
                connection, origin.tenant_id, origin.portfolios, command.limit
            )
            plan.approvals_to_review[command] = requests
            plan.portfolio_keys |= {request.portfolio_key for request in requests}
        elif isinstance(command, CheckLosses):
            limited = list_portfolios_with_loss_limits(connection, command.tenant_id)
            plan.portfolios_with_loss_limits[command.tenant_id] = sorted(limited)
            plan.portfolio_keys |= limited
        elif isinstance(command, CancelHalted):
            plan.portfolio_keys |= queries.find_portfolios_with_orders(connection, command.tenant_id)


def _find_overdue(connection: Connection, plan: LoadedState, commands: Sequence[ExpireOrders]) -> None:
    for command in commands:
        tenant_id, at = command.tenant_id, command.at
        if command.portfolio_id is not None:
            overdue_keys = {PortfolioKey(tenant_id, command.portfolio_id)}
        else:
            overdue_keys = queries.find_overdue_portfolios(connection, tenant_id, at, MAX_EXPIRIES)
            requests = approvals.list_expired_requests(connection, tenant_id, at, MAX_EXPIRIES)
            plan.expired_requests[tenant_id] = requests
            plan.portfolio_keys |= {request.portfolio_key for request in requests}
        plan.portfolios_with_overdue_orders[command] = sorted(overdue_keys)
        plan.portfolio_keys |= overdue_keys


def _find_portfolios_by_symbol(
    connection: Connection, plan: LoadedState, commands: Sequence[OrderCommand]
) -> None:
    """Find the portfolios of quotes and of releases.

    A new quote that would match too many orders is only stored.
    """
    quotes = [command for command in commands if isinstance(command, MatchQuote)]
    plan.portfolio_keys |= {key for command in quotes for key in command.portfolio_keys or ()}
    arrived = {quote.instrument_key: quote for quote in quotes if quote.portfolio_keys is None}
    released_instruments = {
        InstrumentKey(command.tenant_id, symbol)
        for command in commands
        if isinstance(command, ReleaseOrders)
        for symbol in command.symbols
    }
    counts = queries.count_open_orders(connection, sorted(arrived.keys() | released_instruments))
    total = 0
    for key, portfolios in counts.items():
        count = sum(number for _, number in portfolios)
        if key not in released_instruments and arrived[key].is_new and total + count > MAX_MATCHES:
            plan.deferred_quote_times[key] = arrived[key].at
        else:
            total += count
            plan.portfolios_by_symbol[key] = [portfolio_key for portfolio_key, _ in portfolios]
            plan.portfolio_keys |= set(plan.portfolios_by_symbol[key])
