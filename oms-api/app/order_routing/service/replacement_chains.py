"""Load the replacement chains of a portfolio's orders.

IBKR keeps the id of the first order of a chain, so its adapter needs the chains after a restart.
"""

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection, Engine

from app.brokers.ibkr.rules.tracked_order import ReplacementChain
from app.brokers.rules.values import BrokerOrder
from app.instruments.queries import load_instruments
from app.instruments.rules import InstrumentKey
from app.order_routing.queries import find_assigned_portfolio, list_recently_ended_orders, open_snapshot
from app.orders.queries.broker_requests import list_incomplete_requests, list_orders_at_broker
from app.orders.queries.orders import load_orders_by_id
from app.orders.rules.broker_requests import build_broker_order
from app.orders.rules.rows import parse_order_row
from app.orders.rules.values import Order, OrderKey, Status


def load_chains(engine: Engine, tenant_id: int, connection_name: str) -> list[ReplacementChain]:
    """Return the chain of each order of a broker connection that was replaced or has a pending replacement.

    Included are working orders, and orders that ended within a day before the last check of the connection.
    """
    with open_snapshot(engine, tenant_id) as connection:
        portfolio = find_assigned_portfolio(connection, tenant_id, connection_name)
        if portfolio is None:
            return []
        orders = list_orders_at_broker(connection, tenant_id, portfolio.id)
        ended = list_recently_ended_orders(connection, portfolio, connection_name)
        orders += [order for order in ended if order.status is not Status.REPLACED]
        undone_requests = list_incomplete_requests(connection, tenant_id, connection_name)
        successors = {
            request.order_id: request.successor
            for request in undone_requests
            if request.successor is not None
        }
        replaced = [order for order in orders if order.replaces or order.id in successors]
        orders_by_id = _load_chain_members(connection, replaced)
        return [
            ReplacementChain(
                _list_ids(order, orders_by_id),
                _parse_pending_successor(connection, tenant_id, successors.get(order.id)),
            )
            for order in replaced
        ]


def _load_chain_members(connection: Connection, orders: Iterable[Order]) -> dict[str, Order]:
    orders_by_id = {order.id: order for order in orders}
    missing = _list_missing_predecessors(orders_by_id)
    while missing:
        orders_by_id |= {order.id: order for order in load_orders_by_id(connection, missing)}
        # A predecessor that was not found is not queried again.
        missing = [key for key in _list_missing_predecessors(orders_by_id) if key not in missing]
    return orders_by_id


def _list_missing_predecessors(orders_by_id: dict[str, Order]) -> list[OrderKey]:
    return sorted(
        OrderKey(order.tenant_id, order.replaces)
        for order in orders_by_id.values()
        if order.replaces and order.replaces not in orders_by_id
    )


def _list_ids(order: Order, orders_by_id: dict[str, Order]) -> tuple[str, ...]:
    ids, current = [order.id], order
    while current.replaces and current.replaces in orders_by_id:
        current = orders_by_id[current.replaces]
        ids.append(current.id)
    return tuple(reversed(ids))


def _parse_pending_successor(
    connection: Connection, tenant_id: int, successor_json: str | None
) -> BrokerOrder | None:
    if successor_json is None:
        return None
    successor = parse_order_row(orjson.loads(successor_json))
    key = InstrumentKey(tenant_id, successor.symbol)
    return build_broker_order(successor, load_instruments(connection, [key])[key])
