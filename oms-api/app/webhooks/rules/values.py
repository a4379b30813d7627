"""Values of webhooks and deliveries."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

ALL_TYPES = "*"
DISABLED_EVENT = "webhook.disabled"
TEST_EVENT = "webhook.test"


class NewWebhook(NamedTuple):
    """A webhook to create."""

    url: str
    event_types: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An enabled webhook, as the dispatcher needs it. `cursor` is the last event that was considered.

    `version` changes with each change over the API.
    """

    id: str
    tenant_id: int
    url: str
    event_types: tuple[str, ...]
    version: int
    cursor: int
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: datetime | None

    def is_subscribed_to(self, event_type: str) -> bool:
        """Return whether the webhook receives events of this type. Test events are sent individually."""
        return event_type != TEST_EVENT and includes_type(self.event_types, event_type)


class OutgoingEvent(NamedTuple):
    """An event in the form in which it is sent. `id` and `body` are the same for every attempt."""

    number: int
    tenant_id: int
    type: str
    id: str
    subject: str
    body: bytes


@dataclass(slots=True, eq=False)
class Delivery:
    """An event to be sent to an endpoint. `event` is None until it is loaded.

    `history` holds the earlier attempts. Deliveries of one subject are sent in order.
    """

    id: int
    webhook_id: str
    tenant_id: int
    event_number: int
    subject: str
    attempt: int
    next_attempt_at: datetime
    history: list[dict[str, Any]] = field(default_factory=list)
    event: OutgoingEvent | None = None


def includes_type(event_types: tuple[str, ...], event_type: str) -> bool:
    """Return whether the types or families ("order.*", "*") include the type."""
    family = f"{event_type.partition('.')[0]}.*"
    return ALL_TYPES in event_types or event_type in event_types or family in event_types


def get_subject(event_type: str, fields: dict[str, Any]) -> str:
    """Return the subject of the event: an order, else a position or portfolio, else the type's family."""
    if fields.get("order_id"):
        return str(fields["order_id"])
    parts = [str(fields[name]) for name in ("portfolio_id", "symbol") if fields.get(name) is not None]
    return "/".join(parts) or event_type.partition(".")[0]
