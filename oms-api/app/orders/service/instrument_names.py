"""Aliases in order commands, replaced by the symbols of their instruments before a batch is worked on."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from app.instruments.queries import Key, find_symbols_by_alias
from app.orders.service.commands import (
    CancelAll,
    ClosePosition,
    Command,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
)  # fmt: skip


def name_instruments(connection: Connection, commands: Sequence[Command]) -> Sequence[Command]:
    """Return the commands under their instruments' symbols, by one statement. A trade's alias is found with
    its position; quotes and flattening name no alias.
    """
    named = sorted({key for command in commands for key in _names(command)})
    symbols = find_symbols_by_alias(connection, named) if named else {}
    return [_renamed(command, symbols) for command in commands] if symbols else commands


def _names(command: Command) -> Sequence[Key]:
    match command:
        case PlaceOrder() | PreviewOrder():
            return [(command.origin.tenant_id, command.ticket.symbol)]
        case PlaceGroup():
            return [(command.origin.tenant_id, ticket.symbol) for ticket in command.tickets]
        case CancelAll() | ClosePosition() if command.symbol is not None:
            return [] if _is_exact(command) else [(command.origin.tenant_id, command.symbol)]
        case _:
            return []


def _is_exact(command: CancelAll | ClosePosition) -> bool:
    return isinstance(command, ClosePosition) and command.in_spite_of_halt


def _renamed(command: Command, symbols: Mapping[Key, str]) -> Command:
    match command:
        case PlaceOrder() | PreviewOrder():
            tenant_id, ticket = command.origin.tenant_id, command.ticket
            symbol = symbols.get((tenant_id, ticket.symbol), ticket.symbol)
            return command._replace(ticket=ticket._replace(symbol=symbol))
        case PlaceGroup():
            tenant_id = command.origin.tenant_id
            return command._replace(
                tickets=tuple(
                    ticket._replace(symbol=symbols.get((tenant_id, ticket.symbol), ticket.symbol))
                    for ticket in command.tickets
                )
            )
        case CancelAll() | ClosePosition() if command.symbol is not None and not _is_exact(command):
            return command._replace(
                symbol=symbols.get((command.origin.tenant_id, command.symbol), command.symbol)
            )
        case _:
            return command
