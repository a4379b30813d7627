"""Dependencies of the routes of webhooks."""

from typing import Annotated

from app.events.service.feed import Feed
from app.webhooks.service.deliveries import WebhookDeliveries
from app.webhooks.service.webhooks import WebhookService
from app.wire.dependencies import part

TheWebhooks = Annotated[WebhookService, part("webhooks")]
TheWebhookDeliveries = Annotated[WebhookDeliveries, part("webhook_deliveries")]
TheFeed = Annotated[Feed, part("feed")]
