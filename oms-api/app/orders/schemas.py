"""Orders on the wire: what comes in (pydantic models) and what goes out (plain dicts, described by
models).
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.clock import iso
from app.instruments.schemas import Symbol
from app.ledger.schemas import Label, Note, PortfolioName
from app.money import fixed, money_text, quantity_text, ratio
from app.orders.rules.outcomes import Changes, Previewed, Shown
from app.orders.rules.tickets import order_type
from app.orders.rules.values import (
    GroupKind,
    Order,
    OrderType,
    Protection,
    Status,
    Target,
    Ticket,
    TimeInForce,
)
from app.wire.fields import PositiveAmount
from app.wire.lists import parse_instant

ID_LENGTH = 100
_TYPES = [*OrderType, "SL", "SL-M"]


def _type(value: Any) -> OrderType:  # whatever JSON held
    try:
        return order_type(value)
    except (ValueError, TypeError):
        message = f"Must be one of {', '.join(_TYPES)}."
        raise PydanticCustomError("order_type", "{message}", {"message": message}) from None


def _moment(value: Any) -> datetime:  # whatever JSON held
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "Must be an instant with its offset, as a string.")
    return parse_instant(value)


def _printable(value: str) -> str:
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise PydanticCustomError("client_order_id", "Must be printable ASCII, without blanks at its ends.")
    return value


def _empty_is_none(value: str | None) -> str | None:
    return value or None


WrittenType = Annotated[
    OrderType,
    BeforeValidator(_type),
    WithJsonSchema({"type": "string", "enum": [str(one) for one in _TYPES]}),
]
Moment = Annotated[datetime, BeforeValidator(_moment)]
ClientOrderId = Annotated[str, Field(min_length=1, max_length=ID_LENGTH), AfterValidator(_printable)]
Optional = Annotated[Label | None, AfterValidator(_empty_is_none)]
Why = Annotated[Note | None, AfterValidator(_empty_is_none)]


class TakeProfitIn(BaseModel):
    """Where a bracket takes its profit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_price: PositiveAmount


class StopLossIn(BaseModel):
    """Where a bracket cuts its loss; with `limit_price` as a stop-limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stop_price: PositiveAmount
    limit_price: PositiveAmount | None = None


class TicketIn(BaseModel):
    """An order that somebody wants. Prices are per unit; only what a type needs is given.

    SL is read as STOP_LIMIT, SL-M as STOP. `notional` sizes an order by value instead of `quantity`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    portfolio_name: PortfolioName
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: PositiveAmount | None = None
    type: WrittenType
    limit_price: PositiveAmount | None = None
    stop_price: PositiveAmount | None = None
    trail_amount: PositiveAmount | None = None
    trail_percent: PositiveAmount | None = Field(None, description="5 is 5%")
    notional: PositiveAmount | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    expires_at: Moment | None = Field(None, description="When a GTD order ends")
    client_order_id: ClientOrderId | None = Field(None, description="Names one order of the tenant")
    product: Literal["CNC", "MIS", "NRML"] | None = None
    extended_hours: bool = Field(False, strict=True)
    take_profit: TakeProfitIn | None = None
    stop_loss: StopLossIn | None = None
    reason: Why = None
    strategy: Optional = None
    user_id: Optional = None

    def ticket(self) -> Ticket:
        """Return what the desk takes."""
        return Ticket(
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            notional=self.notional,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            time_in_force=self.time_in_force,
            expires_at=None if self.expires_at is None else iso(self.expires_at),
            client_order_id=self.client_order_id,
            product=self.product or "",
            extended_hours=self.extended_hours,
            reason=self.reason,
            strategy=self.strategy,
            user_id=self.user_id,
            take_profit=Target(self.take_profit.limit_price) if self.take_profit else None,
            stop_loss=_protection(self.stop_loss) if self.stop_loss else None,
        )


def _protection(leg: StopLossIn) -> Protection:
    return Protection(leg.stop_price, leg.limit_price)


class GroupIn(BaseModel):
    """Two tickets of one portfolio. OCO: a fill of one cuts the other. OTO: the first one's completion sends
    the second.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["OCO", "OTO"]
    orders: list[TicketIn] = Field(min_length=2, max_length=2)


class ChangesIn(BaseModel):
    """What a replacement changes; what is left out stays. The quantity is the total, what was filled
    included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    quantity: PositiveAmount | None = None
    limit_price: PositiveAmount | None = None
    stop_price: PositiveAmount | None = None
    trail_amount: PositiveAmount | None = None
    trail_percent: PositiveAmount | None = None
    time_in_force: TimeInForce | None = None
    expires_at: Moment | None = None
    client_order_id: ClientOrderId | None = None
    reason: Why = None

    def changes(self) -> Changes:
        """Return what the desk takes."""
        facts = {name: getattr(self, name) for name in Changes._fields}
        facts["expires_at"] = None if self.expires_at is None else iso(self.expires_at)
        return Changes(**facts)


class CancelIn(BaseModel):
    """Why an order is cancelled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Why = None


class CancelAllIn(BaseModel):
    """Which orders are cancelled; what is left out matches all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portfolio_name: PortfolioName | None = None
    symbol: Symbol | None = None
    side: Literal["BUY", "SELL"] | None = None
    strategy: Optional = None
    reason: Why = None


