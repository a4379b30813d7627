"""Process a quote: expire, release and match the orders of its symbol."""

from datetime import datetime
from decimal import Decimal

from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.batch import LedgerBatch
from app.market_data.queries import list_tenants_with_unmatched_quotes, load_unmatched_quote_times
from app.market_data.rules.values import Quote
from app.money import ZERO
from app.orders.errors import PreviousQuoteUnmatched
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.contingency import EXIT_ROLES, compute_exit_quantity
from app.orders.rules.values import Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext, BatchServices
from app.orders.service.batch_state.portfolio_loading import load_portfolios
from app.orders.service.broker.order_pairs import is_held_at_broker, sort_pairs, waits_for_swap
from app.orders.service.changes.order_expiry import expire_orders
from app.orders.service.command_results import NO_ORDERS, Outcome, QuoteStored
from app.orders.service.contingent_orders.broker_exits import swap_pair_orders
from app.orders.service.contingent_orders.exit_quantities import trim_to_position
from app.orders.service.contingent_orders.exits_sent_together import cancel_entry_at_stop
from app.orders.service.contingent_orders.groups import get_closable_quantity, release_order
from app.orders.service.contingent_orders.halts import cancel_for_halt, list_orders_forbidden_by_halt
from app.orders.service.execution.matching import can_match, match_open_orders
from app.orders.service.internal_commands import MatchQuote
from app.timestamps import Timestamp, format_timestamp


def list_portfolios_with_orders(batch: LedgerBatch) -> set[PortfolioKey]:
    """Return the locked portfolios of the batch that have had orders."""
    return {state.key for state in batch.list_locked_portfolios() if state.open_orders_version}


def find_portfolios_to_match(batch: LedgerBatch) -> set[PortfolioKey]:
    """Return the batch's portfolios that have had orders, if their tenant has an unmatched quote."""
    portfolio_keys = list_portfolios_with_orders(batch)
    if not portfolio_keys:
        return portfolio_keys
    tenants = list_tenants_with_unmatched_quotes(batch.connection, {key.tenant_id for key in portfolio_keys})
    return {key for key in portfolio_keys if key.tenant_id in tenants}


def match_before_trades(services: BatchServices, batch: LedgerBatch, now: datetime) -> None:
    """Match the portfolios of reported trades against unmatched quotes; see `match_unmatched_quotes`."""
    portfolio_keys = find_portfolios_to_match(batch)
    if portfolio_keys:
        context = BatchContext(batch, services, now)
        load_portfolios(context, portfolio_keys)
        match_unmatched_quotes(context)
        context.flush()  # nothing is cached, because the trades change the same positions


def match_unmatched_quotes(context: BatchContext) -> None:
    """Match the batch's portfolios against stored quotes that are not matched in all portfolios yet.

    A command then sees its portfolio as if the quote had been matched in all of them when it was stored. A
    portfolio in which the quote was already matched does not change.
    """
    portfolio_keys_by_instrument: dict[InstrumentKey, list[PortfolioKey]] = {}
    for portfolio_key in sorted(context.order_store.portfolio_keys):
        for symbol in context.order_store.list_symbols(portfolio_key):
            portfolio_keys_by_instrument.setdefault(
                InstrumentKey(portfolio_key.tenant_id, symbol), []
            ).append(portfolio_key)
    at = format_timestamp(context.now)
    for key in sorted(load_unmatched_quote_times(context.connection, sorted(portfolio_keys_by_instrument))):
        quote = context.find_quote(*key)
        if quote is not None:
            process_quote(
                context, MatchQuote(key.tenant_id, quote, at, is_new=False), portfolio_keys_by_instrument[key]
            )


