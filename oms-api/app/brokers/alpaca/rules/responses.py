"""Alpaca's JSON as records. Amounts are parsed from their text, never through a float."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.brokers.rules.values import Account, BrokerOrder, Holding, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.money import ZERO

Json = Mapping[str, Any]
PAPER_ACCOUNT_PREFIX = "PA"
_OPEN = frozenset(
    {
        "new", "partially_filled", "accepted", "pending_new", "accepted_for_bidding", "held", "stopped",
        "done_for_day", "pending_cancel", "pending_replace", "pending_review", "suspended", "calculated",
    }
)  # fmt: skip
_CRYPTO_QUOTES = ("USDT", "USDC", "USD", "BTC")


class MalformedResponse(Exception):
    """Alpaca sent something else than its documentation promises."""


class OrderReport(NamedTuple):
    """The state of an order at Alpaca. `broker_id` is Alpaca's id, `order_id` ours."""

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

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status in _OPEN

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
    """A fill."""

    execution_id: str
    broker_id: str
    quantity: Decimal
    price: Decimal
    at: datetime


class Update(NamedTuple):
    """An event of the stream. `fill` is set for fills, busts and corrections."""

    event: str
    order: OrderReport
    fill: FillReport | None
    previous_execution_id: str | None
    reason: str | None
    at: datetime


def parse_order(json: Json) -> OrderReport:
    """Parse an order. Raise MalformedResponse."""
    try:
        return OrderReport(
            broker_id=str(json["id"]),
            order_id=str(json["client_order_id"]),
            symbol=str(json["symbol"]),
            side=Side(json["side"].upper()),
            kind=OrderType(json["type"].upper()),
            time_in_force=TimeInForce(json["time_in_force"].upper()),
            quantity=_parse_optional(json.get("qty")) or ZERO,
            filled=parse_amount(json["filled_qty"]),
            status=str(json["status"]),
            submitted_at=parse_time(json.get("submitted_at") or json["created_at"]),
            changed_at=parse_time(json.get("updated_at") or json["created_at"]),
            limit_price=_parse_optional(json.get("limit_price")),
            stop_price=_parse_optional(json.get("stop_price")),
            trail_amount=_parse_optional(json.get("trail_price")),
            trail_percent=_parse_optional(json.get("trail_percent")),
            replaces=json.get("replaces"),
            replaced_by=json.get("replaced_by"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise MalformedResponse(f"an order: {type(error).__name__}") from None


def parse_activity(json: Json) -> FillReport:
    """Parse a fill of the activities.

    The second part of its id is the execution id of the stream as far as known. Nothing relies on that: see
    `fill_matching`.
    """
    try:
        return FillReport(
            str(json["id"]).rpartition("::")[2],
            str(json["order_id"]),
            parse_amount(json["qty"]),
            parse_amount(json["price"]),
            parse_time(json["transaction_time"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"an activity: {type(error).__name__}") from None


def parse_update(json: Json) -> Update:
    """Parse an event of the stream. Raise MalformedResponse."""
    try:
        order = parse_order(json["order"])
        at = parse_time(json.get("timestamp") or json["order"]["updated_at"])
        fill = None
        if json.get("price") is not None and json.get("qty") is not None:
            quantity, price = parse_amount(json["qty"]), parse_amount(json["price"])
            fill = FillReport(str(json["execution_id"]), order.broker_id, quantity, price, at)
        previous, reason = json.get("previous_execution_id"), json.get("reason")
        return Update(str(json["event"]), order, fill, previous, reason, at)
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"an update: {type(error).__name__}") from None


def parse_position(json: Json, portfolio_id: int) -> Holding:
    """Parse a position. Raise MalformedResponse."""
    try:
        symbol = str(json["symbol"])
        if json.get("asset_class") == "crypto":
            symbol = _parse_pair(symbol)
        quantity, cost = parse_amount(json["qty"]), parse_amount(json["cost_basis"])
        sign = -1 if json.get("side") == "short" else 1
        return Holding(portfolio_id, symbol, sign * abs(quantity), sign * abs(cost))
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"a position: {type(error).__name__}") from None


def parse_account(json: Json) -> Account:
    """Parse the account. Raise MalformedResponse."""
    try:
        number = str(json["account_number"])
        return Account(
            str(json.get("currency") or "USD"),
            parse_amount(json["cash"]),
            parse_amount(json["buying_power"]),
            number=number,
            is_paper=number.startswith(PAPER_ACCOUNT_PREFIX),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"the account: {type(error).__name__}") from None


def parse_amount(given: Any) -> Decimal:
    """Parse an amount from its text, or from an exact number of the JSON. Raise ValueError."""
    if not isinstance(given, str | int | Decimal) or isinstance(given, bool):
        raise ValueError("not an amount")  # noqa: TRY004  # the callers expect one error
    try:
        amount = Decimal(given)
    except InvalidOperation:
        raise ValueError("not an amount") from None
    if not amount.is_finite():
        raise ValueError("not an amount")
    return amount


def parse_time(text: str) -> datetime:
    """Parse a timestamp. Digits after the microseconds are dropped. Raise ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _parse_optional(given: Any) -> Decimal | None:
    return None if given is None else parse_amount(given)


def _parse_pair(symbol: str) -> str:
    """Return BTCUSD as BTC/USD. Alpaca writes positions without the slash."""
    if "/" in symbol:
        return symbol
    currency = next((name for name in _CRYPTO_QUOTES if symbol.endswith(name)), "")
    return f"{symbol.removesuffix(currency)}/{currency}" if currency else symbol
