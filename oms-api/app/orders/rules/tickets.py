"""Validate the fields of a ticket by its type and time in force."""

from decimal import Decimal

from app.brokers.rules.values import PAPER_TIMES_IN_FORCE
from app.errors import FieldError
from app.orders.rules.values import OrderType, Ticket, TimeInForce

_TYPES_BY_ALIAS = {"SL": OrderType.STOP_LIMIT, "SL-M": OrderType.STOP}
_PRICE_FIELDS = ("limit_price", "stop_price", "trail_amount", "trail_percent")
_REQUIRED_PRICES_BY_TYPE = {
    OrderType.MARKET: frozenset[str](),
    OrderType.LIMIT: frozenset({"limit_price"}),
    OrderType.STOP: frozenset({"stop_price"}),
    OrderType.STOP_LIMIT: frozenset({"stop_price", "limit_price"}),
    OrderType.TRAILING_STOP: frozenset[str](),  # exactly one trail field: see _trail_errors
}
_ALLOWED_PRICES_BY_TYPE = {
    **_REQUIRED_PRICES_BY_TYPE,
    OrderType.TRAILING_STOP: frozenset({"trail_amount", "trail_percent"}),
}
_PAPER_TIMES_TEXT = ", ".join(
    time_in_force for time_in_force in TimeInForce if time_in_force in PAPER_TIMES_IN_FORCE
)
_HUNDRED = Decimal(100)
_LIMIT_AT_STOP_MESSAGE = (
    "Must be at the stop price or beyond it: at most the stop of a SELL, at least that of a BUY."
)


def parse_order_type(name: str) -> OrderType:
    """Return the order type with that name. SL is STOP_LIMIT, SL-M is STOP. Raises ValueError for others."""
    return _TYPES_BY_ALIAS.get(name) or OrderType(name)


def list_ticket_errors(ticket: Ticket) -> list[FieldError]:
    """Return the errors of the ticket that do not depend on the time or the market."""
    return [
        *_list_price_errors(ticket),
        *_list_trail_errors(ticket),
        *_list_size_errors(ticket),
        *_list_time_errors(ticket),
        *_list_exit_price_errors(ticket),
    ]


def _list_price_errors(ticket: Ticket) -> list[FieldError]:
    needed, allowed = _REQUIRED_PRICES_BY_TYPE[ticket.type], _ALLOWED_PRICES_BY_TYPE[ticket.type]
    errors = []
    for name in _PRICE_FIELDS:
        is_given = getattr(ticket, name) is not None
        if name in needed and not is_given:
            errors.append(FieldError(name, f"A {ticket.type} order needs {name}.", "missing"))
        if is_given and name not in allowed:
            other = _choose_type_with(ticket, name)
            message = f"A {ticket.type} order has no {name}: leave it out, or send type {other}."
            errors.append(FieldError(name, message, "not_of_this_type"))
    return errors


def _choose_type_with(ticket: Ticket, price: str) -> OrderType:
    """Return the order type that has the ticket's prices and also `price`."""
    if price.startswith("trail"):
        return OrderType.TRAILING_STOP
    if {ticket.type, price} in ({OrderType.STOP, "limit_price"}, {OrderType.LIMIT, "stop_price"}):
        return OrderType.STOP_LIMIT
    return OrderType.LIMIT if price == "limit_price" else OrderType.STOP


def _list_trail_errors(ticket: Ticket) -> list[FieldError]:
    if ticket.type is not OrderType.TRAILING_STOP:
        return []
    if (ticket.trail_amount is None) == (ticket.trail_percent is None):
        return [FieldError("trail_amount", "Send either `trail_amount` or `trail_percent`.", "one_trail")]
    if ticket.trail_percent is not None and ticket.trail_percent >= _HUNDRED:
        return [FieldError("trail_percent", "Must be below 100.", "too_large")]
    return []


