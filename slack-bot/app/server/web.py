"""The WSGI application: signed routes for Slack's requests and the OMS's events, and `/health`."""

import logging
from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from slack_bolt import App, BoltRequest, BoltResponse

from app.config import EVENTS_PATH, Settings
from app.handlers.dispatcher import create_request_id
from app.request_priority import count_requests
from app.server import oauth
from app.server.health import Health
from app.server.routing import route_request
from app.server.slack_endpoint import MAX_BODY_BYTES, REQUEST_ID_HEADER, SAFE_HEADERS, create_endpoint
from app.server.workspaces import WorkspaceRegistry
from app.services.dependencies import Services

log = logging.getLogger(__name__)


def create_web(
    settings: Settings, bolt: App, health: Health, services: Services, workspaces: WorkspaceRegistry
) -> Flask:
    """Return the Flask app, with the endpoint of Slack's requests in front of it."""
    web = Flask("slack-bot", static_folder=None)
    web.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    def set_request_id() -> None:
        g.request_id = create_request_id()
        request.environ["HTTP_X_REQUEST_ID"] = g.request_id  # replaces any id that the client sent

    def add_headers(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        response.headers.update(dict(SAFE_HEADERS))
        return response

    def dispatch(req: BoltRequest) -> BoltResponse:
        return route_request(workspaces, req) or bolt.dispatch(req)

    def report() -> Response:
        return jsonify(health.report())

    web.before_request(set_request_id)
    web.after_request(add_headers)
    web.add_url_rule(EVENTS_PATH, "oms_events", lambda: _receive_event(workspaces), methods=["POST"])
    web.add_url_rule("/health", "health", report, methods=["GET"])
    oauth.register_routes(web, settings, services)
    slack_endpoint = create_endpoint(web.wsgi_app, settings.slack_signing_secret, dispatch)
    web.wsgi_app = count_requests(slack_endpoint)  # type: ignore[assignment,method-assign] # as Flask documents it
    return web


def _receive_event(workspaces: WorkspaceRegistry) -> Response:
    """Pass an event to the workspaces of its tenant, which the signature identifies."""
    body = request.get_data(cache=True, parse_form_data=False)
    headers = {name.lower(): value for name, value in request.headers.items()}
    statuses = {workspace.receiver.receive(headers, body) for workspace in workspaces.list_all()}
    accepted = statuses - {HTTPStatus.UNAUTHORIZED}
    if not accepted:
        log.warning("Unsigned event refused", extra={"event_id": headers.get("webhook-id", "")})
    return Response(status=max(accepted, default=HTTPStatus.UNAUTHORIZED))
