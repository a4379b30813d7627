"""What is shown of orders, and what is asked to change in them."""

from decimal import Decimal
from typing import NamedTuple

from app.orders.rules.values import Order
from app.risk.rules.evaluation import Headroom
from app.risk.rules.values import Denial


class Changes(NamedTuple):
    """What a replacement asks for; None leaves it as it is."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: str | None = None
    expires_at: str | None = None
    client_order_id: str | None = None
    reason: str | None = None


class OrderView(NamedTuple):
    """An order as it stands, with its portfolio's name and, for an entry, its legs."""

    order: Order
    portfolio_name: str
    legs: tuple[Order, ...] = ()


class OrderPreview(NamedTuple):
    """What a ticket would do: amounts as decimals, None where there is no price."""

    order: Order
    portfolio_name: str
    price: Decimal | None
    value: Decimal | None
    cash_after: Decimal | None
    position_after: Decimal
    denial: Denial | None
    checks: tuple[Headroom, ...]
