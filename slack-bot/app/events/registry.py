"""The functions that handle events of the OMS, by event type."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.services.dependencies import Services

log = logging.getLogger(__name__)

ALL_TYPES = "*"


@dataclass(frozen=True)
class Event:
    """A committed change in the OMS, as docs/events.md describes it.

    `created_at` is ISO 8601 in UTC. `payload` is the changed object after the change; amounts are strings.
    """

    id: str
    type: str
    created_at: str
    payload: dict[str, Any] = field(default_factory=dict)


EventHandler = Callable[[Services, Event], None]


class EventRegistry:
    """Subscriptions to event types. Every function of a matching subscription handles an event."""

    def __init__(self) -> None:
        self._subscriptions: list[tuple[str, EventHandler]] = []

    def register(self, type_pattern: str, function: EventHandler) -> None:
        """Subscribe to a type ("order.filled"), to a family ("order.*") or to all types ("*").

        The function gets each event once, and events of one order in order. It must return quickly: the OMS
        waits for it. Queue slow work, such as calls to Slack, in `services.send_queue` or on workers.
        """
        self._subscriptions.append((type_pattern, function))

    def list_patterns(self) -> list[str]:
        """Return the types and families to request from the OMS, sorted."""
        patterns = {pattern for pattern, _ in self._subscriptions}
        return [ALL_TYPES] if ALL_TYPES in patterns else sorted(patterns)

    def handle(self, services: Services, event: Event) -> None:
        """Call each subscribed function. An exception of one is logged and does not stop the others."""
        for pattern, function in self._subscriptions:
            if matches(pattern, event.type):
                try:
                    function(services, event)
                except Exception:  # one failing function must not affect the others
                    log.exception("Event handler failed", extra={"event_id": event.id, "type": event.type})


def matches(pattern: str, event_type: str) -> bool:
    """Return whether the pattern of a subscription includes the type."""
    if pattern.endswith(".*"):
        return event_type.startswith(pattern.removesuffix("*"))
    return pattern in (ALL_TYPES, event_type)
