"""Add stop-loss and take-profit prices to positions.

The orders package provides the reader, because the ledger must not import it.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from app.ledger.rules.marks import NO_EXITS, Exits, HeldPosition, MarkedPosition

Place = tuple[str, str, str]  # a portfolio's name key, symbol, product
ExitsReader = Callable[[Connection, int, Sequence[HeldPosition]], Mapping[Place, Exits]]


def with_exits(
    connection: Connection, tenant_id: int, found: Sequence[MarkedPosition], read: ExitsReader
) -> list[MarkedPosition]:
    """Return the positions with their stop-loss and take-profit prices. Flat positions have none."""
    held = [one.held for one in found if one.held.quantity]
    exits = read(connection, tenant_id, held) if held else {}
    return [one._replace(exits=exits.get(one.held.place, NO_EXITS)) for one in found]
