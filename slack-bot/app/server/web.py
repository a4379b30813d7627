"""The Flask app: signed routes for Slack's requests and the OMS's events, and `/health`."""

import logging
import secrets
import time
from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from slack_bolt import App
from slack_bolt.adapter.flask.handler import to_bolt_request, to_flask_response

from app.config import EVENTS_PATH, Settings
from app.request_priority import count_requests
from app.server import oauth
from app.server.health import Health
from app.server.routing import route_request
from app.server.signature import is_signed
from app.server.workspaces import WorkspaceRegistry
from app.services.dependencies import Services

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
SLACK_PATHS = ("/slack/events", "/slack/commands", "/slack/interactions")
REQUEST_ID_HEADER = "X-Request-ID"
UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)  # the body is not a JSON object


def create_web(
    settings: Settings, bolt: App, health: Health, services: Services, workspaces: WorkspaceRegistry
) -> Flask:
    """Return the WSGI application."""
    web = Flask("slack-bot", static_folder=None)
    web.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    def set_request_id() -> None:
        g.request_id = new_request_id()
        request.environ["HTTP_X_REQUEST_ID"] = g.request_id  # replaces any id that the client sent

    def add_headers(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def slack() -> Response:
        if not _is_request_signed(settings.slack_signing_secret):
            log.warning("Unsigned request refused", extra={"request_id": g.request_id, "path": request.path})
            return Response("invalid request", 401, mimetype="text/plain")
        try:
            req = to_bolt_request(request)
            return to_flask_response(route_request(workspaces, req) or bolt.dispatch(req))
        except (
            UNREADABLE
        ) as error:  # raised when Bolt parses the request; handlers catch their own exceptions
            extra = {"request_id": g.request_id, "fault": type(error).__name__}
            log.warning("Signed request that cannot be read", extra=extra)
            return Response("malformed request", 400, mimetype="text/plain")

    def report() -> Response:
        return jsonify(health.report())

    web.before_request(set_request_id)
    web.after_request(add_headers)
    for path in SLACK_PATHS:
        web.add_url_rule(path, path, slack, methods=["POST"])
    web.add_url_rule(EVENTS_PATH, "oms_events", lambda: _receive_event(workspaces), methods=["POST"])
    web.add_url_rule("/health", "health", report, methods=["GET"])
    oauth.register_routes(web, settings, services)
    web.wsgi_app = count_requests(web.wsgi_app)  # type: ignore[assignment,method-assign] # as Flask documents it
    return web


def new_request_id() -> str:
    """Return a new request id."""
    return f"req-{secrets.token_hex(8)}"


def _receive_event(workspaces: WorkspaceRegistry) -> Response:
    """Pass an event to the workspaces of its tenant, which the signature identifies."""
    body = request.get_data(cache=True, parse_form_data=False)
    headers = {name.lower(): value for name, value in request.headers.items()}
    statuses = {each.receiver.receive(headers, body) for each in workspaces.list_all()}
    accepted = statuses - {HTTPStatus.UNAUTHORIZED}
    if not accepted:
        log.warning("Unsigned event refused", extra={"event_id": headers.get("webhook-id", "")})
    return Response(status=max(accepted, default=HTTPStatus.UNAUTHORIZED))


def _is_request_signed(secret: str) -> bool:
    headers = request.headers
    return is_signed(
        secret,
        headers.get("X-Slack-Request-Timestamp", ""),
        headers.get("X-Slack-Signature", ""),
        request.get_data(cache=True, parse_form_data=False),
        time.time(),
    )
