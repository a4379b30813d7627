"""Dependencies of the routes of webhooks."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.webhooks.service.deliveries import WebhookDeliveries
from app.webhooks.service.webhooks import WebhookService

WEBHOOKS = Component[WebhookService]("webhooks")
WebhooksDep = Annotated[WebhookService, Depends(WEBHOOKS)]
WEBHOOK_DELIVERIES = Component[WebhookDeliveries]("webhook_deliveries")
WebhookDeliveriesDep = Annotated[WebhookDeliveries, Depends(WEBHOOK_DELIVERIES)]
