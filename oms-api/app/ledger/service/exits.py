"""Add stop-loss and take-profit prices to positions.

The orders package provides the reader, because the ledger must not import it.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from app.ledger.rules.marks import NO_EXITS, Exits, HeldPosition, MarkedPosition, PositionNameKey

ExitsReader = Callable[[Connection, int, Sequence[HeldPosition]], Mapping[PositionNameKey, Exits]]


def add_exit_prices(
    connection: Connection, tenant_id: int, marked_positions: Sequence[MarkedPosition], read: ExitsReader
) -> list[MarkedPosition]:
    """Return the positions with their stop-loss and take-profit prices. Flat positions have none."""
    held_positions = [
        marked_position.holding for marked_position in marked_positions if marked_position.holding.quantity
    ]
    exits = read(connection, tenant_id, held_positions) if held_positions else {}
    return [
        marked_position._replace(exits=exits.get(marked_position.holding.name_key, NO_EXITS))
        for marked_position in marked_positions
    ]
