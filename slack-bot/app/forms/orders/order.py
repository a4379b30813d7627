"""Orders, previews and approvals as the OMS describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.forms.numbers import format_plain
from app.forms.orders.ticket import OrderDraft, OrderType, TimeInForce

FINAL_STATUSES = frozenset({"FILLED", "CANCELED", "EXPIRED", "REPLACED", "DENIED", "REJECTED"})
PENDING_STATUSES = frozenset({"PENDING_CANCEL", "PENDING_REPLACE"})
AWAITING_APPROVAL = "AWAITING_APPROVAL"


class OrderEvent(NamedTuple):
    """A change of the status of an order. `actor` is a person (`slack:T1:U1`), a key or the broker."""

    sequence: int
    previous: str
    current: str
    actor: str
    reason: str
    execution_id: str


class Fill(NamedTuple):
    """One execution of an order."""

    execution_id: str
    quantity: Decimal
    price: Decimal


class Denial(NamedTuple):
    """The denial of an order by a risk check, with the nearest quantity or price that passes."""

    code: str
    message: str
    limit: str
    asked: str
    largest_passing: Decimal | None = None
    nearest_price: Decimal | None = None


@dataclass(frozen=True)
class Order:
    """The current state of an order. `legs` are its exits."""

    id: str
    status: str
    portfolio: str
    symbol: str
    side: str
    quantity: Decimal
    type: str
    time_in_force: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    notional: Decimal | None = None
    expires_at: str = ""
    client_order_id: str = ""
    reason: str = ""
    actor: str = ""
    source: str = ""
    filled_quantity: Decimal = Decimal(0)
    leaves_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    created_at: str = ""
    replaces: str = ""
    replaced_by: str = ""
    parent_id: str = ""
    role: str = ""
    legs: tuple["Order", ...] = ()
    denial: Denial | None = None
    events: tuple[OrderEvent, ...] = ()
    fills: tuple[Fill, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether the order itself cannot change any more."""
        return self.status in FINAL_STATUSES

    @property
    def is_open(self) -> bool:
        """Whether the order or one of its exits can still change."""
        return not self.is_final or any(not leg.is_final for leg in self.legs)

    @property
    def order_type(self) -> OrderType:
        """The type of the order."""
        return OrderType(self.type)


class Check(NamedTuple):
    """The result of one risk check and the largest quantity that it passes, None for any quantity."""

    name: str
    passes: bool
    largest_passing: Decimal | None
    code: str
    limit: str


class Preview(NamedTuple):
    """The effect that a ticket would have. Amounts are None without a price."""

    symbol: str
    quantity: Decimal
    price: Decimal | None
    value: Decimal | None
    charges: Decimal | None
    cash_after: Decimal | None
    position_after: Decimal
    opens_at: str
    needs_approval: bool
    denial: Denial | None
    checks: tuple[Check, ...]


class PortfolioCash(NamedTuple):
    """The cash of a portfolio in its currency. `buying_power` is None in lists of portfolios."""

    name: str
    cash: Decimal
    currency: str
    buying_power: Decimal | None = None


@dataclass(frozen=True)
class Approval:
    """An order that waits for approval, with estimates at its placing (`then`) and now."""

    order: Order
    rule: str
    requested_by: str
    expires_at: str
    price_seen: Decimal | None
    price: Decimal | None
    then: Mapping[str, str]
    now: Mapping[str, str]
    denial: Denial | None
    override_reason: str = ""
    waived: str = ""
    approvers: tuple[str, ...] = field(default=())


def build_order_draft(order: Order) -> OrderDraft:
    """Return the entries of the form for an order like this one. GTD orders keep their end."""
    is_dated = order.time_in_force == TimeInForce.GTD and order.expires_at
    by_role = {leg.role: leg for leg in order.legs}
    stop_loss = by_role.get("stop_loss")
    take_profit = by_role.get("take_profit")
    trail = ""
    if order.trail_percent is not None:
        trail = f"{format_plain(order.trail_percent)}%"
    elif order.trail_amount is not None:
        trail = format_plain(order.trail_amount)
    return OrderDraft(
        type=order.type,
        symbol=order.symbol,
        side=order.side,
        quantity=format_plain(order.quantity),
        limit_price=_format_amount(order.limit_price),
        stop_price=_format_amount(order.stop_price),
        trail=trail,
        time_in_force=order.time_in_force,
        expires_at=str(int(datetime.fromisoformat(order.expires_at).timestamp())) if is_dated else "",
        stop_loss=_format_amount(stop_loss.stop_price if stop_loss else None),
        take_profit=_format_amount(take_profit.limit_price if take_profit else None),
        portfolio=order.portfolio,
    )


def _format_amount(amount: Decimal | None) -> str:
    return "" if amount is None else format_plain(amount)
