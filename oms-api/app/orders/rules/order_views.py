"""Views of orders: with child orders, for an approval, as a preview; and the changes of a replacement."""

from decimal import Decimal
from typing import NamedTuple

from app.orders.rules.approvals import ApprovalRequest
from app.orders.rules.values import Order
from app.risk.rules.evaluation import Headroom
from app.risk.rules.values import Denial
from app.timestamps import Timestamp


class OrderChanges(NamedTuple):
    """The changed fields of a replacement; None keeps the field."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: str | None = None
    expires_at: Timestamp | None = None
    client_order_id: str | None = None
    reason: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the order keeps all its terms. `client_order_id` and `reason` belong to the request."""
        return self._replace(client_order_id=None, reason=None) == OrderChanges()


class OrderView(NamedTuple):
    """An order with its portfolio's name and, for an entry, its child orders."""

    order: Order
    portfolio_name: str
    legs: tuple[Order, ...] = ()


class ApprovalView(NamedTuple):
    """An order that waits for approval.

    `price` is the current reference price, `estimate` the current estimate as JSON. `denial` is the denial if
    the order were approved now.
    """

    view: OrderView
    request: ApprovalRequest
    price: Decimal | None
    estimate: str
    denial: Denial | None


class OrderEstimate(NamedTuple):
    """The expected price and value in the instrument's currency, and the rest in the portfolio's.

    Amounts are None if the price or an exchange rate is unknown. Exposures and equity are those of the
    positions before the order.
    """

    price: Decimal | None
    value: Decimal | None
    charges: Decimal | None
    cash_after: Decimal | None
    position_after: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    equity: Decimal


class OrderPreview(NamedTuple):
    """The effect that a ticket would have.

    `opens_at` is the open of the session that the order would wait for, None if it would not wait.
    `needs_approval`: the order would wait for another person.
    """

    order: Order
    portfolio_name: str
    estimate: OrderEstimate
    denial: Denial | None
    checks: tuple[Headroom, ...]
    opens_at: Timestamp | None = None
    needs_approval: bool = False
