"""Aliases in order commands, replaced by the symbols of their instruments before a batch is worked on."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from app.instruments.queries import Key, symbols_by_alias
from app.orders.service.commands import (
    CancelAll,
    ClosePosition,
    Command,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
)  # fmt: skip


def name_instruments(connection: Connection, works: Sequence[Command]) -> Sequence[Command]:
    """Return the commands under their instruments' symbols, by one statement. A trade's alias is found with
    its position; quotes and flattening name no alias.
    """
    named = sorted({key for work in works for key in _names(work)})
    symbols = symbols_by_alias(connection, named) if named else {}
    return [_renamed(work, symbols) for work in works] if symbols else works


def _names(work: Command) -> Sequence[Key]:
    match work:
        case PlaceOrder() | PreviewOrder():
            return [(work.origin.tenant_id, work.ticket.symbol)]
        case PlaceGroup():
            return [(work.origin.tenant_id, ticket.symbol) for ticket in work.tickets]
        case CancelAll() | ClosePosition() if work.symbol is not None:
            return [] if _is_exact(work) else [(work.origin.tenant_id, work.symbol)]
        case _:
            return []


def _is_exact(work: CancelAll | ClosePosition) -> bool:
    return isinstance(work, ClosePosition) and work.in_spite_of_halt


def _renamed(work: Command, symbols: Mapping[Key, str]) -> Command:
    match work:
        case PlaceOrder() | PreviewOrder():
            tenant_id, ticket = work.origin.tenant_id, work.ticket
            symbol = symbols.get((tenant_id, ticket.symbol), ticket.symbol)
            return work._replace(ticket=ticket._replace(symbol=symbol))
        case PlaceGroup():
            tenant_id = work.origin.tenant_id
            return work._replace(
                tickets=tuple(
                    ticket._replace(symbol=symbols.get((tenant_id, ticket.symbol), ticket.symbol))
                    for ticket in work.tickets
                )
            )
        case CancelAll() | ClosePosition() if work.symbol is not None and not _is_exact(work):
            return work._replace(symbol=symbols.get((work.origin.tenant_id, work.symbol), work.symbol))
        case _:
            return work
