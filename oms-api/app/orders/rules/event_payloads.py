"""Build the payloads of order events for the outbox."""

from decimal import Decimal
from typing import Any

import orjson

from app.costs.rules.booked_charges import serialize_charges
from app.costs.rules.values import Schedule
from app.money import divide, format_fixed, shorten_amount, shorten_quantity
from app.orders.rules.execution_ids import BUST, CORRECTION
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import FINAL_STATUSES, Order, OrderType, Status

_EVENT_TYPES_BY_NOTE = {BUST: "order.fill_busted", CORRECTION: "order.fill_corrected"}
_EVENT_TYPES_BY_STATUS: dict[str, str] = {status: f"order.{status.lower()}" for status in Status}


def get_event_type(event: OrderEvent) -> str:
    """Return the event type of a history row.

    A fill is order.filled or order.partially_filled, a reversed fill order.fill_busted, and its
    replacement order.fill_corrected. A change of status is named after the new status. Any other change is
    order.changed.
    """
    if event.execution_id is not None and event.reason in _EVENT_TYPES_BY_NOTE:
        return _EVENT_TYPES_BY_NOTE[event.reason]
    if event.execution_id is not None:
        return "order.filled" if event.to_status == Status.FILLED else "order.partially_filled"
    is_transition = event.from_status != event.to_status
    return _EVENT_TYPES_BY_STATUS[event.to_status] if is_transition else "order.changed"


def build_order_payload(
    order: Order, portfolio_name: str, event: OrderEvent, execution: ExecutionRow | None
) -> dict[str, Any]:
    """Return the payload of a history row.

    `order` is the order after it, `execution` the fill that caused it. Amounts are text as in the API. Fields
    that do not apply are left out.
    """
    return add_event_fields(build_shared_fields(order, portfolio_name), order, event, execution)


def build_shared_fields(order: Order, portfolio_name: str) -> dict[str, Any]:
    """Return the payload fields of an order that do not depend on the history row.

    `add_event_fields` sets the other fields.
    """
    quantity = _format_quantity(order.quantity)
    payload: dict[str, Any] = {
        "order_id": order.id,
        "client_order_id": order.client_order_id,
        "portfolio_id": order.portfolio_id,
        "portfolio_name": portfolio_name,
        "sequence": 0,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "quantity": quantity,
        "filled_quantity": "0",
        "leaves_quantity": quantity,
        "actor": "",
    }
    if order.filled_quantity:
        is_whole = order.filled_quantity == order.quantity
        payload["filled_quantity"] = quantity if is_whole else _format_quantity(order.filled_quantity)
        payload["average_price"] = shorten_amount(
            format_fixed(divide(order.filled_value, order.filled_quantity))
        )
        payload["leaves_quantity"] = "0" if is_whole else _format_quantity(order.leaves_quantity)
    if order.type is not OrderType.MARKET:
        payload |= _serialize_prices(order)
    if order.strategy is not None:
        payload["strategy"] = order.strategy
    if order.parent_id is not None:
        payload["parent_id"] = order.parent_id
    if order.replaces is not None:
        payload["replaces"] = order.replaces
    if order.replaced_by is not None:
        payload["replaced_by"] = order.replaced_by
    return payload


def add_event_fields(
    shared_fields: dict[str, Any], order: Order, event: OrderEvent, execution: ExecutionRow | None
) -> dict[str, Any]:
    """Return the payload of a history row: the fields of the order and the fields of the row."""
    payload = shared_fields | {"sequence": event.sequence, "status": order.status, "actor": event.actor}
    if order.status in FINAL_STATUSES:
        payload["leaves_quantity"] = "0"
    if execution is not None:
        payload |= _build_fill_fields(execution)
    if event.sequence == 1:
        payload |= build_terms(order)
    if event.reason is not None:
        payload["reason"] = event.reason
    if event.broker_reason is not None:
        payload["broker_reason"] = event.broker_reason
        payload["broker_words"] = event.broker_reason  # the former name, for one release
    return payload


def build_denial_payload(order: Order, denial: str) -> dict[str, Any]:
    """Return the payload of the risk.denied event. `denial` is JSON text."""
    payload = orjson.loads(denial)
    return {
        "order_id": order.id,
        "portfolio_id": order.portfolio_id,
        "code": payload["code"],
        "denial": payload,
    }


def build_terms(order: Order) -> dict[str, Any]:
    """Return the terms of an order that never change. Only its first event includes them."""
    values = {
        "product": order.product or None,
        "time_in_force": order.time_in_force,
        "notional": order.notional and _format_quantity(order.notional),
        "expires_at": order.expires_at,
        "ends_at": order.ends_at,
        "extended_hours": order.extended_hours or None,
        "note": order.reason,
        "user_id": order.user_id,
        "source": order.source,
        "broker": order.broker,
        "cost_schedule": None if order.cost_schedule == Schedule.NONE else order.cost_schedule,
        "group_id": order.group_id,
        "group_kind": order.group_kind,
        "role": order.role,
    }
    return {name: value for name, value in values.items() if value is not None}


def _serialize_prices(order: Order) -> dict[str, str]:
    prices = {
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "trail_amount": order.trail_amount,
        "trail_level": order.trail_level,
    }
    payload = {
        name: shorten_amount(format_fixed(price)) for name, price in prices.items() if price is not None
    }
    if order.trail_percent is not None:
        payload["trail_percent"] = _format_quantity(order.trail_percent)
    return payload


def _build_fill_fields(execution: ExecutionRow) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "execution_id": execution.execution_id,
        "trade_id": execution.trade_id,
        "last_quantity": shorten_quantity(execution.quantity),
        "last_price": shorten_amount(execution.price),
    }
    if execution.charges is not None:
        payload["charges"] = serialize_charges(execution.charges)
    return payload


def _format_quantity(amount: Decimal) -> str:
    return shorten_quantity(format_fixed(amount))
