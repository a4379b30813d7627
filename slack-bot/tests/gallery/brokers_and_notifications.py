"""Pictures of brokers, of differences from their books, and of notifications."""

from collections.abc import Iterator
from typing import Any

from app.blocks import broker_forms, notifications, reconciliation
from app.forms.portfolio_values import BrokerLogin
from app.forms.request_context import RequestContext
from tests.gallery import values
from tests.gallery.picture import Picture, draw_message, draw_sentence, draw_view

CONTEXT = RequestContext("C1")
ISSUE: dict[str, Any] = {
    "issue_id": "R1",
    "issue_type": "quantity_mismatch",
    "severity": "critical",
    "symbol": "AAPL",
    "order_id": "",
    "portfolio_name": "Growth",
    "connection": "alpaca-live",
    "ours": "100",
    "theirs": "90",
    "proposed_action": "adopt",
    "owned_by": "",
    "status": "open",
}
LARGE_ISSUE = ISSUE | {
    "portfolio_name": values.LONG_NAME,
    "connection": "w" * 100,
    "ours": values.LARGE,
    "theirs": values.NEGATIVE,
    "symbol": values.LONG_SYMBOL,
    "order_id": values.LONG_ID,
    "owned_by": "slack:T1:U0BENOKAF02",
    "action": "watch",
}
RESOLVED = LARGE_ISSUE | {
    "status": "resolved",
    "resolved_by": values.LONG_ACTOR,
    "reason": values.LONG_REASON[:500],
}
ORDER_EVENT = {
    "side": "BUY",
    "quantity": "50",
    "symbol": "MSFT",
    "portfolio_name": "Growth",
    "order_id": values.LONG_ID,
    "average_price": "409.95",
    "requested_by": values.LONG_ACTOR,
    "expires_at": values.INSTANT,
    "decided_by": "slack:T1:U0BENOKAF02",
}
SUMMARY = {
    "portfolio_name": values.LONG_NAME,
    "currency": "USD",
    "closed_at": values.INSTANT,
    "trades": 12,
    "day_pnl": values.NEGATIVE,
    "equity": values.LARGE,
    "volume": values.LARGE,
    "realized_pnl": values.LARGE,
    "unrealized_pnl": values.NEGATIVE,
    "charges": "12.5",
    "gross_exposure": values.LARGE,
}


def list_pictures() -> Iterator[Picture]:
    """Yield the pictures, the smallest of each first."""
    yield from _list_broker_pictures()
    yield from _list_notifications()


def _list_broker_pictures() -> Iterator[Picture]:
    login = broker_forms.build_login_form
    address = "https://kite.zerodha.com/connect/login?v=3&api_key=" + "k" * 100
    logins = [BrokerLogin("kite", address, ""), BrokerLogin("w" * 60, address, values.INSTANT)]
    yield from draw_view("login-form", login, login(logins[:1], CONTEXT), login(logins, CONTEXT))
    card = reconciliation.build_issue_card
    yield from draw_message("issue", card, *map(card, (ISSUE, LARGE_ISSUE, RESOLVED)))
    issue_form = reconciliation.build_issue_form
    yield from draw_view(
        "issue-form", issue_form, issue_form("R1", "", CONTEXT), issue_form(values.LONG_ID, "adopt", CONTEXT)
    )
    connection = reconciliation.describe_connection
    yield from draw_sentence(
        "connection",
        connection,
        connection({"connection": "alpaca", "status": "connected"}),
        connection({"connection": "w" * 100, "status": "refused", "reason": values.LONG_REASON}),
    )


def _list_notifications() -> Iterator[Picture]:
    order_event, approval_event = notifications.describe_order_event, notifications.describe_approval_event
    rejected = ORDER_EVENT | {"reason": values.LONG_REASON[:500], "portfolio_name": values.LONG_NAME}
    lines = [order_event("order.filled", ORDER_EVENT), order_event("order.rejected", rejected)]
    yield from draw_sentence("order-event", order_event, *lines, order_event("order.expired", ORDER_EVENT))
    kinds = ("approval.requested", "approval.granted", "approval.rejected", "approval.expired")
    yield from draw_sentence(
        "approval-event", approval_event, *(approval_event(kind, rejected) for kind in kinds)
    )
    bundle = notifications.build_notification
    yield from draw_message("notification", bundle, bundle(lines[:1]), bundle(lines), bundle(lines * 100))
    yield from draw_sentence(
        "summary", notifications.describe_summary, notifications.describe_summary(SUMMARY)
    )
    log_in = {"connection": "kite", "portfolio_name": values.LONG_NAME, "opens_at": values.INSTANT}
    yield from draw_sentence(
        "login", notifications.describe_login_request, notifications.describe_login_request(log_in)
    )
    remind = notifications.describe_reminder
    yield from draw_sentence(
        "reminder", remind, remind([], values.INSTANT), remind([values.LONG_ACTOR] * 20, values.INSTANT)
    )
