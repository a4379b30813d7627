"""Read the stop-loss and take-profit of positions for the ledger's routes."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.ledger.rules.marks import Exits, HeldPosition
from app.ledger.service.exits import Place
from app.orders.queries.reading import list_open_orders_by_symbol
from app.orders.rules.levels import find_exit_levels
from app.orders.rules.values import Order


def find_exits(
    connection: Connection, tenant_id: int, positions: Sequence[HeldPosition]
) -> dict[Place, Exits]:
    """Return the exit levels of each position."""
    orders_by_place: dict[Place, list[Order]] = {}
    for name_key, order in list_open_orders_by_symbol(
        connection, tenant_id, {position.symbol for position in positions}
    ):
        orders_by_place.setdefault((name_key, order.symbol, order.product), []).append(order)
    return {
        position.place: find_exit_levels(position.quantity, orders_by_place.get(position.place, ()))
        for position in positions
    }
