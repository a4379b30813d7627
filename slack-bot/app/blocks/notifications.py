"""Build the lines about events of the OMS, and the messages that list them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from app.blocks.amounts import format_rounded, format_signed
from app.blocks.messages import Message, build_notice, format_local_time
from app.blocks.order_reports import format_person
from app.blocks.text import escape, format_code, format_literal
from app.forms.numbers import format_grouped, format_money

MAX_LINES = 30  # of one message
MAX_CHARACTERS = 2_700


def build_notification(lines: Sequence[str]) -> Message:
    """Return one message: the line itself, or a list of several ones. It states how many are left out."""
    if len(lines) == 1:
        return build_notice(lines[0])
    items: list[str] = []
    for line in lines[:MAX_LINES]:
        if sum(map(len, items)) + len(line) > MAX_CHARACTERS:
            break
        items.append(f"• {line}")
    omitted_count = len(lines) - len(items)
    more = [f"and {omitted_count} more"] if omitted_count else []
    return build_notice("\n".join([f"*{len(lines)} updates*", *items, *more]))


def describe_order_event(event_type: str, payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn about an order that filled, expired or was rejected."""
    side = escape(_get_text(payload, "side"))
    symbol = escape(_get_text(payload, "symbol"))
    what = f"{side} {_format_units(payload, 'quantity')} {symbol}"
    portfolio = format_literal(_get_text(payload, "portfolio_name"))
    where = f"in {portfolio} · {format_code(_get_text(payload, 'order_id'))}"
    if event_type == "order.filled":
        return f"*Filled:* {what} at {_format_price(payload, 'average_price')} {where}"
    outcome = {"order.expired": "Expired", "order.rejected": "Rejected by the broker"}[event_type]
    reason = _get_text(payload, "reason") or _get_text(payload, "broker_reason")
    return f"*{outcome}:* {what} {where}{f': {format_literal(reason)}' if reason else ''}"


def describe_approval_event(event_type: str, payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn about an order that waits for approval, or about the decision."""
    order = format_code(_get_text(payload, "order_id"))
    if event_type == "approval.requested":
        person = format_person(_get_text(payload, "requested_by"))
        return (
            f"*Approval needed:* order {order}, requested by {person}, expires "
            f"{format_local_time(_get_text(payload, 'expires_at'))}. `/desk approvals` shows it."
        )
    if event_type == "approval.expired":
        return f"*Expired:* nobody decided on your order {order} in time. Place it again if needed."
    reason = _get_text(payload, "reason")
    outcome = "Approved" if event_type == "approval.granted" else "Not approved"
    by = format_person(_get_text(payload, "decided_by"))
    return f"*{outcome}:* your order {order}, by {by}{f': {format_literal(reason)}' if reason else ''}"


def describe_summary(payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn that sums up the day of a portfolio. The time is that of each reader."""
    currency = escape(_get_text(payload, "currency"))
    trades = int(payload.get("trades") or 0)
    return (
        f"*{format_literal(_get_text(payload, 'portfolio_name'))}* closed "
        f"{format_local_time(_get_text(payload, 'closed_at'))}: "
        f"P&amp;L {_format_signed(payload, 'day_pnl')} {currency}, "
        f"equity {_format_rounded(payload, 'equity')}, "
        f"{trades} trade{'' if trades == 1 else 's'} worth {_format_rounded(payload, 'volume')}, "
        f"realized {_format_signed(payload, 'realized_pnl')}, "
        f"unrealized {_format_signed(payload, 'unrealized_pnl')}, "
        f"charges {_format_rounded(payload, 'charges')}, "
        f"exposure {_format_rounded(payload, 'gross_exposure')} gross"
    )


def describe_login_request(payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn that asks for the daily login at a broker."""
    opens_at = _get_text(payload, "opens_at")
    when = f" The market opens {format_local_time(opens_at)}." if opens_at else ""
    return (
        f"*Login needed:* the connection {format_literal(_get_text(payload, 'connection'))} "
        f"of the portfolio {format_literal(_get_text(payload, 'portfolio_name'))} has no session, "
        f"and its orders are refused.{when} "
        "A risk manager or admin types `/desk login`."
    )


def describe_reminder(approvers: Sequence[str], expires_at: str) -> str:
    """Return the reminder of a request for approval, in mrkdwn. It mentions the approvers."""
    people = " ".join(format_person(approver) for approver in approvers if approver.startswith("slack:"))
    waiting = f"This order still waits for a decision. It expires {format_local_time(expires_at)}."
    return f"{people} {waiting}".strip()


def _get_text(payload: Mapping[str, Any], name: str) -> str:
    return str(payload.get(name) or "")


def _parse_amount(payload: Mapping[str, Any], name: str) -> Decimal:
    try:
        return Decimal(_get_text(payload, name))
    except InvalidOperation:
        return Decimal(0)


def _format_units(payload: Mapping[str, Any], name: str) -> str:
    return format_grouped(_parse_amount(payload, name))


def _format_price(payload: Mapping[str, Any], name: str) -> str:
    return format_money(_parse_amount(payload, name))


def _format_rounded(payload: Mapping[str, Any], name: str) -> str:
    return format_rounded(_parse_amount(payload, name))


def _format_signed(payload: Mapping[str, Any], name: str) -> str:
    return format_signed(_parse_amount(payload, name))
