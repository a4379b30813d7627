"""The orders that were sent in one request, for a broker that only knows them by its own ids."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from app.brokers.rules.linked_orders import STOPS, LegLink
from app.order_routing.queries import find_assigned_portfolio, list_recently_ended_orders, open_snapshot
from app.orders.queries.broker_requests import list_orders_at_broker, load_ids_sent_with_entry
from app.orders.queries.orders import OrderColumnValue, load_orders_by_column
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import FINAL_STATUSES, Order, Role, Status


def load_leg_links(engine: Engine, tenant_id: int, name: str) -> list[LegLink]:
    """Return the links of the exits that a broker works or holds, and of exits that ended recently.

    A replaced exit has our id at the broker, so it needs no link after its end.
    """
    with open_snapshot(engine, tenant_id) as connection:
        portfolio = find_assigned_portfolio(connection, tenant_id, name)
        if portfolio is None:
            return []
        orders = list_orders_at_broker(connection, tenant_id, portfolio.id)
        exits = [order for order in orders if order.role in EXIT_ROLES]
        ended = list_recently_ended_orders(connection, portfolio, name)
        exits += [order for order in ended if order.role in EXIT_ROLES and order.replaces is None]
        primaries = _load_primary_ids(connection, exits)
    return [
        LegLink(
            primaries[exit_order.id],
            exit_order.id,
            exit_order.type in STOPS,
            datetime.fromisoformat(exit_order.created_at),
            has_ended=exit_order.status in FINAL_STATUSES,
        )
        for exit_order in exits
        if exit_order.id in primaries
    ]


def _load_primary_ids(connection: Connection, exits: Sequence[Order]) -> dict[str, str]:
    """Return the id of the order in whose request each exit was sent, without exits that were sent alone."""
    sent_ids = load_ids_sent_with_entry(connection, exits)
    pairs = [order for order in exits if order.id not in sent_ids and order.role is Role.STOP_LOSS]
    targets = _load_take_profit_ids(connection, pairs)
    with_entry = {order.id: order.parent_id for order in exits if order.id in sent_ids}
    with_target = {order.id: targets.get(order.group_id or "") for order in pairs}
    primary_ids = with_entry | with_target
    return {order_id: primary_id for order_id, primary_id in primary_ids.items() if primary_id is not None}


def _load_take_profit_ids(connection: Connection, stops: Sequence[Order]) -> Mapping[str, str]:
    """Return the id of the last take-profit that was not denied, by group id."""
    groups = sorted({(order.tenant_id, order.group_id) for order in stops if order.group_id is not None})
    members = load_orders_by_column(connection, "group_id", [OrderColumnValue(*group) for group in groups])
    targets = [order for order in members if order.role is Role.TAKE_PROFIT]
    return {
        order.group_id or "": order.id
        for order in sorted(targets, key=lambda order: order.id)
        if order.status is not Status.DENIED
    }
