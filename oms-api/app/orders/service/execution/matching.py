"""Match orders against quotes and apply the broker's events to the books and the groups."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.brokers.rules.matching import compute_fills, match_without_quote
from app.brokers.rules.settings import PaperSettings, set_portfolio_terms
from app.brokers.rules.values import (
    BrokerOrder,
    Executed,
    MarketEvent,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)
from app.costs.errors import RateUnknown
from app.ledger.errors import AmountTooLarge, NoRate
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Quote
from app.money import ZERO, multiply
from app.orders.queries.executions import list_execution_quantities
from app.orders.rules.broker_requests import convert_order, is_remote
from app.orders.rules.contingency import EXIT_ROLES, find_oco_group_id
from app.orders.rules.trading_sessions import AUCTION_TIMES_IN_FORCE, is_closing_price
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Status, TimeInForce
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_executions
from app.orders.service.contingent_orders.exit_quantities import trim_to_position
from app.orders.service.contingent_orders.groups import finalize_order, get_closable_quantity
from app.orders.service.execution.executions import record_execution
from app.orders.service.risk_checks.risk_evaluation import count_execution_for_latch
from app.orders.service.risk_checks.trading_sessions import find_calendars, select_tradable
from app.timestamps import Timestamp, format_timestamp

_MICROSECOND = timedelta(microseconds=1)
_SIDES = {side.value: side for side in Side}
_parse_instant = datetime.fromisoformat


def match_new_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Match an order that has just arrived in the paper market against the current quote.

    Without a current quote and outside its session, the order waits; IOC and FOK orders are canceled. Another
    broker fills its orders itself.
    """
    if is_remote(order):
        return
    quote = context.find_quote(order.tenant_id, order.symbol)
    if quote is None or context.services.market.is_stale(quote, context.now):
        arrived = [] if order.time_in_force in AUCTION_TIMES_IN_FORCE else [build_paper_order(context, order)]
        apply_broker_events(context, order.tenant_id, match_without_quote(arrived, _parse_instant(at)), at)
    else:
        match_open_orders(context, [order], quote, at)


def match_open_orders(context: BatchContext, orders: Sequence[Order], quote: Quote, at: Timestamp) -> None:
    """Match orders of one symbol against a quote and apply the events.

    An order that arrived before the quote fills at the time of the quote: `executed_at` shows which quote a
    fill consumed. Orders outside their session do not match.
    """
    if quote.at > _parse_instant(at):
        at = format_timestamp(quote.at)
    orders = select_tradable(context, orders, quote, at)
    if orders:
        _run_matching(context, orders, quote, at)


