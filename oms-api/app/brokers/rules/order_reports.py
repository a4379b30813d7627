"""Orders and fills as brokers report them, in the same words for every broker."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.money import ZERO

_OPEN = frozenset(
    {
        "new", "partially_filled", "accepted", "pending_new", "accepted_for_bidding", "held", "stopped",
        "done_for_day", "pending_cancel", "pending_replace", "pending_review", "suspended", "calculated",
    }
)  # fmt: skip


class MalformedResponse(Exception):
    """Raised when a broker sent something else than its documentation promises."""


class OrderReport(NamedTuple):
    """The state of an order at a broker. `broker_id` is the broker's id, `order_id` ours.

    `status` is one of Alpaca's words, into which other adapters translate theirs: an open one, or `filled`,
    `canceled`, `expired`, `rejected` or `replaced`. `reason` is the broker's text for an end. `order_class`
    is the kind of linked orders that it belongs to, `legs` are those that were reported with it.
    """

    broker_id: str
    order_id: str
    symbol: str
    side: Side
    kind: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    filled: Decimal
    status: str
    submitted_at: datetime
    changed_at: datetime
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    replaces: str | None
    replaced_by: str | None
    reason: str | None = None
    order_class: str = ""
    legs: tuple["OrderReport", ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status in _OPEN

    @property
    def is_waiting(self) -> bool:
        """Whether the broker holds the order until its entry has filled."""
        return self.status == "held"

    def build_order(self, portfolio_id: int) -> BrokerOrder:
        """Return the order in our words."""
        is_trail = self.kind is OrderType.TRAILING_STOP
        return BrokerOrder(
            self.order_id,
            portfolio_id,
            self.symbol,
            self.side,
            self.kind,
            self.quantity,
            max(self.quantity - self.filled, ZERO),
            self.submitted_at,
            limit_price=self.limit_price,
            stop_price=None if is_trail else self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            trail_level=self.stop_price if is_trail else None,
            time_in_force=self.time_in_force,
        )


class FillReport(NamedTuple):
    """A fill of the order `broker_id`."""

    execution_id: str
    broker_id: str
    quantity: Decimal
    price: Decimal
    at: datetime


class Update(NamedTuple):
    """An event of a stream. `fill` is set for fills, busts and corrections."""

    event: str
    order: OrderReport
    fill: FillReport | None
    previous_execution_id: str | None
    reason: str | None
    at: datetime


def parse_amount(value: Any) -> Decimal:
    """Parse an amount from its text, or from an exact number of the JSON. Raises ValueError."""
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ValueError("not an amount")  # noqa: TRY004  # the callers expect one error
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("not an amount") from None
    if not amount.is_finite():
        raise ValueError("not an amount")
    return amount


def parse_optional_amount(value: Any) -> Decimal | None:
    """Parse an amount that may be missing. Raises ValueError."""
    return None if value is None else parse_amount(value)


def parse_time(text: str) -> datetime:
    """Parse a timestamp. Digits after the microseconds are dropped. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
