"""Dependencies of the routes of alerts."""

from typing import Annotated

from fastapi import Depends

from app.alerts.service.price_alerts import PriceAlerts
from app.http.app_state import Component

PRICE_ALERTS = Component[PriceAlerts]("price_alerts")
PriceAlertsDep = Annotated[PriceAlerts, Depends(PRICE_ALERTS)]
