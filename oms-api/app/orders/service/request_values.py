"""Validate tickets, and list the values that identify a request."""

from operator import attrgetter
from typing import Any

from app.errors import FieldError, Invalid
from app.money import format_fixed
from app.orders.rules.tickets import list_exit_errors, list_ticket_errors
from app.orders.rules.values import Ticket

_LEG_FIELDS = frozenset({"take_profit", "stop_loss"})  # hashed by their prices
_UNHASHED_FIELDS = frozenset({"confirm_repeat"})
_get_hashed_values = attrgetter(
    *(name for name in Ticket._fields if name not in _LEG_FIELDS | _UNHASHED_FIELDS)
)


def validate_ticket(ticket: Ticket, prefix: str = "", *, is_exit: bool = False) -> None:
    """Raise Invalid if the fields of a ticket contradict each other. `prefix` is put before field names."""
    errors = list_ticket_errors(ticket) or (list_exit_errors(ticket) if is_exit else [])
    if errors:
        prefixed = [FieldError(f"{prefix}{error.field}", error.message, error.code) for error in errors]
        raise Invalid(errors[0].message, prefixed)


def list_ticket_values(ticket: Ticket) -> list[str | None]:
    """Return the values that identify a ticket, as text."""
    legs = (ticket.take_profit or (None,)) + (ticket.stop_loss or (None, None))
    return [format_value(value) for value in (*_get_hashed_values(ticket), *legs)]


def format_value(value: Any) -> str | None:
    """Return a value of a request as text."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, bool) else format_fixed(value)
