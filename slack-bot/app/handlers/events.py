"""Handle events about the installation."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slack_bolt import Ack, BoltContext

from app.handlers.boundary import Body, get_request_id, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.settings.slack_statuses import report_status
from app.storage.database import DatabaseError

log = logging.getLogger(__name__)


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the events of the manifest."""

    @guard_handler
    def handle_installation_end(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        remove_installation(services, body, get_request_id(context))

    @guard_handler
    def handle_user_change(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        profile = (body.get("event") or {}).get("user")
        if isinstance(profile, dict) and services.recent_deliveries.add(str(body.get("event_id", ""))):
            request_id = get_request_id(context)
            services.status_workers.submit(request_id, report_status, services, profile, request_id)

    @guard_handler
    def handle_group_change(ack: Ack, _body: Body, _context: BoltContext) -> None:
        ack()
        services.groups_changed.set()

    registry.event("subteam_members_changed")(handle_group_change)
    registry.event("user_change")(handle_user_change)
    registry.event("app_uninstalled")(handle_installation_end)
    registry.event("tokens_revoked")(handle_installation_end)


def remove_installation(services: Services, body: Body, request_id: str) -> None:
    """Remove the token and the OMS key of a workspace that removed the app.

    An event that is older than the installation is ignored: the app was installed again.
    """
    event = body.get("event") or {}
    if not _is_end_of_installation(event) or not services.recent_deliveries.add(
        str(body.get("event_id", ""))
    ):
        return
    extra = {"request_id": request_id, "event": str(event.get("type", ""))}
    try:
        is_current = services.installations.uninstall(services.team, _read_time(body, services.now()))
    except DatabaseError as error:  # Slack refuses every call with the token anyway
        log.warning("Installation not removed", extra=extra | {"fault": str(error)})
        return
    log.warning("Installation ended", extra=extra | {"removed": is_current})


def _is_end_of_installation(event: Mapping[str, Any]) -> bool:
    """Return whether the bot token is invalid now. Tokens of people are revoked without effect on the bot."""
    tokens = event.get("tokens")
    return event.get("type") != "tokens_revoked" or not isinstance(tokens, dict) or bool(tokens.get("bot"))


def _read_time(body: Body, now: datetime) -> float:
    """Return when the event happened, in Unix seconds."""
    at = body.get("event_time")
    return float(at) if isinstance(at, int) else now.timestamp()
