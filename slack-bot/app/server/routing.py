"""Pass each request of Slack to the workspace that it belongs to."""

import logging
from collections.abc import Callable
from typing import Any

from slack_bolt import App, BoltContext, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult

from app.blocks.messages import HELP, build_notice
from app.config import Settings
from app.delivery.send_queue import SendJob
from app.errors import QueueFull, SlackError
from app.handlers.events import remove_installation
from app.handlers.installation_check import build_refusal
from app.handlers.messages import is_addressed_to_bot
from app.oms_client.person import ID
from app.server.workspaces import Workspace, WorkspaceRegistry
from app.services import failure_messages
from app.services.dependencies import Services

log = logging.getLogger(__name__)

NextMiddleware = Callable[[], BoltResponse]


def route_request(workspaces: WorkspaceRegistry, req: BoltRequest) -> BoltResponse | None:
    """Handle a request in its workspace. Return None for requests without a workspace."""
    if req.body.get("type") == "url_verification" or "ssl_check" in req.body:
        return None
    team = req.context.team_id
    workspace = workspaces.find(str(team or ""))
    if workspace is not None and not workspace.is_connected:
        return _build_unconnected_response(workspace, req)
    first = workspaces.first
    if workspace is None and first is not None and first.services.team != team:
        workspace = first  # it finds out its own id, and refuses requests of others
    return workspace.dispatcher.dispatch(req) if workspace else _refuse_workspace(req, req.context)


def create_router(settings: Settings, base: Services, workspaces: WorkspaceRegistry) -> App:
    """Return the Bolt app that receives requests of Socket Mode, and those that belong to no workspace."""

    def route(req: BoltRequest, next: NextMiddleware) -> BoltResponse:
        return route_request(workspaces, req) or next()

    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None)  # no request of a workspace gets here

    return App(
        client=base.slack.client,
        logger=logging.getLogger("slack_bolt"),
        before_authorize=route,
        authorize=authorize,
        signing_secret=settings.slack_signing_secret,
        process_before_response=True,
        request_verification_enabled=False,  # server.slack_endpoint verifies the signature before parsing
        ignoring_self_events_enabled=False,
        attaching_function_token_enabled=False,
    )


def _refuse_workspace(req: BoltRequest, context: BoltContext) -> BoltResponse:
    team = context.team_id if isinstance(context.team_id, str) and ID.fullmatch(context.team_id) else ""
    log.warning("Request of a workspace without the app refused", extra={"team": team})
    is_organization = bool(context.is_enterprise_install)
    return build_refusal(
        req.body, failure_messages.ORG_WIDE if is_organization else failure_messages.NOT_INSTALLED
    )


def _build_unconnected_response(workspace: Workspace, req: BoltRequest) -> BoltResponse:
    """Return a response with help and the missing step. Other requests need an OMS key."""
    sentence = failure_messages.describe_unconnected_workspace(workspace.services.team)
    if "command" in req.body:
        return build_refusal(req.body, f"{sentence}\n{HELP}")
    event = req.body.get("event")
    if isinstance(event, dict):
        _handle_unconnected_event(workspace.services, req.body, event, sentence)
    return build_refusal(req.body, sentence)


def _handle_unconnected_event(
    services: Services, body: dict[str, Any], event: dict[str, Any], sentence: str
) -> None:
    if event.get("type") in ("app_uninstalled", "tokens_revoked"):
        remove_installation(services, body, str(body.get("event_id", "")))
        return
    channel = str(event.get("channel", ""))
    if not (
        channel and is_addressed_to_bot(event) and services.recent_deliveries.add(str(body.get("event_id")))
    ):
        return
    message = build_notice(f"{sentence}\n{HELP}")

    def send() -> None:
        services.slack.post(channel, message, thread_ts=event.get("thread_ts"))

    def log_abandoned() -> None:
        log.warning("Help not sent", extra={"team": services.team})

    try:
        services.send_queue.put(f"channel:{channel}", SendJob(send, log_abandoned))
    except (QueueFull, SlackError):
        log_abandoned()
