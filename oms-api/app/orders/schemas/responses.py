"""Response bodies of the order routes: the models describe the plain dicts that are sent."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field

from app.costs.rules.values import Schedule
from app.costs.schemas import ChargesOut
from app.money import divide, format_fixed, shorten_amount, shorten_quantity
from app.orders.rules.order_views import OrderPreview, OrderView
from app.orders.rules.values import (
    GroupKind,
    Order,
    OrderType,
    Status,
    TimeInForce,
)


class DenialOut(BaseModel):
    """The risk check that denied an order, and the largest quantity that would pass."""

    code: str = Field(examples=["MAX_ORDER_QUANTITY"])
    message: str
    limit: str | None
    asked: str | None
    largest_passing: str | None = Field(
        description="Largest quantity that would pass; null: a price is the reason. For a "
        "replacement, the total quantity"
    )
    nearest_price: str | None = Field(
        None, description="If a price is the reason: the nearest price that passes"
    )


class OrderOut(BaseModel):
    """The current state of an order.

    `legs` are its child orders: the exits of a bracket, or the second order of an OTO.
    """

    id: str = Field(examples=["O17636544000000000a1b2c3d4"])
    status: Status
    portfolio_name: str = Field(examples=["Growth"])
    symbol: str = Field(examples=["AAPL"])
    side: Literal["BUY", "SELL"]
    quantity: str = Field(
        examples=["10"],
        description="Total order quantity. For a replacement, it includes the fills of the original",
    )
    type: OrderType
    limit_price: str | None = Field(examples=["170.00"])
    stop_price: str | None
    trail_amount: str | None
    trail_percent: str | None
    trail_level: str | None = Field(description="Current stop price of the trailing stop; null: none yet")
    notional: str | None
    time_in_force: TimeInForce
    expires_at: str | None = Field(
        examples=["2026-11-21T00:00:00.000000Z"],
        description="Time at which the order expires: the close for a DAY order, the requested expiry "
        "for a GTD order; null: never",
    )
    client_order_id: str
    product: str | None
    extended_hours: bool
    reason: str | None
    strategy: str | None
    user_id: str | None
    source: str = Field(description="Name of the key that placed it")
    actor: str | None = Field(description="Person for whom the key acted; null: none")
    cost_schedule: Schedule = Field(
        description="Schedule that charges its fills: that of the portfolio when the order was placed"
    )
    filled_quantity: str
    leaves_quantity: str = Field(
        description="Units that can still fill: quantity minus filled quantity while the order is "
        "open, else 0"
    )
    average_price: str | None = Field(description="Average price of the fills; null: none yet")
    created_at: str
    updated_at: str
    replaces: str | None
    replaced_by: str | None
    parent_id: str | None
    group_id: str | None
    group_kind: GroupKind | None
    role: str | None = Field(
        description="entry, take_profit, stop_loss, either, follower; closing: closes a position"
    )
    legs: list["OrderOut"]
    denial: DenialOut | None


class OrderEventOut(BaseModel):
    """A change of an order: statuses, time, actor, reason, the broker's message and the execution."""

    sequence: int
    from_status: Status | None
    to_status: Status
    at: str
    actor: str
    reason: str | None
    broker_reason: str | None
    broker_words: str | None
    execution_id: str | None


class OrderFillOut(BaseModel):
    """An execution with the ID of its trade in the ledger."""

    execution_id: str
    trade_id: str
    quantity: str
    price: str
    value: str
    note: str | None = Field(
        description="`late`: the order was final; `over`: more than its quantity; `stray`: the order "
        "was rejected; null: expected"
    )
    executed_at: str
    charges: ChargesOut = Field(
        description="Amount that it added to the charges of its order, in the portfolio's currency"
    )


class OrderDetailOut(OrderOut):
    """An order with its history and its fills."""

    events: list[OrderEventOut]
    fills: list[OrderFillOut]


class OrdersOut(BaseModel):
    """The orders that one request created or canceled."""

    orders: list[OrderOut]


class CanceledOut(OrdersOut):
    """The orders that a request canceled, and the portfolios in which it is still canceling."""

    pending_portfolios: list[str]
    unsettled: list[str]


class CheckOut(BaseModel):
    """The result of one risk check. `largest_passing` is the largest quantity that this check would pass."""

    check: str
    passes: bool
    largest_passing: str | None
    code: str | None
    limit: str | None
    message: str | None


