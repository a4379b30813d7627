"""Dependencies of the routes of alerts."""

from typing import Annotated

from fastapi import Depends

from app.alerts.service.price_alert_watcher import PriceAlertWatcher
from app.http.app_state import Component

PRICE_ALERT_WATCHER = Component[PriceAlertWatcher]("price_alerts")
PriceAlertWatcherDep = Annotated[PriceAlertWatcher, Depends(PRICE_ALERT_WATCHER)]
