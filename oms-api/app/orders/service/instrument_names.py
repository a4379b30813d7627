"""Replace instrument aliases in order commands by symbols, before the batch is processed."""

from collections.abc import Mapping, Sequence

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
)  # fmt: skip


def resolve_aliases(connection: Connection, commands: Sequence[Command]) -> Sequence[Command]:
    """Return the commands with symbols instead of aliases, read by one statement.

    The alias of a trade is resolved with its position. Quotes and kill switch closes never use an alias.
    """
    named = sorted({key for command in commands for key in _list_names(command)})
    symbols = find_symbols_by_alias(connection, named) if named else {}
    return [_replace_names(command, symbols) for command in commands] if symbols else commands


def _list_names(command: Command) -> Sequence[InstrumentKey]:
    match command:
        case PlaceOrder() | PreviewOrder():
            return [InstrumentKey(command.origin.tenant_id, command.ticket.symbol)]
        case PlaceGroup():
            return [InstrumentKey(command.origin.tenant_id, ticket.symbol) for ticket in command.tickets]
        case CancelAll() | ClosePosition() | SetExits() | PlaceSignal() if command.symbol is not None:
            return [] if _is_exact(command) else [InstrumentKey(command.origin.tenant_id, command.symbol)]
        case _:
            return []


def _is_exact(command: CancelAll | ClosePosition | SetExits | PlaceSignal) -> bool:
    return isinstance(command, ClosePosition) and command.ignores_halt


def _replace_names(command: Command, symbols: Mapping[InstrumentKey, str]) -> Command:
    match command:
        case PlaceOrder() | PreviewOrder():
            tenant_id, ticket = command.origin.tenant_id, command.ticket
            symbol = symbols.get(InstrumentKey(tenant_id, ticket.symbol), ticket.symbol)
            return command._replace(ticket=ticket._replace(symbol=symbol))
        case PlaceGroup():
            tenant_id = command.origin.tenant_id
            return command._replace(
                tickets=tuple(
                    ticket._replace(
                        symbol=symbols.get(InstrumentKey(tenant_id, ticket.symbol), ticket.symbol)
                    )
                    for ticket in command.tickets
                )
            )
        case CancelAll() | ClosePosition() | SetExits() | PlaceSignal() if (
            command.symbol is not None and not _is_exact(command)
        ):
            return command._replace(
                symbol=symbols.get(InstrumentKey(command.origin.tenant_id, command.symbol), command.symbol)
            )
        case _:
            return command
