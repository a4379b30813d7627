"""Which orders were sent in one request, for a broker that knows them by its own ids only."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from app.brokers.rules.linked_orders import STOPS, OrderLink
from app.order_routing.queries import find_assigned_portfolio, list_lately_ended_orders, reading
from app.orders.queries.book import OrderColumnValue, list_orders_by_name
from app.orders.queries.broker_requests import find_sent_with_entry, list_orders_at_broker
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import FINAL_STATUSES, Order, Role, Status


def load_links(engine: Engine, tenant_id: int, name: str) -> list[OrderLink]:
    """Return the links of the exits that work, or are held, at a broker, and of those that ended lately.

    A replacement of an exit has an id of ours at the broker: after its end, it needs no link.
    """
    with reading(engine, tenant_id) as connection:
        portfolio = find_assigned_portfolio(connection, tenant_id, name)
        if portfolio is None:
            return []
        orders = list_orders_at_broker(connection, tenant_id, portfolio.id)
        exits = [order for order in orders if order.role in EXIT_ROLES]
        ended = list_lately_ended_orders(connection, portfolio, name)
        exits += [order for order in ended if order.role in EXIT_ROLES and order.replaces is None]
        primaries = _find_primaries(connection, exits)
    return [
        OrderLink(
            primaries[exit_order.id],
            exit_order.id,
            exit_order.type in STOPS,
            datetime.fromisoformat(exit_order.created_at),
            has_ended=exit_order.status in FINAL_STATUSES,
        )
        for exit_order in exits
        if exit_order.id in primaries
    ]


def _find_primaries(connection: Connection, exits: Sequence[Order]) -> dict[str, str]:
    """Return by exit the order in whose request it was sent, without exits that had requests of their own."""
    sent_ids = find_sent_with_entry(connection, exits)
    pairs = [order for order in exits if order.id not in sent_ids and order.role is Role.STOP_LOSS]
    targets = _find_targets(connection, pairs)
    with_entry = {order.id: order.parent_id for order in exits if order.id in sent_ids}
    with_target = {order.id: targets.get(order.group_id or "") for order in pairs}
    found = with_entry | with_target
    return {order_id: primary_id for order_id, primary_id in found.items() if primary_id is not None}


def _find_targets(connection: Connection, stops: Sequence[Order]) -> Mapping[str, str]:
    """Return by group the last take-profit, without those that were denied."""
    groups = sorted({(order.tenant_id, order.group_id) for order in stops if order.group_id is not None})
    members = list_orders_by_name(connection, "group_id", [OrderColumnValue(*group) for group in groups])
    targets = [order for order in members if order.role is Role.TAKE_PROFIT]
    return {
        order.group_id or "": order.id
        for order in sorted(targets, key=lambda order: order.id)
        if order.status is not Status.DENIED
    }
