"""Replace instrument aliases in order commands by symbols, before the batch is processed."""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from sqlalchemy import Connection

from app.instruments.queries import find_symbols_by_alias
from app.instruments.rules import InstrumentKey
from app.orders.service.commands import (
    CancelAll,
    ClosePosition,
    Command,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    SetExits,
    get_tenant_id,
    list_tickets,
)


def resolve_aliases(connection: Connection, commands: Sequence[Command]) -> Sequence[Command]:
    """Return the commands with symbols instead of aliases, read by one statement.

    The alias of a trade is resolved with its position. Quotes and kill switch closes never use an alias.
    """
    named = sorted({key for command in commands for key in _list_names(command)})
    symbols = find_symbols_by_alias(connection, named) if named else {}
    return [_replace_names(command, symbols) for command in commands] if symbols else commands


def _list_names(command: Command) -> list[InstrumentKey]:
    names: list[str | None] = [ticket.symbol for ticket in list_tickets(command)]
    if _may_use_alias(command):
        names.append(command.symbol)
    return [InstrumentKey(get_tenant_id(command), name) for name in names if name is not None]


def _may_use_alias(command: Command) -> TypeGuard[CancelAll | ClosePosition | SetExits | PlaceSignal]:
    if isinstance(command, ClosePosition):
        return not command.ignores_halt
    return isinstance(command, (CancelAll, SetExits, PlaceSignal))


def _replace_names(command: Command, symbols: Mapping[InstrumentKey, str]) -> Command:
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