def apply_quote(context: BatchContext, command: MatchQuote) -> Outcome:
    """Match the working orders of the quote's symbol. If there are too many, only store the quote.

    Raises PreviousQuoteUnmatched for a new quote while an earlier one has orders to match.
    """
    loaded, key = context.loaded, command.instrument_key
    if command.is_new:
        if key in loaded.symbols_with_unmatched_quotes:
            raise PreviousQuoteUnmatched
        if key in loaded.deferred_quote_times:
            return QuoteStored()
    portfolio_keys = command.portfolio_keys
    process_quote(
        context, command, loaded.list_portfolios(*key) if portfolio_keys is None else list(portfolio_keys)
    )
    return NO_ORDERS


def process_quote(context: BatchContext, command: MatchQuote, portfolio_keys: list[PortfolioKey]) -> None:
    """Match the working orders of the quote's symbol in the portfolios.

    If the command's quote is not new, the current quote of the symbol is matched instead.
    """
    quote = command.quote if command.is_new else context.find_quote(command.tenant_id, command.quote.symbol)
    expire_orders(context, portfolio_keys, command.at)
    if quote is None or context.services.market.is_stale(quote, context.now):
        return
    context.apply_quote(command.tenant_id, quote)
    for portfolio_key in portfolio_keys:
        forbidden_orders = list_orders_forbidden_by_halt(context, portfolio_key, quote.symbol)
        if command.is_new:
            cancel_for_halt(context, forbidden_orders, command.at)
        forbidden_ids = {
            order.id for order in forbidden_orders
        }  # these must not fill: the kill switch cancels them
        _release_held_orders(context, portfolio_key, quote, command.at)
        open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, quote.symbol)
        closing = [order for order in open_orders if order.role is Role.CLOSING and not is_remote(order)]
        if closing:  # before the exits, which they reduce; one by one, because each leaves less for the next
            _match_closing_orders(context, closing, quote, command.at)
            open_orders = [
                order
                for order in context.order_store.list_open_orders_of_symbol(portfolio_key, quote.symbol)
                if order.role is not Role.CLOSING
            ]
        matching_orders = [
            order for order in open_orders if can_match(order, quote) and order.id not in forbidden_ids
        ]
        match_open_orders(context, matching_orders, quote, command.at)


def _match_closing_orders(context: BatchContext, closing: list[Order], quote: Quote, at: Timestamp) -> None:
    for stale_order in closing:
        order = trim_to_position(context, stale_order, at)
        if can_match(order, quote):
            match_open_orders(context, [order], quote, at)


def _release_held_orders(
    context: BatchContext, portfolio_key: PortfolioKey, quote: Quote, at: Timestamp
) -> None:
    """Swap emulated pairs, and try again to release held exits and followers.

    A kill switch may have prevented their release.
    """
    open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, quote.symbol)
    for stale_order in sort_pairs(context, open_orders):
        order = context.order_store.get_current(stale_order)
        swap_pair_orders(context, order, at)
        if order.status is Status.HELD and not waits_for_swap(context, order):
            quantity = _compute_due_quantity(context, order)
            if quantity and is_held_at_broker(context, order):
                cancel_entry_at_stop(context, order, at)
            elif quantity:
                release_order(context, order, at, quantity=quantity)


def _compute_due_quantity(context: BatchContext, order: Order) -> Decimal:
    """Return the quantity to release: of an exit the filled quantity of its entry, of a follower all.

    A position's exit at a broker has no entry, and is released for the closable quantity. Zero if the order
    is not due.
    """
    entry = context.order_store.find_parent(order)
    if entry is None and is_remote(order) and order.role in EXIT_ROLES:  # it is sent again on a new day
        return min(order.quantity, get_closable_quantity(context, order))
    if entry is None or not entry.filled_quantity:
        return ZERO
    if order.role in EXIT_ROLES:
        return min(
            compute_exit_quantity(entry, context.order_store.list_children(entry)),
            get_closable_quantity(context, order),
        )
    is_due = order.role is Role.FOLLOWER and entry.status is Status.FILLED
    return order.quantity if is_due else ZERO
