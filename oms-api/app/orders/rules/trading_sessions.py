"""Rules of trading sessions for orders: when an order may trade, when it waits, and when it ends."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import Calendar, ContinuousCalendar
from app.calendars.rules.values import TradingSession
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import Order, OrderType, Role, Status, TimeInForce
from app.timestamps import Timestamp, format_timestamp

# An OPG order takes the first price that arrives within this time after the open.
OPENING_PERIOD = timedelta(minutes=5)
INTRADAY = "MIS"  # the product of positions that are closed on the day they are opened
SQUARE_OFF = "square-off"  # the source of the orders that close intraday positions
AUCTION_TIMES_IN_FORCE = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_SESSION_TIMES_IN_FORCE = frozenset({TimeInForce.DAY, TimeInForce.CLS})
_UNDENIABLE_ROLES = EXIT_ROLES | {Role.CLOSING, Role.FOLLOWER}


class Enforcement(StrEnum):
    """The handling of an order outside its session: it is sent, waits for the open, or is denied."""

    OFF = "off"
    HOLD = "hold"
    DENY = "deny"


class SessionCalendars(NamedTuple):
    """The calendars of a market. `extended` is the calendar of its extended hours, None if it has none."""

    regular: Calendar
    extended: Calendar | None = None

    def get_calendar(self, order: Order) -> Calendar:
        """Return the calendar of the order: extended hours apply to LIMIT orders that request them."""
        if (
            order.extended_hours
            and order.type is OrderType.LIMIT
            and order.time_in_force not in AUCTION_TIMES_IN_FORCE
        ):
            return self.extended or self.regular
        return self.regular


class Hold(NamedTuple):
    """The reason why an order waits for its session. `opens_at` is None if the next open is not known."""

    reason: str
    opens_at: Timestamp | None


def get_enforcement(portfolio_setting: str, environment_setting: str, portfolio_kind: str) -> Enforcement:
    """Return how sessions are enforced: the portfolio's setting, else the environment's.

    `off` counts as not set. A live portfolio without either holds orders.
    """
    for setting in (portfolio_setting, environment_setting):
        if setting != Enforcement.OFF:
            return Enforcement(setting)
    return Enforcement.HOLD if portfolio_kind == "live" else Enforcement.OFF


def has_auctions(calendar: Calendar | None) -> bool:
    """Return whether the market opens and closes, so that OPG and CLS orders are possible."""
    return calendar is not None and not isinstance(calendar, ContinuousCalendar)


def find_hold(order: Order, calendar: Calendar, at: Timestamp) -> Hold | None:
    """Return why the order must wait at `at`, None if it may go to the market.

    An OPG order waits for the open that is OPENING_PERIOD before its end.
    """
    instant = datetime.fromisoformat(at)
    if order.time_in_force is TimeInForce.OPG and order.ends_at is not None:
        opens = datetime.fromisoformat(order.ends_at) - OPENING_PERIOD
        return None if instant >= opens else _build_hold(opens)
    try:
        if calendar.find_session(instant) is not None:
            return None
    except SessionsUnknown as unknown:
        return Hold(unknown.detail, None)
    return build_hold_until_open(calendar, instant)


def build_hold_until_open(calendar: Calendar, instant: datetime) -> Hold:
    """Return the hold until the next open."""
    try:
        return _build_hold(calendar.get_next_open(instant))
    except SessionsUnknown:
        return Hold("The market is closed, and its next session is not known.", None)


def compute_session_end(order: Order, calendar: Calendar, at: Timestamp) -> str | None:
    """Return the instant at which an order placed at `at` ends, None if it does not end.

    Only DAY, OPG and CLS orders follow the session. Raises SessionsUnknown.
    """
    instant = datetime.fromisoformat(at)
    if order.time_in_force is TimeInForce.OPG:
        return format_timestamp(calendar.get_next_open(instant) + OPENING_PERIOD)
    if order.time_in_force in _SESSION_TIMES_IN_FORCE:
        return format_timestamp(calendar.get_session_or_next(instant).close)
    return order.ends_at


def can_fill_at_quote(order: Order, calendar: Calendar, quoted_at: datetime) -> bool:
    """Return whether the order may fill at a quote of that time.

    An OPG order needs a quote of its own session. A CLS order takes no quote: it is matched when it ends.
    """
    if order.time_in_force is TimeInForce.CLS:
        return False
    if order.time_in_force is not TimeInForce.OPG:
        return True
    session = calendar.find_session(quoted_at)
    return (
        session is not None
        and order.ends_at is not None
        and format_timestamp(session.open + OPENING_PERIOD) == order.ends_at
    )


def is_closing_price(order: Order, calendar: Calendar, quoted_at: datetime) -> bool:
    """Return whether a quote of that time belongs to the session at whose close the order ends."""
    session = _find_session(calendar, quoted_at)
    return session is not None and format_timestamp(session.close) == order.ends_at


def is_deniable(order: Order) -> bool:
    """Return whether a closed session may deny the order.

    Exits, closing orders, followers and OPG orders wait instead.
    """
    return order.role not in _UNDENIABLE_ROLES and order.time_in_force is not TimeInForce.OPG


def waits_for_session(order: Order) -> bool:
    """Return whether a held order waits for its session, not for another order of its group."""
    return order.status is Status.HELD and order.parent_id is None


def describe_square_off(at: datetime) -> str:
    """Return why an intraday order is denied after the square-off at `at`, until the close."""
    return f"{INTRADAY} positions were closed at {format_timestamp(at)}, and {INTRADAY} orders end with them."


def is_square_off(order: Order) -> bool:
    """Return whether the order closes an intraday position at the time of its square-off."""
    is_internal = order.source == SQUARE_OFF and order.actor is None
    return is_internal and order.role is Role.CLOSING and order.product == INTRADAY


def _find_session(calendar: Calendar, instant: datetime) -> TradingSession | None:
    try:
        return calendar.find_session(instant)
    except SessionsUnknown:
        return None


def _build_hold(opens: datetime) -> Hold:
    return Hold(f"The market opens at {format_timestamp(opens)}.", format_timestamp(opens))
