"""Load the stop-loss and take-profit prices of positions for the ledger's routes."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.ledger.rules.marks import ExitPrices, ListedPosition, PositionNameKey
from app.orders.queries.order_views import list_open_orders_by_symbol
from app.orders.rules.exit_prices import compute_exit_prices
from app.orders.rules.values import Order


def load_exit_prices(
    connection: Connection, tenant_id: int, positions: Sequence[ListedPosition]
) -> dict[PositionNameKey, ExitPrices]:
    """Load the open orders of the positions, and return the exit prices of each position."""
    orders_by_position: dict[PositionNameKey, list[Order]] = {}
    for name_key, order in list_open_orders_by_symbol(
        connection, tenant_id, {position.symbol for position in positions}
    ):
        position_name_key = PositionNameKey(name_key, order.symbol, order.product)
        orders_by_position.setdefault(position_name_key, []).append(order)
    return {
        position.name_key: compute_exit_prices(
            position.quantity, orders_by_position.get(position.name_key, ())
        )
        for position in positions
    }
