"""Load the state that the commands of a batch need: lock their portfolios, and read it under the locks."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import starmap
from typing import TypeGuard, cast

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.instruments.queries import load_symbols_by_alias
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import ActionKind
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import LedgerCommand, RecordTrade
from app.ledger.service.portfolio_state import PortfolioState
from app.ledger.service.trade_guard import ReservedQuantity
from app.market_data.queries import lock_quotes
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext, BatchServices
from app.orders.service.batch_state.order_store import OrderStore
from app.orders.service.batch_state.portfolio_loading import load_portfolios
from app.orders.service.commands import (
    ApplyCorporateAction,
    CancelAll,
    CancelInPortfolio,
    ClosePosition,
    OrderCommand,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    SetExits,
    WriterCommand,
    get_tenant_id,
    get_time,
    list_tickets,
)
from app.orders.service.internal_commands import (
    CancelHalted,
    ExpireOrders,
    FinishQuote,
    MatchQuote,
    ReleaseOrders,
    SquareOff,
)
from app.orders.service.market_events.quote_processing import (
    list_portfolios_with_orders,
    match_unmatched_quotes,
)
from app.orders.service.risk_checks.exposure import load_marks
from app.orders.service.signal_orders import begin_signals
from app.orders.service.trade_guard import get_working_quantity
from app.orders.service.write_path.decision_loading import load_decision_inputs
from app.orders.service.write_path.lock_plan import plan_locks


def load_batch(
    ledger_handler: LedgerBatchHandler,
    services: BatchServices,
    connection: Connection,
    commands: Sequence[WriterCommand],
    message_counts: dict[int, int],
) -> tuple[BatchContext, Sequence[WriterCommand]]:
    """Lock and load the state that the commands need. Return the commands with symbols instead of aliases.

    Then bring the portfolios up to the newest quotes, so that each command decides on that state.
    """
    tenants = set(map(get_tenant_id, commands))
    set_tenant_scope(connection, tenants)
    signals, commands = begin_signals(services.signals, connection, commands)
    ledger = [command for command in commands if isinstance(command, LedgerCommand)]
    orders = (
        [command for command in commands if not isinstance(command, LedgerCommand)] if ledger else commands
    )
    loaded = plan_locks(connection, cast("Sequence[OrderCommand]", orders))
    batch = ledger_handler.load(connection, ledger, loaded.portfolio_names, loaded.portfolio_keys, tenants)
    commands, instruments = _resolve_aliases(connection, commands)  # after locking: see `is_symbol_in_use`
    uncommon_commands = [command for command in commands if type(command) is not PlaceOrder]
    context = BatchContext(batch, services, max(map(get_time, commands)), loaded, message_counts)
    context.signals = signals
    if signals is not None:
        signals.load(connection)
    loaded.portfolio_keys |= batch.list_portfolio_keys(loaded.portfolio_names)
    if ledger:  # trades reduce the exits of portfolios that no order command names
        loaded.portfolio_keys |= list_portfolios_with_orders(batch)
    load_portfolios(context, loaded.portfolio_keys, instruments | _list_quoted(context, uncommon_commands))
    load_marks(context, loaded.portfolio_keys)
    # Without a reference to the context, which would keep the whole batch until the garbage collector runs.
    batch.get_reserved_quantity = partial(
        _get_reserved_quantity, context.order_store, batch.get_reserved_quantity
    )
    _load_orders(context, commands, uncommon_commands, instruments)
    match_unmatched_quotes(context)
    return context, commands


def _load_orders(
    context: BatchContext,
    commands: Sequence[WriterCommand],
    uncommon_commands: Sequence[WriterCommand],
    instruments: set[InstrumentKey],
) -> None:
    """Load the orders that commands name, match or end, with their groups and the inputs of the decisions."""
    loaded, store = context.loaded, context.order_store
    named_orders = store.load_orders(loaded.portfolios_by_order)
    matched = _list_orders_to_match(context, uncommon_commands)
    ended = [
        *_list_orders_to_end(context, uncommon_commands),
        *_list_competing_orders(context, uncommon_commands),
    ]
    store.load_relatives([*named_orders, *matched, *ended])
    changed_quotes = {key for key in map(_find_changed_quote, uncommon_commands) if key is not None}
    loaded.symbols_with_unmatched_quotes = lock_quotes(context.connection, sorted(changed_quotes))
    load_decision_inputs(context, commands, instruments, matched)


def _list_quoted(context: BatchContext, commands: Sequence[WriterCommand]) -> set[InstrumentKey]:
    """Return the instruments of arrived quotes, and those whose positions or exits a command changes."""
    originals = context.ledger.originals.values()  # the trades that are reversed
    instrument_keys = {InstrumentKey(row.tenant_id, row.symbol) for row in originals}
    for command in commands:
        if isinstance(command, MatchQuote):
            instrument_keys.add(command.instrument_key)
        elif isinstance(command, (ClosePosition, SetExits)):
            instrument_keys.add(InstrumentKey(command.origin.tenant_id, command.symbol))
        elif isinstance(command, RecordTrade):
            name = PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)
            if name in context.loaded.portfolio_names:  # an order of the batch may need its valuation
                instrument_keys.add(InstrumentKey(command.origin.tenant_id, command.symbol))
    return instrument_keys


def _list_orders_to_match(context: BatchContext, commands: Sequence[WriterCommand]) -> list[Order]:
    """Return the open orders in the symbols of arrived quotes, and in those whose orders are released."""
    orders_to_match: list[Order] = []
    for command in commands:
        if isinstance(command, MatchQuote):
            for key in command.portfolio_keys or context.loaded.list_portfolios(*command.instrument_key):
                orders_to_match += context.order_store.list_open_orders_of_symbol(key, command.quote.symbol)
        elif isinstance(command, ReleaseOrders):
            for symbol in command.symbols:
                for key in context.loaded.list_portfolios(command.tenant_id, symbol):
                    orders_to_match += context.order_store.list_open_orders_of_symbol(key, symbol)
    return orders_to_match


def _list_orders_to_end(context: BatchContext, commands: Sequence[WriterCommand]) -> list[Order]:
    """Return the orders that expire, and the open orders of portfolios in which commands cancel orders."""
    keys, overdue = set(), []
    for command in commands:
        if isinstance(command, CancelInPortfolio):
            keys.add(PortfolioKey(command.origin.tenant_id, command.portfolio_id))
        elif isinstance(command, CancelAll):
            name = PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)
            keys |= context.ledger.list_portfolio_keys([name])
        elif isinstance(command, CancelHalted):
            keys.update(context.loaded.list_locked_portfolios(command.tenant_id))
        elif isinstance(command, SquareOff):
            keys.update(context.loaded.portfolios_with_intraday_positions[command.tenant_id])
        elif isinstance(command, ExpireOrders):
            for key in context.loaded.portfolios_with_overdue_orders[command]:
                overdue += context.order_store.open_orders[key].list_overdue(command.at)
    return overdue + [order for key in sorted(keys) for order in context.order_store.list_open_orders(key)]


def _list_competing_orders(context: BatchContext, commands: Sequence[WriterCommand]) -> list[Order]:
    """Return the open orders in the positions that commands close, trade or reverse: they may cancel them."""
    symbols = [(row.portfolio_key, row.symbol) for row in context.ledger.originals.values()]
    for command in commands:
        if isinstance(command, (ClosePosition, RecordTrade)):
            name = PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)
            symbols += [(key, command.symbol) for key in context.ledger.list_portfolio_keys([name])]
    store = context.order_store
    return [
        order
        for key, symbol in symbols
        if key in store.portfolio_keys
        for order in store.list_open_orders_of_symbol(key, symbol)
    ]


def _find_changed_quote(command: WriterCommand) -> InstrumentKey | None:
    """Return the instrument whose stored quote a command may change, None if it changes none."""
    match command:
        case MatchQuote(is_new=True) | FinishQuote():
            return command.instrument_key
        case ApplyCorporateAction(action=action) if action.kind is ActionKind.SPLIT:
            return InstrumentKey(action.tenant_id, action.symbol)
        case _:
            return None


def _get_reserved_quantity(
    order_store: OrderStore,
    get_stored_quantity: ReservedQuantity,
    portfolio: PortfolioState,
    command: RecordTrade,
    position_quantity: Decimal,
) -> Decimal:
    """Return the quantity of a position that working orders reserve, as this batch sees them."""
    if portfolio.key in order_store.portfolio_keys:
        return get_working_quantity(
            order_store.list_open_orders_of_symbol(portfolio.key, command.symbol), command, position_quantity
        )
    return get_stored_quantity(portfolio, command, position_quantity)


def _resolve_aliases(
    connection: Connection, commands: Sequence[WriterCommand]
) -> tuple[Sequence[WriterCommand], set[InstrumentKey]]:
    """Return the commands with symbols instead of aliases, and the instruments of tickets and signals.

    One statement reads the symbols. The alias of a trade is resolved with its position. Quotes and kill
    switch closes never use an alias.
    """
    instruments = _list_instruments(commands)
    other_instruments = {
        InstrumentKey(get_tenant_id(command), command.symbol)
        for command in commands
        if type(command) is not PlaceOrder and _may_use_alias(command) and command.symbol is not None
    }
    symbols = load_symbols_by_alias(connection, sorted(instruments | other_instruments))
    if symbols:
        commands = [_replace_names(command, symbols) for command in commands]
        instruments = _list_instruments(commands)
    return commands, instruments


def _list_instruments(commands: Sequence[WriterCommand]) -> set[InstrumentKey]:
    """Return the instruments of the tickets and signals, whose quotes are needed."""
    placed = {
        (command.origin.tenant_id, command.ticket.symbol)
        for command in commands
        if type(command) is PlaceOrder
    }
    instrument_keys = set(starmap(InstrumentKey, placed))
    for command in commands:
        if type(command) is PlaceSignal:
            instrument_keys.add(InstrumentKey(command.origin.tenant_id, command.symbol))
        elif type(command) is not PlaceOrder:
            instrument_keys |= {
                InstrumentKey(get_tenant_id(command), ticket.symbol) for ticket in list_tickets(command)
            }
    return instrument_keys


def _may_use_alias(command: WriterCommand) -> TypeGuard[CancelAll | ClosePosition | SetExits | PlaceSignal]:
    if isinstance(command, ClosePosition):
        return not command.ignores_halt
    return isinstance(command, (CancelAll, SetExits, PlaceSignal))


def _replace_names(command: WriterCommand, symbols: Mapping[InstrumentKey, str]) -> WriterCommand:
    def resolve(name: str) -> str:
        return symbols.get(InstrumentKey(get_tenant_id(command), name), name)

    if isinstance(command, (PlaceOrder, PreviewOrder)):
        return command._replace(ticket=command.ticket._replace(symbol=resolve(command.ticket.symbol)))
    if isinstance(command, PlaceGroup):
        tickets = [ticket._replace(symbol=resolve(ticket.symbol)) for ticket in command.tickets]
        return command._replace(tickets=tuple(tickets))
    if _may_use_alias(command) and command.symbol is not None:
        return command._replace(symbol=resolve(command.symbol))
    return command
