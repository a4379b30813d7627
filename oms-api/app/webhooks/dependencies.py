"""Dependencies of the routes of webhooks."""

from typing import Annotated

from app.events.service.feed import Feed
from app.webhooks.service.deliveries import WebhookDeliveries
from app.webhooks.service.webhooks import WebhookService
from app.wire.dependencies import part

WebhooksDep = Annotated[WebhookService, part("webhooks")]
WebhookDeliveriesDep = Annotated[WebhookDeliveries, part("webhook_deliveries")]
FeedDep = Annotated[Feed, part("feed")]
