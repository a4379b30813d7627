"""Dependencies of the routes of alerts."""

from typing import Annotated

from app.alerts.service.price_alerts import PriceAlerts
from app.wire.dependencies import part

PriceAlertsDep = Annotated[PriceAlerts, part("price_alerts")]
