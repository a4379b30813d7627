"""Apply trading sessions to orders: they wait for the open, trade while it is open, and end at the close."""

from collections.abc import Sequence
from datetime import datetime

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import is_known_open
from app.errors import FieldError, Invalid
from app.market_data.rules.values import Quote
from app.orders.rules.tickets import describe_unsupported_time
from app.orders.rules.trading_sessions import (
    AT_AUCTION,
    Enforcement,
    Hold,
    SessionCalendars,
    find_hold,
    find_session_end,
    get_enforcement,
    has_auctions,
    is_deniable,
    takes_quote,
)
from app.orders.rules.values import Order, Status, changed
from app.orders.service.batch_context import BatchContext


def get_order_enforcement(context: BatchContext, order: Order) -> Enforcement:
    """Return how sessions are enforced for the order's portfolio."""
    portfolio = context.portfolio(order)
    return get_enforcement(portfolio.enforce_sessions, context.services.enforce_sessions, portfolio.kind)


def find_calendars(context: BatchContext, order: Order) -> SessionCalendars | None:
    """Return the calendars that the order follows.

    None where sessions are not enforced, or the market is unknown.
    """
    if get_order_enforcement(context, order) is Enforcement.OFF:
        return None
    instrument = context.instrument(order.tenant_id, order.symbol)
    terms = (instrument.exchange, instrument.asset_class)
    calendars = context.services.calendars
    regular = calendars.find_calendar(*terms)
    return None if regular is None else SessionCalendars(regular, calendars.find_extended_calendar(*terms))


def set_session_end(context: BatchContext, order: Order) -> Order:
    """Return a new order that ends with its session, or unchanged where sessions do not apply.

    Raise Invalid for OPG and CLS where there is no open or close.
    """
    calendars = find_calendars(context, order)
    if order.time_in_force in AT_AUCTION and not has_auctions(calendars and calendars.regular):
        message = describe_unsupported_time(order.time_in_force)
        raise Invalid(message, [FieldError("time_in_force", message, "not_of_this_venue")])
    if calendars is None:
        return order
    try:
        ends_at = find_session_end(order, calendars.get_calendar(order), order.created_at)
    except SessionsUnknown:
        return order  # the risk check denies it
    return changed(order, ends_at=ends_at)


def find_order_hold(context: BatchContext, order: Order, at: str) -> Hold | None:
    """Return why the order must wait for its session at `at`, None if it may be sent to the market."""
    calendars = find_calendars(context, order)
    return None if calendars is None else find_hold(order, calendars.get_calendar(order), at)


def find_session_refusal(context: BatchContext, order: Order, hold: Hold | None) -> Hold | None:
    """Return the hold that denies the order instead, None if the order may wait or is not held.

    Where the sessions are unknown, nothing tells until when an order would wait, so it is denied.
    """
    if hold is None or not is_deniable(order):
        return None
    is_denied = get_order_enforcement(context, order) is Enforcement.DENY or hold.opens_at is None
    return hold if is_denied else None


def find_current_hold(context: BatchContext, order: Order) -> Hold | None:
    """Return why the order must wait now: a held order at the time of the batch, others when placed."""
    at = context.now.isoformat() if order.status is Status.HELD else order.created_at
    return find_order_hold(context, order, at)


def select_tradable(context: BatchContext, orders: Sequence[Order], quote: Quote, at: str) -> list[Order]:
    """Return the orders that may trade at the quote at `at`."""
    return [order for order in orders if _can_trade(context, order, quote, at)]


def _can_trade(context: BatchContext, order: Order, quote: Quote, at: str) -> bool:
    calendars = find_calendars(context, order)
    if calendars is None:  # an auction order is left where the portfolio enforced sessions before
        return order.time_in_force not in AT_AUCTION
    calendar = calendars.get_calendar(order)
    return is_known_open(calendar, datetime.fromisoformat(at)) and takes_quote(order, calendar, quote.at)
