"""Bodies of the approval routes."""

from typing import Any

import orjson
from pydantic import BaseModel, Field

from app.http.fields import PositiveAmount, WholeNumber
from app.ledger.schemas import Note
from app.money import format_fixed, shorten_amount, shorten_quantity
from app.orders.rules.approvals import OVERRIDE_MINUTES
from app.orders.rules.order_views import ApprovalView
from app.orders.schemas.fields import OrderReason, RequestBody
from app.orders.schemas.responses import DenialOut, OrderOut, serialize_order

MAX_OVERRIDE_MINUTES = 24 * 60


class ApproveIn(RequestBody):
    """The approval of an order."""

    reason: OrderReason = Field(
        None, description="Reason, for the order's history", examples=["Within the mandate"]
    )
    price_seen: PositiveAmount | None = Field(
        None,
        description="Reference price that you accept; required after a response 409 `price-moved`",
        examples=["101.50"],
    )


class RejectIn(RequestBody):
    """The rejection of an order."""

    reason: Note = Field(min_length=1, description="Reason, for the trader", examples=["Too large today"])


class OverrideIn(RequestBody):
    """A request to exceed the limit that denied an order."""

    reason: Note = Field(min_length=1, description="Reason, for the second person", examples=["Client block"])
    expires_minutes: WholeNumber = Field(
        OVERRIDE_MINUTES,
        ge=1,
        le=MAX_OVERRIDE_MINUTES,
        description="Time for the decision, in minutes",
        examples=[30],
    )


class OrderEstimateOut(BaseModel):
    """The estimated effect of the order at the prices of one moment.

    Price and value are in the instrument's currency, all else in the portfolio's. Amounts are null without a
    price or a rate. Exposures and equity are those of the positions before the order.
    """

    price: str | None = Field(examples=["101.00"], description="Expected fill price")
    value: str | None = Field(examples=["1010.00"], description="Quantity × price")
    charges: str | None = Field(examples=["0.00"], description="Charges of one execution")
    cash_after: str | None = Field(examples=["998990.00"], description="Cash after value and charges")
    position_after: str = Field(examples=["10"], description="Signed position after the order")
    gross_exposure: str = Field(examples=["0.00"], description="Sum of the unsigned market values")
    net_exposure: str = Field(examples=["0.00"], description="Sum of the signed market values")
    equity: str = Field(examples=["1000000.00"], description="Cash plus the net exposure")


class ApprovalOut(BaseModel):
    """An order that waits for approval, with estimates at its placement and now."""

    order: OrderOut = Field(description="The order that awaits approval, with its child orders")
    rule: str = Field(examples=["above_value"], description="The policy's mode, or `override`")
    requested_by: str = Field(examples=["slack:T1:U1"], description="Person or key that placed the order")
    requested_at: str = Field(
        examples=["2026-11-20T15:00:00.000000Z"], description="Time of the request for approval, in UTC"
    )
    expires_at: str = Field(
        examples=["2026-11-20T15:30:00.000000Z"],
        description="Time at which the order expires if nobody decides, in UTC",
    )
    approvers: list[str] = Field(
        examples=[["role:risk"]], description="Roles and persons who may approve or reject it"
    )
    price_seen: str | None = Field(
        examples=["100.00"], description="Reference price (mid, else last) when the order was placed"
    )
    price: str | None = Field(examples=["100.50"], description="Current reference price")
    max_move_percent: str = Field(
        examples=["1"], description="Price move in percent beyond which an approval must send `price_seen`"
    )
    then: OrderEstimateOut = Field(description="Estimate at the prices at its placement")
    now: OrderEstimateOut = Field(description="Estimate at current prices")
    denial: DenialOut | None = Field(
        description="Denial by the risk checks at current prices; null: it passes"
    )
    override_of: str | None = Field(
        examples=["O17636544000000000a1b2c3d4"], description="Override: ID of the denied order"
    )
    waived: str | None = Field(
        examples=["MAX_ORDER_VALUE"], description="Override: code of the exceeded limit"
    )
    reason: str | None = Field(examples=["Client block"], description="Override: why it was requested")


def serialize_approval(approval: ApprovalView, denial: dict[str, Any] | None) -> dict[str, Any]:
    """Return the order that waits as `ApprovalOut` describes it."""
    request = approval.request
    return {
        "order": serialize_order(approval.view),
        "rule": request.rule,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at,
        "expires_at": request.expires_at,
        "approvers": orjson.loads(request.approvers),
        "price_seen": None
        if request.price_seen is None
        else shorten_amount(format_fixed(request.price_seen)),
        "price": None if approval.price is None else shorten_amount(format_fixed(approval.price)),
        "max_move_percent": shorten_quantity(format_fixed(request.max_move_percent)),
        "then": orjson.loads(request.estimate),
        "now": orjson.loads(approval.estimate),
        "denial": denial,
        "override_of": request.override_of,
        "waived": request.waived,
        "reason": request.reason,
    }