class PreviewOut(BaseModel):
    """The effect that a ticket would have.

    Amounts are null if there is no price. Prices and values are in the instrument's currency.
    """

    portfolio_name: str
    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: str
    expected_price: str | None
    expected_value: str | None
    expected_charges: str | None = Field(
        description="Charges of one execution, in the portfolio's currency; null without a price or a rate"
    )
    cash_after: str | None = Field(
        description="Cash after value and charges, in the portfolio's currency; null without a price "
        "or a rate"
    )
    position_after: str
    opens_at: str | None = Field(
        examples=["2026-11-30T14:30:00.000000Z"],
        description="Time at which the market opens, in UTC; null: it is open, or sessions are not enforced",
    )
    would_pass: bool
    needs_approval: bool = Field(
        description="Whether the order would pass and then await the approval of another person",
        examples=[False],
    )
    denial: DenialOut | None
    checks: list[CheckOut]


def serialize_cancellation(views: Sequence[OrderView], pending_portfolios: Sequence[str]) -> dict[str, Any]:
    """Return canceled orders, and the portfolios that are not finished, as `CanceledOut` describes them."""
    return {
        "orders": [serialize_order(view) for view in views],
        "pending_portfolios": pending_portfolios,
        "unsettled": pending_portfolios,
    }


def serialize_order(view: OrderView) -> dict[str, Any]:
    """Return the order as `OrderOut` describes it."""
    legs = [_serialize_values(leg, view.portfolio_name, []) for leg in view.legs]
    return _serialize_values(view.order, view.portfolio_name, legs)


def _serialize_values(order: Order, portfolio_name: str, legs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "portfolio_name": portfolio_name,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": _format_quantity(order.quantity),
        "type": order.type,
        "limit_price": _format_money(order.limit_price),
        "stop_price": _format_money(order.stop_price),
        "trail_amount": _format_money(order.trail_amount),
        "trail_percent": None if order.trail_percent is None else _format_quantity(order.trail_percent),
        "trail_level": _format_money(order.trail_level),
        "notional": _format_money(order.notional),
        "time_in_force": order.time_in_force,
        "expires_at": order.ends_at,
        "client_order_id": order.client_order_id,
        "product": order.product or None,
        "extended_hours": order.extended_hours,
        "reason": order.reason,
        "strategy": order.strategy,
        "user_id": order.user_id,
        "source": order.source,
        "actor": order.actor,
        "cost_schedule": order.cost_schedule,
        "filled_quantity": _format_quantity(order.filled_quantity),
        "leaves_quantity": _format_quantity(order.leaves_quantity),
        "average_price": _format_average(order),
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "replaces": order.replaces,
        "replaced_by": order.replaced_by,
        "parent_id": order.parent_id,
        "group_id": order.group_id,
        "group_kind": order.group_kind,
        "role": order.role,
        "legs": legs,
        "denial": orjson.loads(order.denial) if order.denial else None,
    }


def serialize_preview(preview: OrderPreview, denial: dict[str, Any] | None) -> dict[str, Any]:
    """Return the preview as `PreviewOut` describes it."""
    order, estimate = preview.order, preview.estimate
    return {
        "portfolio_name": preview.portfolio_name,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": _format_quantity(order.quantity),
        "expected_price": _format_money(estimate.price),
        "expected_value": _format_money(estimate.value),
        "expected_charges": _format_money(estimate.charges),
        "cash_after": _format_money(estimate.cash_after),
        "position_after": _format_quantity(estimate.position_after),
        "opens_at": preview.opens_at,
        "would_pass": denial is None,
        "needs_approval": preview.needs_approval,
        "denial": denial,
        "checks": [_serialize_check(check) for check in preview.checks],
    }


def _serialize_check(check: Any) -> dict[str, Any]:
    fields = check._asdict()
    return {
        name: _format_quantity(value) if isinstance(value, Decimal) else value
        for name, value in fields.items()
    }


def _format_average(order: Order) -> str | None:
    if not order.filled_quantity:
        return None
    return shorten_amount(format_fixed(divide(order.filled_value, order.filled_quantity)))


def _format_money(amount: Decimal | None) -> str | None:
    return None if amount is None else shorten_amount(format_fixed(amount))


def _format_quantity(amount: Decimal) -> str:
    return shorten_quantity(format_fixed(amount))
