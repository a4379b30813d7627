"""Orders and fills as brokers report them, in the same words for every broker."""

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.money import ZERO

_END_STATUSES = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
MAX_NAME_LENGTH, MAX_REASON_LENGTH = 100, 500
_ORDER_NUMBER = re.compile(r"[0-9A-Za-z_-]{1,100}")
_MAX_DIGITS = 16  # before the point, as in the database
_MAX_DECIMALS = 64


class MalformedResponse(Exception):
    """Raised when a broker sent something else than its documentation promises."""


class OrderReport(NamedTuple):
    """The state of an order at a broker. `broker_id` is the broker's id, `order_id` ours.

    `status` is one of Alpaca's words, into which other adapters translate theirs: `filled`, `canceled`,
    `expired`, `rejected` or `replaced`. Any other one, also an unknown one, is open. `reason` is the broker's
    text for an end. `order_class` is the kind of linked orders that it belongs to, `legs` are the orders that
    were reported with it.
    """

    broker_id: str
    order_id: str
    symbol: str
    side: Side
    type: OrderType
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
        return self.status not in _END_STATUSES

    @property
    def is_waiting_for_entry(self) -> bool:
        """Whether the broker holds the order until its entry has filled."""
        return self.status == "held"

    @property
    def has_ended_while_held(self) -> bool:
        """Whether a linked order ended that may never have worked."""
        return bool(self.order_class) and not self.is_open and not self.filled

    def build_order(self, portfolio_id: int) -> BrokerOrder:
        """Return the order in our words."""
        is_trail = self.type is OrderType.TRAILING_STOP
        return BrokerOrder(
            id=self.order_id,
            portfolio_id=portfolio_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            leaves=max(self.quantity - self.filled, ZERO),
            accepted_at=self.submitted_at,
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


class OrderUpdate(NamedTuple):
    """An event of a stream. `fill` is set for fills, busts and corrections."""

    event: str
    order: OrderReport
    fill: FillReport | None
    previous_execution_id: str | None
    reason: str | None
    at: datetime


def parse_amount(value: Any) -> Decimal:
    """Parse an amount from its text, or from an exact number of the JSON. Raises ValueError.

    An amount that the database cannot store is refused here, before anything is computed with it.
    """
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ValueError("not an amount")  # noqa: TRY004  # the callers expect one error
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("not an amount") from None
    if not amount.is_finite() or amount.adjusted() >= _MAX_DIGITS:
        raise ValueError("not an amount")
    if amount.adjusted() < -_MAX_DECIMALS or len(amount.as_tuple().digits) > _MAX_DIGITS + _MAX_DECIMALS:
        raise ValueError("not an amount")
    return amount


def parse_positive_amount(value: Any) -> Decimal:
    """Parse the quantity or the price of a fill. Raises ValueError."""
    amount = parse_amount(value)
    if amount <= ZERO:
        raise ValueError("not above zero")
    return amount


def parse_quantity(value: Any) -> Decimal:
    """Parse the quantity of an order, or its filled quantity. Raises ValueError."""
    amount = parse_amount(value)
    if amount < ZERO:
        raise ValueError("below zero")
    return amount


def parse_optional_amount(value: Any) -> Decimal | None:
    """Parse an amount that may be missing. Raises ValueError."""
    return None if value is None else parse_amount(value)


def parse_time(text: str) -> datetime:
    """Parse a timestamp. Digits after the microseconds are dropped. Raises ValueError."""
    return convert_to_utc(datetime.fromisoformat(text), UTC)


def convert_to_utc(at: datetime, zone: tzinfo) -> datetime:
    """Return a time in UTC. A time without a time zone is in `zone`. Raises ValueError."""
    try:
        return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time") from None


def parse_name(value: Any) -> str:
    """Parse an id or a symbol: printable and short, so that it can be stored. Raises ValueError."""
    name = str(value)
    if not (name.isprintable() and 0 < len(name) <= MAX_NAME_LENGTH):
        raise ValueError("not a name")
    return name


def parse_order_number(value: Any) -> str:
    """Parse a broker's id of an order, which becomes a part of addresses. Raises ValueError."""
    number = str(value)
    if _ORDER_NUMBER.fullmatch(number) is None:
        raise ValueError("not the id of an order")
    return number


def clean_reason(value: Any) -> str | None:
    """Return a broker's text without characters that cannot be stored, or None if there is no text."""
    if value is None:
        return None
    text = str(value)[:MAX_REASON_LENGTH]
    return "".join(character if character.isprintable() else " " for character in text).strip() or None


def require_list(value: Any, description: str) -> list[Any]:
    """Return the list of a response, which is empty for an empty response. Raises MalformedResponse."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedResponse(f"{description}: {type(value).__name__}")
    return value
