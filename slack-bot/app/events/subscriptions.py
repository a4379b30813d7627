"""The subscriptions of the bot to events of the OMS."""

import logging

from app.events.notification_events import (
    notify_of_alert,
    notify_of_close,
    notify_of_decision,
    notify_of_order,
    notify_of_request,
    request_broker_login,
    upload_report,
)
from app.events.overview_updates import redraw_overviews, show_stop, show_unconfirmed_cancels
from app.events.reconciliation_events import show_connection, show_reconciliation_issue
from app.events.registry import Event, EventRegistry
from app.events.strategy_events import notify_of_backtest, show_strategy
from app.services.dependencies import Services
from app.services.orders.messages import update_order_message
from app.services.queries.overview import EVENT_PATTERNS

log = logging.getLogger(__name__)


def register_subscriptions(registry: EventRegistry) -> None:
    """Register every function that handles events. Add a line for each."""
    registry.register("webhook.disabled", log_disabled_webhook)
    registry.register("order.*", update_order_message)
    registry.register("kill_switch.*", show_stop)
    registry.register("cancellation.unconfirmed", show_unconfirmed_cancels)
    registry.register("broker.*", show_connection)
    for state in ("opened", "changed", "resolved"):
        registry.register(f"reconciliation.{state}", show_reconciliation_issue)
    registry.register("alert.fired", notify_of_alert)
    for name in ("order.filled", "order.rejected", "order.expired"):
        registry.register(name, notify_of_order)
    registry.register("approval.requested", notify_of_request)
    for name in ("approval.granted", "approval.rejected", "approval.expired"):
        registry.register(name, notify_of_decision)
    registry.register("portfolio.summary", notify_of_close)
    registry.register("report.ready", upload_report)
    registry.register("broker_connection.log_in_needed", request_broker_login)
    for name in ("started", "paused", "stopped", "error", "drift"):
        registry.register(f"strategy.{name}", show_strategy)
    for state in ("done", "failed"):
        registry.register(f"backtest.{state}", notify_of_backtest)
    for pattern in EVENT_PATTERNS:
        registry.register(pattern, redraw_overviews)


def log_disabled_webhook(_: Services, event: Event) -> None:
    """Log that the OMS stopped sending events to an endpoint of the tenant."""
    log.warning(
        "Webhook disabled", extra={name: event.payload.get(name) for name in ("webhook_id", "reason")}
    )
