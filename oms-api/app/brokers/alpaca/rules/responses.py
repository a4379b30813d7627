"""Alpaca's JSON as records. Amounts are parsed from their text, never through a float."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.brokers.alpaca.rules.requests import OrderClass
from app.brokers.rules.order_reports import (
    MAX_NAME_LENGTH,
    FillReport,
    MalformedResponse,
    OrderReport,
    OrderUpdate,
    clean_reason,
    parse_amount,
    parse_name,
    parse_optional_amount,
    parse_order_number,
    parse_positive_amount,
    parse_quantity,
    parse_time,
)
from app.brokers.rules.values import Account, BrokerPosition, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.money import ZERO

Json = Mapping[str, Any]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{32}")
PAPER_ACCOUNT_PREFIX = "PA"
_CRYPTO_QUOTES = ("USDT", "USDC", "USD", "BTC")


def parse_order(json: Json) -> OrderReport:
    """Parse an order. Raises MalformedResponse."""
    try:
        return OrderReport(
            broker_id=parse_order_number(json["id"]),
            order_id=_parse_order_name(json),
            symbol=parse_name(json["symbol"]),
            side=Side(json["side"].upper()),
            type=OrderType(json["type"].upper()),
            time_in_force=TimeInForce(json["time_in_force"].upper()),
            quantity=parse_quantity(json.get("qty") or ZERO),
            filled=parse_quantity(json["filled_qty"]),
            status=str(json["status"]),
            submitted_at=parse_time(json.get("submitted_at") or json["created_at"]),
            changed_at=parse_time(json.get("updated_at") or json["created_at"]),
            limit_price=parse_optional_amount(json.get("limit_price")),
            stop_price=parse_optional_amount(json.get("stop_price")),
            trail_amount=parse_optional_amount(json.get("trail_price")),
            trail_percent=parse_optional_amount(json.get("trail_percent")),
            replaces=_parse_optional_number(json.get("replaces")),
            replaced_by=_parse_optional_number(json.get("replaced_by")),
            order_class=_parse_class(json.get("order_class")),
            legs=tuple(parse_order({**leg, "legs": None}) for leg in json.get("legs") or ()),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise MalformedResponse(f"an order: {type(error).__name__}") from None


def _parse_order_name(json: Json) -> str:
    """Return our id of an order: Alpaca's id if another program chose an id that is too long."""
    name = str(json["client_order_id"])
    return parse_order_id(name if len(name) <= MAX_NAME_LENGTH else parse_name(json["id"]))


def _parse_optional_name(value: Any) -> str | None:
    return None if value is None else parse_name(value)


def _parse_optional_number(value: Any) -> str | None:
    return None if value is None else parse_order_number(value)


def _parse_class(name: str | None) -> str:
    """Return the kind of linked orders, empty for any other order."""
    return name if name in set(OrderClass) else ""


def parse_order_id(client_order_id: str) -> str:
    """Return our id of an order. An id that Alpaca or another program chose, a UUID, loses its dashes."""
    is_uuid = _UUID.fullmatch(client_order_id) is not None
    return client_order_id.replace("-", "") if is_uuid else client_order_id


def format_client_order_id(order_id: str) -> str:
    """Return Alpaca's client order id of our id; see `parse_order_id`."""
    return str(UUID(order_id)) if _HEX.fullmatch(order_id) is not None else order_id


def parse_activity(json: Json) -> FillReport:
    """Parse a fill of the activities.

    The second part of its id is the execution id of the stream as far as known. Nothing relies on that: see
    `fill_reconciliation`.
    """
    try:
        return FillReport(
            parse_name(json["id"]).rpartition("::")[2],
            parse_order_number(json["order_id"]),
            parse_positive_amount(json["qty"]),
            parse_positive_amount(json["price"]),
            parse_time(json["transaction_time"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"an activity: {type(error).__name__}") from None


def parse_update(json: Json) -> OrderUpdate:
    """Parse an event of the stream. Raises MalformedResponse."""
    try:
        order = parse_order(json["order"])
        at = parse_time(json.get("timestamp") or json["order"]["updated_at"])
        fill = None
        if json.get("price") is not None and json.get("qty") is not None:
            quantity, price = parse_positive_amount(json["qty"]), parse_positive_amount(json["price"])
            fill = FillReport(parse_name(json["execution_id"]), order.broker_id, quantity, price, at)
        previous = _parse_optional_name(json.get("previous_execution_id"))
        reason = clean_reason(json.get("reason"))
        return OrderUpdate(str(json["event"]), order, fill, previous, reason, at)
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"an update: {type(error).__name__}") from None


def parse_position(json: Json, portfolio_id: int) -> BrokerPosition:
    """Parse a position. Raises MalformedResponse."""
    try:
        symbol = parse_name(json["symbol"])
        if json.get("asset_class") == "crypto":
            symbol = _parse_pair(symbol)
        quantity, cost = parse_amount(json["qty"]), parse_amount(json["cost_basis"])
        sign = -1 if json.get("side") == "short" else 1
        return BrokerPosition(portfolio_id, symbol, sign * abs(quantity), sign * abs(cost))
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"a position: {type(error).__name__}") from None


def parse_account(json: Json) -> Account:
    """Parse the account. Raises MalformedResponse."""
    try:
        number = parse_name(json["account_number"])
        return Account(
            parse_name(json.get("currency") or "USD"),
            parse_amount(json["cash"]),
            parse_amount(json["buying_power"]),
            number=number,
            is_paper=number.startswith(PAPER_ACCOUNT_PREFIX),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"the account: {type(error).__name__}") from None


def _parse_pair(symbol: str) -> str:
    """Return BTCUSD as BTC/USD. Alpaca writes positions without the slash."""
    if "/" in symbol:
        return symbol
    currency = next((name for name in _CRYPTO_QUOTES if symbol.endswith(name)), "")
    return f"{symbol.removesuffix(currency)}/{currency}" if currency else symbol
