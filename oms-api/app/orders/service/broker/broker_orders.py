"""Orders at brokers outside of this process: store requests with the orders, to be sent after the commit."""

from collections.abc import Sequence
from typing import Any

import orjson

from app.brokers.capabilities import find_linked_refusal
from app.brokers.queries import StoredConnection, find_connection
from app.brokers.rules.connections import ConnectionStatus, can_trade, parse_people
from app.ledger.rules.settings import HOLD
from app.ledger.service.portfolio_state import PortfolioState
from app.orders.errors import NotReplaceable
from app.orders.queries.broker_requests import (
    build_request_insert,
    build_sending_insert,
)
from app.orders.rules.broker_requests import RequestKind, build_broker_order
from app.orders.rules.contingency import EXIT_ROLES, OCO_ROLES, PARENT_ROLES
from app.orders.rules.order_factory import PAPER
from app.orders.rules.rows import serialize_order_row
from app.orders.rules.values import Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.order_pairs import (
    is_sent_with_take_profit,
    list_orders_sent_together,
    mark_sent_with_entry,
)
from app.orders.service.broker_request_notifier import CommittedOrder
from app.risk.rules.values import Denial
from app.timestamps import Timestamp

_RECOVERING_STATUSES = frozenset(
    {ConnectionStatus.NEW, ConnectionStatus.DOWN}
)  # connected again without a person


def find_broker_denial(
    context: BatchContext, order: Order, linked_orders: Sequence[Order] = ()
) -> Denial | None:
    """Return why the order's broker cannot take it now, None if it can. The paper market always can.

    `linked_orders` are the exits of a bracket, or the orders of a pair. All are checked before the first is
    sent.
    """
    if order.broker == PAPER:
        return None
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    group_denial = find_linked_refusal(
        order.broker, [build_broker_order(linked_order, instrument) for linked_order in linked_orders]
    )
    if group_denial is not None:
        return Denial("BROKER_GROUPS", group_denial, None, order.broker, None)
    name, stored = _load_connection_of_order(context, order)
    if stored is not None and not can_trade(parse_people(stored.people), order.actor):
        message = f"{order.actor} may not trade over the broker connection {name!r}."
        return Denial("NOT_YOUR_BROKER_ACCOUNT", message, None, order.actor, None)
    if find_broker_hold_reason(context, order) is not None:
        return None
    if stored is None or stored.status != ConnectionStatus.CONNECTED:
        status = "missing" if stored is None else stored.status
        reason = (None if stored is None else stored.error) or "Nothing was sent."
        message = f"The broker connection {name!r} is {status}. {reason}"
        return Denial("BROKER_NOT_CONNECTED", message, "connected", status, None)
    return None


def find_broker_hold_reason(context: BatchContext, order: Order) -> str | None:
    """Return why the order waits for its broker under the portfolio's setting, None if it does not.

    It waits for a connection that comes back by itself, not for a connection that a person must correct.
    """
    if order.broker == PAPER:
        return None
    portfolio = context.get_portfolio(order)
    if portfolio.when_broker_down != HOLD:
        return None
    name, stored = _load_connection_of_order(context, order)
    if stored is None or stored.status not in _RECOVERING_STATUSES:
        return None
    return f"The broker connection {name!r} is {stored.status}: the order waits until it is connected."


def load_broker_connection(
    context: BatchContext, portfolio: PortfolioState
) -> tuple[str, StoredConnection | None]:
    """Return the name and the state of a portfolio's connection, which is read once in a batch."""
    key = portfolio.tenant_id, portfolio.broker_connection or ""
    loaded = context.loaded.broker_connections
    if key not in loaded:
        loaded[key] = find_connection(context.connection, *key)
    return key[1], loaded[key]


def _load_connection_of_order(context: BatchContext, order: Order) -> tuple[str, StoredConnection | None]:
    return load_broker_connection(context, context.get_portfolio(order))


def count_critical_issues(context: BatchContext, order: Order) -> int:
    """Return the number of critical differences between the order's portfolio and its broker's books."""
    if order.broker == PAPER:
        return 0
    _, stored = _load_connection_of_order(context, order)
    return 0 if stored is None else stored.critical_issues


def request_submission(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Store the request that sends a SUBMITTED order to its broker after the commit.

    If the session runs in this process and has nothing else to send, it gets the order in memory. Orders that
    one request sends, and orders that share a quantity, are read from the database.
    """
    if is_sent_with_take_profit(context, order):
        return
    name = context.get_portfolio(order).broker_connection or ""
    linked_orders = list_orders_sent_together(context, order)
    mark_sent_with_entry(context, linked_orders if order.role is Role.ENTRY else [], at, order.placed_by)
    is_stored = bool(linked_orders) or order.role in OCO_ROLES  # it depends on other orders when it is sent
    if is_stored or not context.services.broker_notifier.reserve(order.tenant_id, name, order.id):
        _store_request(context, order, RequestKind.SUBMIT, at)
        return
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    context.committed_orders.append(CommittedOrder(name, order, instrument))
    context.extra_writes.append(build_sending_insert([(order.tenant_id, name, order.id, at)]))


def request_cancel(context: BatchContext, order: Order, at: Timestamp, actor: str, **fields: Any) -> Order:
    """Request the cancellation of a working order. It is PENDING_CANCEL until the broker responds."""
    if order.status is Status.PENDING_CANCEL:
        return order
    pending = context.order_store.change_status(order, Status.PENDING_CANCEL, at, actor, **fields)
    _store_request(context, pending, RequestKind.CANCEL, at)
    return pending


def require_replaceable(
    context: BatchContext, order: Order, successor: Order, *, needs_approval: bool
) -> None:
    """Raise NotReplaceable where a broker cannot replace the order and nothing was changed yet."""
    if needs_approval:
        raise NotReplaceable(order.id, "The change needs an approval.")
    if successor.quantity <= order.filled_quantity:
        raise NotReplaceable(order.id, "Its quantity would be filled already.")
    denial = find_broker_denial(context, order._replace(actor=successor.actor))
    if denial is not None:
        is_connected = denial.code != "BROKER_NOT_CONNECTED"
        raise NotReplaceable(order.id, denial.message if is_connected else "The broker is not connected.")


def request_replacement(
    context: BatchContext, order: Order, successor: Order, at: Timestamp, actor: str, key: str | None
) -> None:
    """Request the replacement of the order. The successor replaces it once the broker has confirmed."""
    pending = context.order_store.change_status(order, Status.PENDING_REPLACE, at, actor, request_key=key)
    _store_request(context, pending, RequestKind.REPLACE, at, successor)


def adopt_children(context: BatchContext, order: Order, successor: Order) -> None:
    """Assign the child orders of a replaced entry, or the parts of a replaced close, to the successor."""
    if order.role not in PARENT_ROLES:
        return
    for child in context.order_store.list_children(order):
        is_planned = child.role in EXIT_ROLES and child.status is Status.HELD
        quantity = successor.quantity if is_planned else child.quantity
        context.order_store.update_fields(child, parent_id=successor.id, quantity=quantity)


def _store_request(
    context: BatchContext, order: Order, kind: RequestKind, at: Timestamp, successor: Order | None = None
) -> None:
    name = context.get_portfolio(order).broker_connection
    columns = None if successor is None else orjson.dumps(serialize_order_row(successor)).decode()
    successor_id = None if successor is None else successor.id
    row = (order.tenant_id, name, order.id, kind.value, successor_id, columns, at)
    context.extra_writes.append(build_request_insert([row]))
    context.has_broker_requests = True
