"""The deliveries of a webhook: listing them, sending one again, and sending a test."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from app.events.queries import load_last_number
from app.events.rules import EVENT_ID_KIND
from app.events.service.outbox import publish_event
from app.http.opaque_ids import OpaqueIds
from app.identity.rules.access import Caller
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.timestamps import format_optional_timestamp, format_timestamp
from app.webhooks.errors import NoSuchDelivery, WebhookDisabled
from app.webhooks.queries import deliveries as queries
from app.webhooks.queries import webhooks as webhook_queries
from app.webhooks.queries.deliveries import DELIVERIES, NewDelivery, StoredDelivery
from app.webhooks.queries.webhooks import StoredWebhook
from app.webhooks.rules.values import TEST_EVENT
from app.webhooks.service.webhooks import get_webhook

DELIVERY_ID_KIND = "webhook.delivery"


class WebhookDeliveries:
    """Reads deliveries, and adds some on request. Its functions run in a transaction."""

    def __init__(self, opaque_ids: OpaqueIds) -> None:
        self._opaque_ids = opaque_ids

    def list_page(
        self, connection: Connection, caller: Caller, webhook_id: str, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of deliveries, newest first, and the cursor of the next page.

        Raises NoSuchWebhook or NoSuchDelivery.
        """
        webhook = get_webhook(connection, caller, webhook_id)
        below = None if cursor is None else self._decode_delivery_id(caller.tenant_id, cursor)
        deliveries = queries.list_deliveries(connection, caller.tenant_id, webhook.id, below, limit + 1)
        page = [self.serialize(delivery) for delivery in deliveries[:limit]]
        return page, page[-1]["id"] if len(deliveries) > limit else None

    def resend(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, delivery_id: str, now: datetime
    ) -> ChangeResult:
        """Send the event of a delivery again as a new delivery. The event keeps its ID."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        number = self._decode_delivery_id(webhook.tenant_id, delivery_id)
        earlier_delivery = DELIVERIES.find(
            connection, tenant_id=webhook.tenant_id, webhook_id=webhook.id, id=number
        )
        if earlier_delivery is None:
            raise NoSuchDelivery(delivery_id)
        return self._add_delivery(
            connection,
            webhook,
            earlier_delivery.event_number,
            earlier_delivery.event_type,
            earlier_delivery.subject,
            now,
        )

    def send_test(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, now: datetime
    ) -> ChangeResult:
        """Send an event `webhook.test` to this webhook only."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        webhook_queries.update_webhook(connection, webhook, {})
        publish_event(connection, webhook.tenant_id, TEST_EVENT, {"webhook_id": webhook.id}, now)
        number = load_last_number(connection, webhook.tenant_id, TEST_EVENT)
        return self._add_delivery(connection, webhook, number, TEST_EVENT, f"{TEST_EVENT} {number}", now)

    def serialize(self, delivery: StoredDelivery) -> dict[str, Any]:
        """Serialize a delivery with its attempts."""
        tenant_id, next_at = delivery.tenant_id, delivery.next_attempt_at
        return {
            "id": self._opaque_ids.encode(tenant_id, DELIVERY_ID_KIND, delivery.id),
            "event_id": self._opaque_ids.encode(tenant_id, EVENT_ID_KIND, delivery.event_number),
            "event_type": delivery.event_type,
            "attempt": delivery.attempt,
            "status": delivery.status,
            "response_status": delivery.response_status,
            "latency_ms": delivery.latency_ms,
            "error": delivery.error,
            "next_attempt_at": format_optional_timestamp(next_at),
            "created_at": format_timestamp(delivery.created_at),
            "attempts": orjson.loads(delivery.attempts),
        }

    def _add_delivery(
        self, connection: Connection, webhook: StoredWebhook, number: int, event_type: str, subject: str,
        now: datetime,
    ) -> ChangeResult:  # fmt: skip
        if webhook.status != "enabled":
            raise WebhookDisabled
        new = NewDelivery(webhook.tenant_id, webhook.id, number, event_type, subject)
        [delivery_id] = queries.insert_deliveries(connection, [new], now)
        webhook_queries.update_webhook(connection, webhook, {})
        stored_delivery = DELIVERIES.find(connection, tenant_id=webhook.tenant_id, id=delivery_id)
        assert stored_delivery is not None, "inserted above"  # noqa: S101  # for the type checker
        return ChangeResult(self.serialize(stored_delivery), (), 202)

    def _decode_delivery_id(self, tenant_id: int, text: str) -> int:
        number = self._opaque_ids.decode(tenant_id, DELIVERY_ID_KIND, text)
        if number is None:
            raise NoSuchDelivery(text)
        return number
