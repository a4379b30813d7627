"""Which working orders were sent in one request, for a broker that knows them by its own ids only."""

from datetime import datetime

from sqlalchemy import Connection, Engine

from app.brokers.rules.linked_orders import STOPS, OrderLink
from app.order_routing.queries import find_assigned_portfolio, reading
from app.orders.queries.broker_requests import find_sent_with_entry, list_group, list_orders_at_broker
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import Order, Role, Status


def load_links(engine: Engine, tenant_id: int, name: str) -> list[OrderLink]:
    """Return the links of the exits that work, or are held, at a broker."""
    with reading(engine, tenant_id) as connection:
        portfolio = find_assigned_portfolio(connection, tenant_id, name)
        if portfolio is None:
            return []
        orders = list_orders_at_broker(connection, tenant_id, portfolio.id)
        exits = [order for order in orders if order.role in EXIT_ROLES]
        sent_ids = find_sent_with_entry(connection, exits)
        primaries = {
            exit_order.id: _find_primary(connection, exit_order, is_sent_with_entry=exit_order.id in sent_ids)
            for exit_order in exits
        }
    return [
        OrderLink(
            primary_id, exit_order.id, exit_order.type in STOPS, datetime.fromisoformat(exit_order.created_at)
        )
        for exit_order in exits
        if (primary_id := primaries[exit_order.id]) is not None
    ]


def _find_primary(connection: Connection, order: Order, *, is_sent_with_entry: bool) -> str | None:
    """Return the order in whose request an exit was sent, None if it has a request of its own."""
    if is_sent_with_entry:
        return order.parent_id
    if order.role is not Role.STOP_LOSS:
        return None
    targets = [one for one in list_group(connection, order) if one.role is Role.TAKE_PROFIT]
    sent = [target for target in targets if target.status is not Status.DENIED]
    return sent[-1].id if sent else None