def _list_size_errors(ticket: Ticket) -> list[FieldError]:
    if (ticket.quantity is None) == (ticket.notional is None):
        return [FieldError("quantity", "Send either `quantity` or `notional`.", "sized_once")]
    if ticket.notional is not None and ticket.type not in {OrderType.MARKET, OrderType.LIMIT}:
        return [
            FieldError(
                "notional",
                "Only MARKET and LIMIT orders have a `notional`; send `quantity`.",
                "not_of_this_type",
            )
        ]
    return []


def list_expiry_errors(ticket: Ticket, now: str) -> list[FieldError]:
    """Return the errors of the ticket's expiry at `now`."""
    if ticket.expires_at is not None and ticket.expires_at <= now:
        return [FieldError("expires_at", "Must be in the future.", "in_the_past")]
    return []


def _list_time_errors(ticket: Ticket) -> list[FieldError]:
    is_gtd = ticket.time_in_force is TimeInForce.GTD
    if is_gtd != (ticket.expires_at is not None):
        other = "Only a GTD order has `expires_at`; leave it out, or send `time_in_force` GTD."
        message = "A GTD order needs `expires_at`." if is_gtd else other
        return [FieldError("expires_at", message, "expires_at")]
    is_auction = ticket.time_in_force not in PAPER_TIMES_IN_FORCE
    if is_auction and ticket.type not in {OrderType.MARKET, OrderType.LIMIT}:
        message = f"{ticket.time_in_force} is for MARKET and LIMIT orders."
        return [FieldError("time_in_force", message, "not_of_this_type")]
    return []


def describe_unsupported_time(time_in_force: TimeInForce) -> str:
    """Return the message for a time in force that needs an open or a close, in a market without them."""
    return (
        f"The paper market has no {time_in_force} here. Send one of {_PAPER_TIMES_TEXT}, or let the "
        "portfolio enforce the trading sessions of the instrument's market."
    )


def _list_exit_price_errors(ticket: Ticket) -> list[FieldError]:
    """Return the errors of a take-profit or stop-loss that is on the wrong side of the entry price."""
    target = ticket.take_profit.limit_price if ticket.take_profit else None
    stop = ticket.stop_loss.stop_price if ticket.stop_loss else None
    entry = ticket.stop_price if ticket.limit_price is None else ticket.limit_price
    errors = []
    if target is not None and stop is not None and not _is_beyond(ticket.side, target, stop):
        errors.append(
            _build_field_error(
                "stop_loss.stop_price",
                "The stop-loss and the take-profit must be on opposite sides of the entry price.",
            )
        )
    if target is not None and entry is not None and not _is_beyond(ticket.side, target, entry):
        errors.append(
            _build_field_error(
                "take_profit.limit_price", "There is no profit at this price; move it beyond the entry price."
            )
        )
    if stop is not None and entry is not None and not _is_beyond(ticket.side, entry, stop):
        errors.append(
            _build_field_error(
                "stop_loss.stop_price",
                "The stop would be reached at the entry price; move it beyond the entry price.",
            )
        )
    limit = ticket.stop_loss.limit_price if ticket.stop_loss else None
    if (
        stop is not None
        and limit is not None
        and _is_short_of_stop(_get_other_side(ticket.side), stop, limit)
    ):
        errors.append(_build_field_error("stop_loss.limit_price", _LIMIT_AT_STOP_MESSAGE))
    return errors


def list_exit_errors(ticket: Ticket) -> list[FieldError]:
    """Return the errors of a stop-limit exit. If its limit is short of its stop, it might never fill."""
    stop, limit = ticket.stop_price, ticket.limit_price
    if stop is None or limit is None or not _is_short_of_stop(ticket.side, stop, limit):
        return []
    return [_build_field_error("limit_price", _LIMIT_AT_STOP_MESSAGE)]


def _is_short_of_stop(side: str, stop: Decimal, limit: Decimal) -> bool:
    return limit > stop if side == "SELL" else limit < stop


def _get_other_side(side: str) -> str:
    return "SELL" if side == "BUY" else "BUY"


def _is_beyond(side: str, better: Decimal, worse: Decimal) -> bool:
    return better > worse if side == "BUY" else better < worse


def _build_field_error(field: str, message: str) -> FieldError:
    return FieldError(field, message, "misplaced")