class CloseIn(BaseModel):
    """Which position is closed, and how much of it; all of it where `quantity` is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portfolio_name: PortfolioName
    symbol: Symbol
    product: Literal["CNC", "MIS", "NRML"] | None = None
    quantity: PositiveAmount | None = None
    reason: Why = None


class DenialOut(BaseModel):
    """Why risk said no, and the largest quantity that would pass."""

    code: str = Field(examples=["MAX_ORDER_QUANTITY"])
    message: str
    limit: str | None
    asked: str | None
    largest_passing: str


class OrderOut(BaseModel):
    """An order as it stands. `legs` are whole orders: the exits of a bracket, the second of an OTO."""

    id: str = Field(examples=["O17636544000000000a1b2c3d4"])
    status: Status
    portfolio_name: str = Field(examples=["Growth"])
    symbol: str = Field(examples=["AAPL"])
    side: Literal["BUY", "SELL"]
    quantity: str = Field(examples=["10"], description="The total; of a replaced order's successor too")
    type: OrderType
    limit_price: str | None = Field(examples=["170.00"])
    stop_price: str | None
    trail_amount: str | None
    trail_percent: str | None
    trail_level: str | None = Field(description="The stop that a trail has come to")
    notional: str | None
    time_in_force: TimeInForce
    expires_at: str | None
    client_order_id: str
    product: str | None
    extended_hours: bool
    reason: str | None
    strategy: str | None
    user_id: str | None
    source: str = Field(description="Name of the key that placed it")
    actor: str | None = Field(description="The person behind it")
    filled_quantity: str
    leaves_quantity: str = Field(description="What may still fill: quantity - filled while it is open")
    average_price: str | None = Field(description="Of all that filled; null before the first fill")
    created_at: str
    updated_at: str
    replaces: str | None
    replaced_by: str | None
    parent_id: str | None
    group_id: str | None
    group_kind: GroupKind | None
    role: str | None
    legs: list["OrderOut"]
    denial: DenialOut | None


class OrderEventOut(BaseModel):
    """A move of an order: from, to, when, who, why, the broker's words, the execution."""

    sequence: int
    from_status: Status | None
    to_status: Status
    at: str
    actor: str
    reason: str | None
    broker_words: str | None
    execution_id: str | None


class OrderFillOut(BaseModel):
    """An execution, with its row of the ledger."""

    execution_id: str
    trade_id: str
    quantity: str
    price: str
    value: str
    note: str | None = Field(description="`late`, `over` or `stray` where it should not have come")
    executed_at: str


class OrderDetailOut(OrderOut):
    """An order with its history and its fills."""

    events: list[OrderEventOut]
    fills: list[OrderFillOut]


class OrdersOut(BaseModel):
    """Orders that one request made or ended."""

    orders: list[OrderOut]


class CheckOut(BaseModel):
    """How one check stands to a ticket: the largest quantity that it alone would let pass, null: any."""

    check: str
    passes: bool
    largest_passing: str | None
    code: str | None
    limit: str | None
    message: str | None


class PreviewOut(BaseModel):
    """What a ticket would do; amounts are null where there is no price."""

    portfolio_name: str
    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: str
    expected_price: str | None
    expected_value: str | None
    cash_after: str | None
    position_after: str
    would_pass: bool
    denial: DenialOut | None
    checks: list[CheckOut]


def order_out(shown: Shown) -> dict[str, Any]:
    """Return the order as `OrderOut` describes it."""
    legs = [_order(leg, shown.portfolio_name, []) for leg in shown.legs]
    return _order(shown.order, shown.portfolio_name, legs)


def _order(order: Order, portfolio_name: str, legs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "portfolio_name": portfolio_name,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": _quantity(order.quantity),
        "type": order.type,
        "limit_price": _money(order.limit_price),
        "stop_price": _money(order.stop_price),
        "trail_amount": _money(order.trail_amount),
        "trail_percent": None if order.trail_percent is None else _quantity(order.trail_percent),
        "trail_level": _money(order.trail_level),
        "notional": _money(order.notional),
        "time_in_force": order.time_in_force,
        "expires_at": order.expires_at,
        "client_order_id": order.client_order_id,
        "product": order.product or None,
        "extended_hours": order.extended_hours,
        "reason": order.reason,
        "strategy": order.strategy,
        "user_id": order.user_id,
        "source": order.source,
        "actor": order.actor,
        "filled_quantity": _quantity(order.filled_quantity),
        "leaves_quantity": _quantity(order.leaves_quantity),
        "average_price": _average(order),
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


def preview_out(previewed: Previewed, denial: dict[str, Any] | None) -> dict[str, Any]:
    """Return a preview as `PreviewOut` describes it."""
    order = previewed.order
    return {
        "portfolio_name": previewed.portfolio_name,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": _quantity(order.quantity),
        "expected_price": _money(previewed.price),
        "expected_value": _money(previewed.value),
        "cash_after": _money(previewed.cash_after),
        "position_after": _quantity(previewed.position_after),
        "would_pass": denial is None,
        "denial": denial,
        "checks": [_check(check) for check in previewed.checks],
    }


def _check(check: Any) -> dict[str, Any]:
    told = check._asdict()
    return {name: _quantity(value) if isinstance(value, Decimal) else value for name, value in told.items()}


def _average(order: Order) -> str | None:
    if not order.filled_quantity:
        return None
    return money_text(fixed(ratio(order.filled_value, order.filled_quantity)))


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else money_text(fixed(amount))


def _quantity(amount: Decimal) -> str:
    return quantity_text(fixed(amount))