def match_at_close(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Match a CLS order at the last price of its session, after the close. The unfilled quantity expires."""
    calendars = find_calendars(context, order)
    quote = load_closing_quote(context, order)
    if calendars is None or quote is None or order.status not in WORKING_STATUSES:
        return
    if is_closing_price(order, calendars.regular, quote.at):
        _run_matching(context, [order], quote, at)


def load_closing_quote(context: BatchContext, order: Order) -> Quote | None:
    """Load the last quote before the order's end, and return it."""
    end = _parse_instant(order.ends_at or order.created_at)
    quote, key = context.find_quote(order.tenant_id, order.symbol), order.instrument_key
    if quote is None or quote.at < end:
        return quote
    if order.key not in context.loaded.closing_quotes:
        quotes = context.services.market.load_quotes(context.connection, [key], end - _MICROSECOND)
        context.loaded.closing_quotes[order.key] = quotes.get(key)
    return context.loaded.closing_quotes[order.key]


def _run_matching(context: BatchContext, orders: Sequence[Order], quote: Quote, at: Timestamp) -> None:
    tenant_id = orders[0].tenant_id
    consumed_liquidity = _sum_consumed_liquidity(context, tenant_id, quote)
    by_settings: dict[PaperSettings, list[BrokerOrder]] = {}
    for order in orders:
        settings = _build_paper_settings(context, order)
        by_settings.setdefault(settings, []).append(build_paper_order(context, order))
    instant = _parse_instant(at)
    events = [
        event
        for settings, views in by_settings.items()
        for event in compute_fills(views, quote, instant, settings, consumed_liquidity)
    ]
    apply_broker_events(context, tenant_id, events, at)


def _build_paper_settings(context: BatchContext, order: Order) -> PaperSettings:
    """Return the settings of the paper market for the order's portfolio."""
    portfolio = context.get_portfolio(order)
    return set_portfolio_terms(context.services.paper_settings, portfolio.participation, portfolio.slippage)


def apply_broker_events(
    context: BatchContext, tenant_id: int, events: Sequence[MarketEvent], at: Timestamp
) -> None:
    """Apply the broker's events in their order."""
    for event in events:
        order = context.order_store.get(tenant_id, event.order_id)
        if order.status in FINAL_STATUSES:
            continue  # an earlier event ended it
        match event:
            case Executed():
                _fill_order(context, order, event, at)
            case Triggered():
                _trigger_order(context, order, at)
            case TrailMoved():
                context.order_store.update_fields(order, trail_level=event.level)
            case UnfilledCanceled():
                to = Status.EXPIRED if order.time_in_force in AUCTION_TIMES_IN_FORCE else Status.CANCELED
                finalize_order(context, order, to, at, order.broker, broker_reason=event.reason)
    match_released_orders(context, at)


def match_released_orders(context: BatchContext, at: Timestamp) -> None:
    """Match child orders that their group just released against the current quote."""
    while context.released_orders:
        arrived = context.order_store.get_current(
            context.released_orders.pop()
        )  # the fill may have reduced it
        if arrived.status in WORKING_STATUSES:
            match_new_order(context, arrived, at)


def build_paper_order(context: BatchContext, order: Order) -> BrokerOrder:
    """Return the order as the paper market's matching rules need it, with its links and its position."""
    return convert_order(
        order,
        context.find_instrument(order.tenant_id, order.symbol),
        # An auction order is matched once, at its price. The unfilled quantity then expires.
        TimeInForce.IOC if order.time_in_force in AUCTION_TIMES_IN_FORCE else None,
        group_id=find_oco_group_id(order),
        parent_id=order.parent_id if order.role in EXIT_ROLES else None,
        is_reducing=order.leaves_quantity <= get_closable_quantity(context, order),
    )


def can_match(order: Order, quote: Quote) -> bool:
    """Return whether an order can match this quote. An exit only matches quotes after its acceptance."""
    if order.status not in WORKING_STATUSES or is_remote(order):
        return False
    if order.role not in EXIT_ROLES or order.accepted_at is None:
        return True
    return _parse_instant(order.accepted_at) < quote.at


def _fill_order(context: BatchContext, order: Order, event: Executed, at: Timestamp) -> None:
    if order.role in EXIT_ROLES:  # the position may have shrunk; an exit must not reverse it
        order = trim_to_position(context, order, at)
        if order.status in FINAL_STATUSES:
            return
        quantity = min(event.quantity, order.leaves_quantity)
        if quantity < event.quantity:
            event = event._replace(quantity=quantity, value=multiply(quantity, event.price))
    if order.status is Status.PARTIALLY_FILLED:
        event = _number_execution(context, order, event)
    try:
        record_execution(context, order, event, at)
        count_execution_for_latch(context, order, at)
    except (AmountTooLarge, NoRate, RateUnknown) as error:
        to = Status.CANCELED if order.filled_quantity else Status.REJECTED
        finalize_order(context, order, to, at, order.broker, broker_reason=error.detail)


def _number_execution(context: BatchContext, order: Order, event: Executed) -> Executed:
    """Return the execution, with a suffix to its id if the order has one with that id, as after a bust."""
    known_ids = {row.execution_id for row in list_executions(context, [order])}
    numbered, number = event.execution_id, 1
    while numbered in known_ids:
        number += 1
        numbered = f"{event.execution_id}:{number}"
    return event._replace(execution_id=numbered)


def _trigger_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    if order.status in {Status.SUBMITTED, Status.ACCEPTED}:
        context.order_store.change_status(order, Status.TRIGGERED, at, order.broker, is_triggered=True)
    else:
        context.order_store.update_fields(order, is_triggered=True)


def load_consumed_liquidity(context: BatchContext, quotes: Iterable[tuple[int, Quote]]) -> None:
    """Load the quantities executed since quotes that have sizes. Each quote is given with its tenant."""
    for tenant_id, quote in quotes:
        if quote.bid_size is not None or quote.ask_size is not None:
            _load_executed_quantities(context, (tenant_id, quote.symbol, format_timestamp(quote.at)))


def _load_executed_quantities(context: BatchContext, quote_key: tuple[int, str, Timestamp]) -> None:
    loaded = context.loaded.consumed_liquidity
    if quote_key not in loaded:
        loaded[quote_key] = list_execution_quantities(context.connection, *quote_key)


def _sum_consumed_liquidity(
    context: BatchContext, tenant_id: int, quote: Quote
) -> dict[tuple[int, Side], Decimal]:
    """Return the quantity of this quote that each portfolio and side consumed. Empty if it has no sizes."""
    if quote.bid_size is None and quote.ask_size is None:
        return {}
    since = format_timestamp(quote.at)
    quote_key = (tenant_id, quote.symbol, since)
    _load_executed_quantities(context, quote_key)
    rows = context.loaded.consumed_liquidity[quote_key] + [
        (row.portfolio_id, row.side, Decimal(row.quantity))
        for row in context.order_store.executions
        if row.symbol == quote.symbol and row.tenant_id == tenant_id and row.executed_at >= since
    ]
    consumed_liquidity: dict[tuple[int, Side], Decimal] = {}
    for portfolio_id, side, quantity in rows:
        key = (portfolio_id, _SIDES[side])
        consumed_liquidity[key] = consumed_liquidity.get(key, ZERO) + quantity
    return consumed_liquidity
