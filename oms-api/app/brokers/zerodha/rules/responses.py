"""Kite's JSON as records. Prices are JSON numbers, which are parsed from their text, never through a float.

Times are India's (UTC+05:30), without a time zone and without fractions of a second.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from app.brokers.rules.order_reports import (
    FillReport,
    MalformedResponse,
    OrderReport,
    clean_reason,
    convert_to_utc,
    parse_amount,
    parse_name,
    parse_order_number,
    parse_positive_amount,
    parse_quantity,
)
from app.brokers.rules.values import Account, BrokerPosition, TimeInForce
from app.brokers.zerodha.rules.requests import ORDER_TYPES
from app.ledger.rules.accounting import Side
from app.money import ZERO, multiply

Json = Mapping[str, Any]
ResolveId = Callable[[Json], str]  # returns our id of an order
INDIA = timezone(timedelta(hours=5, minutes=30))
PAPER_USER_TYPE = "paper"  # of stand-ins; Kite itself has no paper accounts
_TYPES_BY_NAME = {name: kind for kind, name in ORDER_TYPES.items()}
_ENDS = {"COMPLETE": "filled", "CANCELLED": "canceled", "REJECTED": "rejected"}
_WORKING = {"OPEN", "TRIGGER PENDING", "UPDATE", "MODIFIED"}
_CHANGES = {
    "MODIFY VALIDATION PENDING": "pending_replace",
    "MODIFY PENDING": "pending_replace",
    "CANCEL PENDING": "pending_cancel",
}
_ORDER, _TRADE, _POSITION, _ACCOUNT = "an order", "a trade", "a position", "the account"


def parse_order(json: Json, resolve_order_id: ResolveId) -> OrderReport:
    """Parse an order of the order book or of a frame. Raises MalformedResponse."""
    try:
        filled_quantity = parse_quantity(json.get("filled_quantity") or 0)
        submitted_at = parse_time(json["order_timestamp"])
        return OrderReport(
            broker_id=parse_order_number(json["order_id"]),
            order_id=parse_name(resolve_order_id(json)),
            symbol=parse_name(json["tradingsymbol"]),
            side=Side(json["transaction_type"]),
            type=_TYPES_BY_NAME[json["order_type"]],
            time_in_force=TimeInForce.IOC if json.get("validity") == "IOC" else TimeInForce.DAY,
            quantity=parse_quantity(json["quantity"]),
            filled=filled_quantity,
            status=_parse_status(str(json["status"]), filled_quantity),
            submitted_at=submitted_at,
            changed_at=_parse_optional_time(json.get("exchange_update_timestamp")) or submitted_at,
            limit_price=_parse_price(json.get("price")),
            stop_price=_parse_price(json.get("trigger_price")),
            trail_amount=None,
            trail_percent=None,
            replaces=None,
            replaced_by=None,
            reason=clean_reason(json.get("status_message")),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _build_error(_ORDER, error) from None


def parse_trade(json: Json) -> FillReport:
    """Parse a trade. The exchange's number counts per exchange and day, so the order's id precedes it."""
    try:
        broker_id = parse_order_number(json["order_id"])
        at = json.get("fill_timestamp") or json["exchange_timestamp"]
        return FillReport(
            parse_name(f"{broker_id}-{json['trade_id']}"),
            broker_id,
            parse_positive_amount(json["quantity"]),
            parse_positive_amount(json["average_price"]),
            parse_time(at),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _build_error(_TRADE, error) from None


def parse_positions(holdings: Iterable[Json], net: Iterable[Json], portfolio_id: int) -> list[BrokerPosition]:
    """Return the quantity and cost of each symbol: the position carried into the day, and the day's trades.

    Holdings are shares of earlier days, of which sales of the day are not subtracted. Net positions are
    the trades of the day and derivatives that were carried.
    """
    try:
        amounts: dict[str, tuple[Decimal, Decimal]] = {}
        for json in holdings:
            quantity = parse_amount(json["opening_quantity"])
            cost = multiply(quantity, parse_amount(json["average_price"]))
            _add(amounts, parse_name(json["tradingsymbol"]), quantity, cost)
        for json in net:
            quantity = parse_amount(json["quantity"])
            cost = multiply(quantity, parse_amount(json["average_price"]))
            _add(amounts, parse_name(json["tradingsymbol"]), quantity, cost)
    except (KeyError, ValueError, TypeError) as error:
        raise _build_error(_POSITION, error) from None
    return [
        BrokerPosition(portfolio_id, symbol, quantity, cost)
        for symbol, (quantity, cost) in sorted(amounts.items())
        if quantity
    ]


def parse_account(profile: Json, equity: Json) -> Account:
    """Parse the profile and the margins of the equity segment. Raises MalformedResponse."""
    try:
        return Account(
            "INR",
            parse_amount(equity["available"]["live_balance"]),
            parse_amount(equity["net"]),
            number=parse_name(profile["user_id"]),
            is_paper=profile["user_type"] == PAPER_USER_TYPE,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _build_error(_ACCOUNT, error) from None


def parse_time(text: str) -> datetime:
    """Parse a time of India. Raises ValueError."""
    return convert_to_utc(datetime.fromisoformat(text), INDIA)


def _parse_optional_time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _parse_price(value: Any) -> Decimal | None:
    """Return a price. Kite writes 0 for none."""
    return (parse_amount(value) or None) if value is not None else None


def _parse_status(status: str, filled_quantity: Decimal) -> str:
    """Return Kite's status in the words of `OrderReport`.

    Any other status means that the order is on its way.
    """
    if status in _ENDS:
        return _ENDS[status]
    if status in _WORKING:
        return "partially_filled" if filled_quantity > ZERO else "new"
    return _CHANGES.get(status, "pending_new")


def _add(amounts: dict[str, tuple[Decimal, Decimal]], symbol: str, quantity: Decimal, cost: Decimal) -> None:
    held_quantity, paid = amounts.get(symbol, (ZERO, ZERO))
    amounts[symbol] = (held_quantity + quantity, paid + cost)


def _build_error(description: str, error: Exception) -> MalformedResponse:
    return MalformedResponse(f"{description}: {type(error).__name__}")
