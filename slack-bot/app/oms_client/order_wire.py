"""Serialize order requests, and parse orders, previews and approvals of the OMS."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from app.errors import OmsRejected, UnreadableResponse
from app.forms.numbers import format_plain
from app.forms.orders.order import Approval, Check, Denial, Fill, Order, OrderEvent, PortfolioCash, Preview
from app.forms.orders.ticket import OrderTicket
from app.oms_client.wire import Json, parse_exact_amount

T = TypeVar("T")
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


def serialize_order_ticket(
    ticket: OrderTicket, *, client_order_id: str = "", is_repeat_confirmed: bool = False
) -> Json:
    """Return the body of `POST /orders`. The OMS takes the person from the header, not from the body."""
    optional = {
        "quantity": _format_optional_amount(ticket.quantity),
        "notional": _format_optional_amount(ticket.value),
        "take_profit": {"limit_price": _format_optional_amount(ticket.take_profit)}
        if ticket.take_profit
        else None,
        "stop_loss": {"stop_price": _format_optional_amount(ticket.stop_loss)} if ticket.stop_loss else None,
        "client_order_id": client_order_id or None,
        "reason": ticket.reason or None,
        "confirm_repeat": is_repeat_confirmed or None,
    }
    body = {
        "portfolio_name": ticket.portfolio,
        "symbol": ticket.symbol,
        "side": ticket.side.value,
        "type": ticket.type.value,
        **_serialize_terms(ticket),
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def serialize_changes(ticket: OrderTicket, previous: Order, *, client_order_id: str) -> Json:
    """Return the body of `PATCH /orders/{id}`: the terms of the form that differ from those of the order.

    Raises `OmsRejected` if none does.
    """
    terms = _serialize_terms(ticket) | (
        {"quantity": format_plain(ticket.quantity)} if ticket.quantity else {}
    )
    old = {
        "quantity": _format_optional_amount(previous.quantity),
        "limit_price": _format_optional_amount(previous.limit_price),
        "stop_price": _format_optional_amount(previous.stop_price),
        "trail_amount": _format_optional_amount(previous.trail_amount),
        "trail_percent": _format_optional_amount(previous.trail_percent),
        "time_in_force": previous.time_in_force,
    }
    changed = {name: value for name, value in terms.items() if value != old.get(name)}
    if ticket.expires_at and previous.expires_at[:16] == changed.get("expires_at", "")[:16]:
        changed.pop("expires_at")
    if not changed:
        raise OmsRejected("Nothing was changed: every entry is as it was.")
    reason = {"reason": ticket.reason} if ticket.reason else {}
    return changed | reason | {"client_order_id": client_order_id}


def parse_order(values: Any) -> Order:
    """Parse an order with its exits. Raises `OmsError` if it is invalid."""
    return _parse_response(_read_order, values, "an order")


def parse_orders(rows: Any) -> list[Order]:
    """Parse a list of orders. Raises `OmsError` if it is invalid."""
    return _parse_response(lambda values: [_read_order(row) for row in values], rows, "orders")


def parse_preview(values: Any) -> Preview:
    """Parse a preview. Raises `OmsError` if it is invalid."""
    return _parse_response(_read_preview, values, "a preview")


def parse_approvals(rows: Any) -> list[Approval]:
    """Parse a list of orders that wait for approval. Raises `OmsError` if it is invalid."""
    return _parse_response(lambda values: [_parse_approval(row) for row in values], rows, "approvals")


def parse_portfolio_cash(values: Any) -> PortfolioCash:
    """Parse the cash of a portfolio. Raises `OmsError` if it is invalid."""
    return _parse_response(_read_portfolio_cash, values, "a portfolio")


def parse_portfolio_cashes(rows: Any) -> list[PortfolioCash]:
    """Parse the summaries of portfolios. Raises `OmsError` if they are invalid."""
    return _parse_response(lambda values: [_read_portfolio_cash(row) for row in values], rows, "portfolios")


def parse_denial(problem: Mapping[str, Any]) -> Denial | None:
    """Parse the denial of a problem document, None if it has none or it cannot be read."""
    try:
        return _read_denial(problem.get("denial"))
    except UNREADABLE:
        return None


def _serialize_terms(ticket: OrderTicket) -> Json:
    trail = ticket.trail
    values = {
        "limit_price": _format_optional_amount(ticket.limit_price),
        "stop_price": _format_optional_amount(ticket.stop_price),
        "trail_percent": _format_optional_amount(trail.distance) if trail and trail.is_percent else None,
        "trail_amount": _format_optional_amount(trail.distance) if trail and not trail.is_percent else None,
        "time_in_force": ticket.time_in_force.value,
        "expires_at": f"{ticket.expires_at:%Y-%m-%dT%H:%M:%SZ}" if ticket.expires_at else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _parse_response(parse: Callable[[Any], T], values: Any, what: str) -> T:
    try:
        return parse(values)
    except UNREADABLE:
        raise UnreadableResponse(f"The OMS returned {what} that cannot be read.") from None


def _read_order(values: Json) -> Order:
    optional = ("limit_price", "stop_price", "trail_amount", "trail_percent", "notional", "average_price")
    texts = (
        "expires_at",
        "client_order_id",
        "reason",
        "actor",
        "source",
        "created_at",
        "replaces",
        "replaced_by",
        "parent_id",
        "role",
    )
    return Order(
        id=str(values["id"]),
        status=str(values["status"]),
        portfolio=str(values["portfolio_name"]),
        symbol=str(values["symbol"]),
        side=str(values["side"]),
        quantity=parse_exact_amount(values["quantity"]),
        type=str(values["type"]),
        time_in_force=str(values["time_in_force"]),
        filled_quantity=parse_exact_amount(values["filled_quantity"]),
        leaves_quantity=parse_exact_amount(values["leaves_quantity"]),
        legs=tuple(_read_order(leg) for leg in values.get("legs") or ()),
        denial=_read_denial(values.get("denial")),
        events=tuple(map(_parse_event, values.get("events") or ())),
        fills=tuple(map(_parse_fill, values.get("fills") or ())),
        **{name: _parse_optional_amount(values.get(name)) for name in optional},  # type: ignore[arg-type]
        **{name: str(values.get(name) or "") for name in texts},  # type: ignore[arg-type]
    )


def _parse_event(values: Json) -> OrderEvent:
    return OrderEvent(
        sequence=int(values["sequence"]),
        previous=str(values["from_status"] or ""),
        current=str(values["to_status"]),
        actor=str(values["actor"]),
        reason=str(values["reason"] or values["broker_reason"] or ""),
        execution_id=str(values["execution_id"] or ""),
    )


def _parse_fill(values: Json) -> Fill:
    return Fill(
        str(values["execution_id"]),
        parse_exact_amount(values["quantity"]),
        parse_exact_amount(values["price"]),
    )


def _read_denial(values: Any) -> Denial | None:
    if not values:
        return None
    return Denial(
        code=str(values["code"]),
        message=str(values["message"]),
        limit=str(values.get("limit") or ""),
        asked=str(values.get("asked") or ""),
        largest_passing=_parse_optional_amount(values.get("largest_passing")),
        nearest_price=_parse_optional_amount(values.get("nearest_price")),
    )


def _read_preview(values: Json) -> Preview:
    return Preview(
        symbol=str(values["symbol"]),
        quantity=parse_exact_amount(values["quantity"]),
        price=_parse_optional_amount(values["expected_price"]),
        value=_parse_optional_amount(values["expected_value"]),
        charges=_parse_optional_amount(values["expected_charges"]),
        cash_after=_parse_optional_amount(values["cash_after"]),
        position_after=parse_exact_amount(values["position_after"]),
        opens_at=str(values.get("opens_at") or ""),
        needs_approval=values.get("needs_approval") is True,
        denial=_read_denial(values["denial"]),
        checks=tuple(map(_parse_check, values["checks"])),
    )


def _parse_check(values: Json) -> Check:
    return Check(
        name=str(values["check"]),
        passes=values["passes"] is True,
        largest_passing=_parse_optional_amount(values["largest_passing"]),
        code=str(values["code"] or ""),
        limit=str(values["limit"] or ""),
    )


def _parse_approval(values: Json) -> Approval:
    return Approval(
        order=_read_order(values["order"]),
        rule=str(values["rule"]),
        requested_by=str(values["requested_by"]),
        expires_at=str(values["expires_at"]),
        price_seen=_parse_optional_amount(values["price_seen"]),
        price=_parse_optional_amount(values["price"]),
        then={name: str(value) for name, value in values["then"].items() if value is not None},
        now={name: str(value) for name, value in values["now"].items() if value is not None},
        denial=_read_denial(values["denial"]),
        override_reason=str(values.get("reason") or ""),
        waived=str(values.get("waived") or ""),
        approvers=tuple(map(str, values["approvers"])),
    )


def _read_portfolio_cash(values: Json) -> PortfolioCash:
    return PortfolioCash(
        name=str(values["portfolio_name"]),
        cash=parse_exact_amount(values["cash"]),
        currency=str(values["base_currency"]),
        buying_power=_parse_optional_amount(values.get("buying_power")),
    )


def _parse_optional_amount(value: Any) -> Decimal | None:
    return None if value is None else parse_exact_amount(value)


def _format_optional_amount(value: Decimal | None) -> str | None:
    return None if value is None else format_plain(value)
