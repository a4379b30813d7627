"""The replacements of a portfolio's orders, for a broker that knows an order by its first id only."""

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection, Engine

from app.brokers.ibkr.rules.tracked_order import ReplacementChain
from app.brokers.rules.values import BrokerOrder
from app.instruments.queries import find_instruments
from app.instruments.rules import InstrumentKey
from app.order_routing.queries import find_assigned_portfolio, list_lately_ended_orders, reading
from app.orders.queries.book import find_orders_by_id
from app.orders.queries.broker_requests import list_orders_at_broker, list_undone_requests
from app.orders.rules.broker_requests import build_broker_order
from app.orders.rules.rows import parse_order_row
from app.orders.rules.values import Order, OrderKey, Status


def load_chains(engine: Engine, tenant_id: int, name: str) -> list[ReplacementChain]:
    """Return the chains of the orders of a connection that were, or are being, replaced.

    These are the working orders, and those that ended lately.
    """
    with reading(engine, tenant_id) as connection:
        portfolio = find_assigned_portfolio(connection, tenant_id, name)
        if portfolio is None:
            return []
        orders = list_orders_at_broker(connection, tenant_id, portfolio.id)
        ended = list_lately_ended_orders(connection, portfolio, name)
        orders += [order for order in ended if order.status is not Status.REPLACED]
        undone = list_undone_requests(connection, tenant_id, name)
        successors = {one.order_id: one.successor for one in undone if one.successor is not None}
        replaced = [order for order in orders if order.replaces or order.id in successors]
        known = _load_predecessors(connection, replaced)
        return [
            ReplacementChain(
                _list_ids(order, known), _build_pending(connection, tenant_id, successors.get(order.id))
            )
            for order in replaced
        ]


def _load_predecessors(connection: Connection, orders: Iterable[Order]) -> dict[str, Order]:
    known = {order.id: order for order in orders}
    missing = _list_missing(known)
    while missing:
        known |= {order.id: order for order in find_orders_by_id(connection, missing)}
        missing = [key for key in _list_missing(known) if key not in missing]
    return known


def _list_missing(known: dict[str, Order]) -> list[OrderKey]:
    return sorted(
        OrderKey(order.tenant_id, order.replaces)
        for order in known.values()
        if order.replaces and order.replaces not in known
    )


def _list_ids(order: Order, known: dict[str, Order]) -> tuple[str, ...]:
    ids, current = [order.id], order
    while current.replaces and current.replaces in known:
        current = known[current.replaces]
        ids.append(current.id)
    return tuple(reversed(ids))


def _build_pending(connection: Connection, tenant_id: int, text: str | None) -> BrokerOrder | None:
    if text is None:
        return None
    successor = parse_order_row(orjson.loads(text))
    key = InstrumentKey(tenant_id, successor.symbol)
    return build_broker_order(successor, find_instruments(connection, [key])[key])
