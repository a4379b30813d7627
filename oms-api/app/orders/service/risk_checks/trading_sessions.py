"""Apply trading sessions to orders: they wait for the open, trade while it is open, and end at the close."""

from collections.abc import Sequence
from datetime import datetime

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import is_known_open
from app.errors import FieldError, Invalid
from app.ledger.rules.keys import PortfolioKey
from app.market_data.rules.values import Quote
from app.orders.rules.tickets import describe_unsupported_time
from app.orders.rules.trading_sessions import (
    AUCTION_TIMES_IN_FORCE,
    INTRADAY,
    Enforcement,
    Hold,
    SessionCalendars,
    build_hold_until_open,
    can_fill_at_quote,
    compute_session_end,
    describe_square_off,
    find_hold,
    has_auctions,
    is_deniable,
)
from app.orders.rules.values import Order, Status, replace_fields
from app.orders.service.batch_state.batch_context import BatchContext
from app.timestamps import Timestamp, format_timestamp


def find_calendars(context: BatchContext, order: Order) -> SessionCalendars | None:
    """Return the calendars that the order follows.

    None where sessions are not enforced, or the market is unknown.
    """
    if not context.loaded.has_sessions or context.get_enforcement(order.portfolio_key) is Enforcement.OFF:
        return None
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    terms = (instrument.exchange, instrument.asset_class)
    calendars = context.services.calendars
    regular = calendars.find_calendar(*terms)
    return None if regular is None else SessionCalendars(regular, calendars.find_extended_calendar(*terms))


def set_session_end(context: BatchContext, order: Order) -> Order:
    """Return a new order that ends with its session, or unchanged where sessions do not apply.

    Raises Invalid for OPG and CLS where there is no open or close.
    """
    calendars = find_calendars(context, order)
    if order.time_in_force in AUCTION_TIMES_IN_FORCE and not has_auctions(calendars and calendars.regular):
        message = describe_unsupported_time(order.time_in_force)
        raise Invalid(message, [FieldError("time_in_force", message, "not_of_this_venue")])
    if calendars is None:
        return order
    try:
        ends_at = compute_session_end(order, calendars.get_calendar(order), order.created_at)
    except SessionsUnknown:
        return order  # the risk check denies it
    return replace_fields(order, ends_at=ends_at)


def find_order_hold(context: BatchContext, order: Order, at: Timestamp) -> Hold | None:
    """Return why the order must wait for its session at `at`, None if it may be sent to the market."""
    calendars = find_calendars(context, order)
    return None if calendars is None else find_hold(order, calendars.get_calendar(order), at)


def find_session_denial(context: BatchContext, order: Order, hold: Hold | None) -> Hold | None:
    """Return the hold for which the order is denied, None if the order may wait or is not held.

    An order is also denied where the sessions are unknown, because it could wait without end.
    """
    if not context.loaded.has_sessions or not is_deniable(order):
        return None
    if hold is None:
        return _find_square_off_refusal(context, order)
    is_denied = context.get_enforcement(order.portfolio_key) is Enforcement.DENY or hold.opens_at is None
    return hold if is_denied else None


def find_last_square_off(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, at: datetime
) -> datetime | None:
    """Return when the intraday positions in a symbol were last closed, at or before `at`; None: never."""
    if context.get_enforcement(portfolio_key) is Enforcement.OFF:
        return None
    instrument = context.find_instrument(portfolio_key.tenant_id, symbol)
    calendars = context.services.calendars
    return calendars.find_last_square_off(instrument.exchange, instrument.asset_class, at)


def _find_square_off_refusal(context: BatchContext, order: Order) -> Hold | None:
    """Return why an intraday order is denied between the square-off and the close."""
    calendars = find_calendars(context, order) if order.product == INTRADAY else None
    if calendars is None:
        return None
    at = _get_current_time(context, order)
    portfolio_key = order.portfolio_key
    squared_off = find_last_square_off(context, portfolio_key, order.symbol, at)
    if squared_off is None:
        return None
    session = calendars.regular.find_session(at)
    if session is None or squared_off < session.open:
        return None
    return Hold(describe_square_off(squared_off), build_hold_until_open(calendars.regular, at).opens_at)


def find_current_hold(context: BatchContext, order: Order) -> Hold | None:
    """Return why the order must wait now: a held order at the time of the batch, others when placed."""
    if not context.loaded.has_sessions:
        return None
    return find_order_hold(context, order, format_timestamp(_get_current_time(context, order)))


def _get_current_time(context: BatchContext, order: Order) -> datetime:
    return context.now if order.status is Status.HELD else datetime.fromisoformat(order.created_at)


def select_tradable(
    context: BatchContext, orders: Sequence[Order], quote: Quote, at: Timestamp
) -> list[Order]:
    """Return the orders that may trade at the quote at `at`."""
    if not context.loaded.has_sessions:
        return [order for order in orders if order.time_in_force not in AUCTION_TIMES_IN_FORCE]
    return [order for order in orders if _can_trade(context, order, quote, at)]


def _can_trade(context: BatchContext, order: Order, quote: Quote, at: Timestamp) -> bool:
    calendars = find_calendars(context, order)
    if calendars is None:  # an auction order dates from when the portfolio still enforced sessions
        return order.time_in_force not in AUCTION_TIMES_IN_FORCE
    calendar = calendars.get_calendar(order)
    return is_known_open(calendar, datetime.fromisoformat(at)) and can_fill_at_quote(
        order, calendar, quote.at
    )
