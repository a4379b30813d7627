"""The order commands of a sandboxed strategy as JSON values. The service executes the same commands.

A command is a list without its trailing nulls: `["S", at, symbol, side, type, quantity, …]` submits an
order, `["C", at, order_id]` cancels one, and `["R", at, order_id, quantity, limit_price, stop_price]`
replaces one. `at` is the instant in seconds since 1970, amounts are text.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from app.backtests.errors import InvalidCommand
from app.ledger.rules.accounting import Side
from app.money import find_amount_error, parse_plain
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import OrderType, StopLoss, TakeProfit, Ticket, TimeInForce
from app.timestamps import format_timestamp

MAX_TEXT_CHARACTERS = 500
_SIDES = frozenset(Side)
_TYPES = {str(order_type): order_type for order_type in OrderType}
_TIMES = {str(time_in_force): time_in_force for time_in_force in TimeInForce}
_SUBMIT_FIELDS, _REPLACE_FIELDS = 14, 4


class CommandKind(StrEnum):
    """The kind of a command."""

    SUBMIT = "S"
    CANCEL = "C"
    REPLACE = "R"


class StrategyCommand(NamedTuple):
    """A command. A submission has a ticket, another the id of its order; a replacement has `changes`."""

    kind: CommandKind
    at: int
    ticket: Ticket | None = None
    order_id: str = ""
    changes: Mapping[str, Decimal | None] = {}


def pack_submission(at: int, ticket: Ticket) -> list[Any]:
    """Return the command that submits an order."""
    exits = (ticket.take_profit, ticket.stop_loss)
    fields = [
        "S", at, ticket.symbol, ticket.side, ticket.type, _format_amount(ticket.quantity),
        _format_amount(ticket.limit_price), _format_amount(ticket.stop_price),
        _format_amount(ticket.trail_amount), _format_amount(ticket.trail_percent),
        None if ticket.time_in_force is TimeInForce.DAY else ticket.time_in_force, ticket.expires_at,
        ticket.product or None, *(_format_amount(leg[0]) if leg else None for leg in exits), ticket.reason,
    ]  # fmt: skip
    while fields[-1] is None:
        fields.pop()
    return fields


def pack_cancellation(at: int, order_id: str) -> list[Any]:
    """Return the command that cancels an order."""
    return ["C", at, order_id]


def pack_replacement(at: int, order_id: str, ticket: Ticket | OrderChanges) -> list[Any]:
    """Return the command that replaces an order."""
    amounts = (ticket.quantity, ticket.limit_price, ticket.stop_price)
    return ["R", at, order_id, *map(_format_amount, amounts)]


def parse_command(fields: object, symbols: Mapping[str, object]) -> StrategyCommand:
    """Return a command for one of `symbols`. Raises InvalidCommand."""
    if not isinstance(fields, list) or len(fields) < 3 or type(fields[1]) is not int:
        raise InvalidCommand("it is not a command")
    kind, at, *values = fields
    if kind == CommandKind.SUBMIT:
        return StrategyCommand(CommandKind.SUBMIT, at, _parse_ticket(values, symbols))
    order_id = _parse_text(values[0]) or ""
    if kind == CommandKind.CANCEL:
        return StrategyCommand(CommandKind.CANCEL, at, order_id=order_id)
    if kind != CommandKind.REPLACE:
        raise InvalidCommand("it is of an unknown kind")
    amounts = map(_parse_amount, _pad_with_nulls(values, _REPLACE_FIELDS)[1:])
    changes = dict(zip(("quantity", "limit_price", "stop_price"), amounts, strict=True))
    return StrategyCommand(CommandKind.REPLACE, at, order_id=order_id, changes=changes)


def _parse_ticket(values: Sequence[Any], symbols: Mapping[str, object]) -> Ticket:
    (
        symbol, side, kind, quantity, limit, stop, trail, percent, time, expires_at, product, target,
        protection, reason,
    ) = _pad_with_nulls(values, _SUBMIT_FIELDS)  # fmt: skip
    if type(symbol) is not str or symbol not in symbols:
        raise InvalidCommand("its symbol is unknown")
    time_in_force = time or TimeInForce.DAY
    if not all(isinstance(text, str) for text in (side, kind, time_in_force)):
        raise InvalidCommand("a field is not text")
    if side not in _SIDES or kind not in _TYPES or time_in_force not in _TIMES:
        raise InvalidCommand("its side, type or time in force is unknown")
    take_profit, stop_loss = _parse_amount(target), _parse_amount(protection)
    return Ticket(
        symbol=symbol,
        side=side,
        type=_TYPES[kind],
        quantity=_parse_amount(quantity),
        notional=None,
        limit_price=_parse_amount(limit),
        stop_price=_parse_amount(stop),
        trail_amount=_parse_amount(trail),
        trail_percent=_parse_amount(percent),
        time_in_force=_TIMES[time_in_force],
        expires_at=_parse_instant(expires_at),
        product=_parse_text(product) or "",
        reason=_parse_text(reason),
        take_profit=None if take_profit is None else TakeProfit(take_profit),
        stop_loss=None if stop_loss is None else StopLoss(stop_loss),
    )


def _pad_with_nulls(values: Sequence[Any], size: int) -> list[Any]:
    """Return the values with nulls for those that were left out."""
    if len(values) > size:
        raise InvalidCommand("it has too many fields")
    return [*values, *[None] * (size - len(values))]


def _parse_amount(text: object) -> Decimal | None:
    if text is None:
        return None
    amount = parse_plain(text) if isinstance(text, str) else None
    if amount is None or find_amount_error(amount):
        raise InvalidCommand("an amount is wrong")
    return amount


def _parse_instant(text: object) -> Any:
    if text is None:
        return None
    try:
        return format_timestamp(datetime.fromisoformat(str(text)))
    except ValueError:
        raise InvalidCommand("an instant is wrong") from None


def _parse_text(text: object) -> str | None:
    if text is not None and (not isinstance(text, str) or len(text) > MAX_TEXT_CHARACTERS):
        raise InvalidCommand("a text is wrong")
    return text


def _format_amount(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    text = str(amount)
    return f"{amount:f}" if "E" in text else text
