"""Plan the locks of a batch: find the portfolios and the orders that its commands need.

The requests' keys and client order ids are locked here. The ledger then locks the portfolios.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from app.database.locks import build_name_locks
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey
from app.orders.queries import approvals
from app.orders.queries import orders as queries
from app.orders.queries.due_orders import list_intraday_portfolios
from app.orders.queries.orders import OrderColumnValue
from app.orders.rules.values import OrderKey
from app.orders.service.approval.approval_review import list_requests_to_review
from app.orders.service.batch_state.loaded_state import LoadedState
from app.orders.service.commands import (
    ApplyCorporateAction,
    CancelInPortfolio,
    CommandNamingOrder,
    CommandNamingPortfolio,
    OrderCommand,
    PlaceOrder,
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


def plan_locks(connection: Connection, commands: Sequence[OrderCommand]) -> LoadedState:
    """Return a new state with the portfolios to lock, by name and by key, and the orders to load.

    Lock the idempotency keys and the client order ids of the requests.
    """
    loaded = LoadedState()
    _add_names(loaded, commands)
    _lock_request_keys(connection, loaded, commands)
    uncommon_commands = [command for command in commands if type(command) is not PlaceOrder]
    if uncommon_commands:
        _add_named_orders(connection, loaded, uncommon_commands)
        _add_portfolios(connection, loaded, uncommon_commands)
        _add_portfolios_by_symbol(connection, loaded, uncommon_commands)
        _add_overdue_orders(
            connection,
            loaded,
            [command for command in uncommon_commands if isinstance(command, ExpireOrders)],
        )
    return loaded


def _add_names(loaded: LoadedState, commands: Sequence[OrderCommand]) -> None:
    for command in commands:
        if isinstance(command, CommandNamingPortfolio):
            loaded.portfolio_names.add(PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key))
        elif isinstance(command, (ApplyCorporateAction, CancelInPortfolio)):
            loaded.portfolio_keys.add(PortfolioKey(command.origin.tenant_id, command.portfolio_id))


def _lock_request_keys(connection: Connection, loaded: LoadedState, commands: Sequence[OrderCommand]) -> None:
    """Lock the requests' keys and client order ids, and find the orders that have them.

    Their portfolios are locked too, because a repeated request returns their current state.
    """
    by_column = _group_request_keys_by_column(commands)
    locks = build_name_locks((column, *name) for column, names in by_column.items() for name in names)
    for column, names in by_column.items():
        if names:
            recorded_orders = queries.load_orders_by_column_index(connection, column, sorted(names), locks)
            loaded.index_request_keys(recorded_orders)
            _add_orders(loaded, {order.key: order.portfolio_key for order in recorded_orders})
            locks = []  # the first statement took them


def _group_request_keys_by_column(commands: Sequence[OrderCommand]) -> dict[str, set[OrderColumnValue]]:
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


def _add_named_orders(connection: Connection, loaded: LoadedState, commands: Sequence[OrderCommand]) -> None:
    order_commands = [command for command in commands if isinstance(command, CommandNamingOrder)]
    order_keys = {get_order_key(command) for command in order_commands}
    _add_orders(loaded, queries.load_portfolio_keys(connection, sorted(order_keys)))


def _add_orders(loaded: LoadedState, portfolios_by_order: Mapping[OrderKey, PortfolioKey]) -> None:
    """Add orders that are to be loaded, and their portfolios, which are to be locked."""
    loaded.portfolios_by_order.update(portfolios_by_order)
    loaded.portfolio_keys.update(portfolios_by_order.values())


def _add_portfolios(connection: Connection, loaded: LoadedState, commands: Sequence[OrderCommand]) -> None:
    for command in commands:
        if isinstance(command, SquareOff):
            intraday_keys = list_intraday_portfolios(connection, command.tenant_id)
            loaded.portfolios_with_intraday_positions[command.tenant_id] = sorted(intraday_keys)
            loaded.portfolio_keys |= intraday_keys
        elif isinstance(command, ReviewApprovals):
            requests = list_requests_to_review(connection, command)
            loaded.approvals_to_review[command] = requests
            _add_orders(loaded, {request.order_key: request.portfolio_key for request in requests})
        elif isinstance(command, CheckLosses):
            limited = list_portfolios_with_loss_limits(connection, command.tenant_id)
            loaded.portfolios_with_loss_limits[command.tenant_id] = sorted(limited)
            loaded.portfolio_keys |= limited
        elif isinstance(command, CancelHalted):
            loaded.portfolio_keys |= queries.list_portfolios_with_open_orders(connection, command.tenant_id)


def _add_overdue_orders(
    connection: Connection, loaded: LoadedState, commands: Sequence[OrderCommand]
) -> None:
    for command in commands:
        if not isinstance(command, ExpireOrders):
            continue
        tenant_id, at = command.tenant_id, command.at
        if command.portfolio_id is not None:
            overdue_keys = {PortfolioKey(tenant_id, command.portfolio_id)}
        else:
            overdue_keys = queries.list_portfolios_with_overdue_orders(
                connection, tenant_id, at, MAX_EXPIRIES
            )
            requests = approvals.list_expired_requests(connection, tenant_id, at, MAX_EXPIRIES)
            loaded.expired_requests[tenant_id] = requests
            _add_orders(loaded, {request.order_key: request.portfolio_key for request in requests})
        loaded.portfolios_with_overdue_orders[command] = sorted(overdue_keys)
        loaded.portfolio_keys |= overdue_keys


def _add_portfolios_by_symbol(
    connection: Connection, loaded: LoadedState, commands: Sequence[OrderCommand]
) -> None:
    """Find the portfolios of quotes and of releases.

    A new quote that would match too many orders is only stored.
    """
    quotes = [command for command in commands if isinstance(command, MatchQuote)]
    loaded.portfolio_keys |= {key for command in quotes for key in command.portfolio_keys or ()}
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
            loaded.deferred_quote_times[key] = arrived[key].at
        else:
            total += count
            loaded.portfolios_by_symbol[key] = [portfolio_key for portfolio_key, _ in portfolios]
            loaded.portfolio_keys |= set(loaded.portfolios_by_symbol[key])
