"""Refuse requests of workspaces other than the workspace of the bot token."""

import logging
from typing import Any

from slack_bolt import BoltContext, BoltResponse

from app.blocks import views
from app.blocks.messages import build_notice
from app.errors import SlackError
from app.handlers.boundary import get_request_id
from app.oms_client.person import ID
from app.services import failure_messages
from app.services.dependencies import Services

log = logging.getLogger(__name__)


def find_refusal(services: Services, context: BoltContext) -> str:
    """Return why a request does not belong to this installation, as a sentence. Empty if it does."""
    try:
        installation = services.slack.installation.get()
    except SlackError:
        return failure_messages.WORKSPACE_UNKNOWN
    if installation.is_org_wide or context.is_enterprise_install:
        return failure_messages.ORG_WIDE
    is_known = installation.includes(str(context.team_id or ""), str(context.enterprise_id or ""))
    return "" if is_known else failure_messages.FOREIGN_PERSON


def log_refusal(context: BoltContext, reason: str) -> None:
    """Log a refused request. Only ids in the form of Slack's ids: a request may contain anything."""
    extra = {"request_id": get_request_id(context), "reason": reason}
    ids = {"team": _parse_id(context.team_id), "enterprise": _parse_id(context.enterprise_id)}
    log.warning("Request of another installation refused", extra=extra | ids)


def build_refusal(body: dict[str, Any], sentence: str) -> BoltResponse:
    """Return the response that only the person sees. Empty if the request expects no response."""
    if "command" in body:
        message = build_notice(sentence)
        private = {"response_type": "ephemeral", "text": message.text, "blocks": list(message.blocks)}
        return BoltResponse(status=200, body=private)
    if body.get("type") == "view_submission":
        view = views.build_refused_view(sentence)
        return BoltResponse(status=200, body={"response_action": "push", "view": view})
    if body.get("type") == "block_suggestion":
        return BoltResponse(status=200, body={"options": []})
    return BoltResponse(status=200, body="")


def _parse_id(value: Any) -> str:
    return value if isinstance(value, str) and ID.fullmatch(value) else ""
