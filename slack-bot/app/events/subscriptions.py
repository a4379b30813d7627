"""The subscriptions of the bot to events of the OMS."""

import logging

from app.events.registry import Event, EventRegistry
from app.services.dependencies import Services

log = logging.getLogger(__name__)


def register_subscriptions(registry: EventRegistry) -> None:
    """Register every function that handles events. Add a line for each."""
    registry.register("webhook.disabled", log_disabled_webhook)


def log_disabled_webhook(_: Services, event: Event) -> None:
    """Log that the OMS stopped sending events to an endpoint of the tenant."""
    log.warning("Webhook disabled", extra={"url": event.data.get("url"), "reason": event.data.get("reason")})
