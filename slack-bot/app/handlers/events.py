"""Handle events about the installation."""

import logging

from slack_bolt import Ack, App, BoltContext

from app.handlers.boundary import Body, get_request_id, guarded
from app.services.dependencies import Services

log = logging.getLogger(__name__)


def register(app: App, services: Services) -> None:
    """Register the events of the manifest."""

    @guarded
    def log_installation_end(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        if services.recent_deliveries.add(str(body.get("event_id", ""))):
            event = str((body.get("event") or {}).get("type", ""))
            log.warning("Installation ended", extra={"request_id": get_request_id(context), "event": event})

    app.event("app_uninstalled")(log_installation_end)
    app.event("tokens_revoked")(log_installation_end)
