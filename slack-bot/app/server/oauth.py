"""Install the app in other workspaces: the redirect to Slack's consent page, and the way back."""

import logging
from http import HTTPStatus
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from markupsafe import escape

from app.config import Settings
from app.delivery.oauth import OrganizationInstall, exchange_code
from app.delivery.scopes import list_manifest_scopes
from app.errors import SlackError, SlackRefused
from app.services import failure_messages
from app.services.dependencies import Services
from app.storage.database import DatabaseError
from app.storage.oauth_states import OAuthStates

log = logging.getLogger(__name__)

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
START_AGAIN = "Start again at /slack/install."
NOT_INSTALLED = "The app was not installed."
PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8>"
    '<meta name=viewport content="width=device-width"><title>SlackOMS</title><p>{sentence}</p></html>'
)


def register_routes(web: Flask, settings: Settings, services: Services) -> None:
    """Add the pages of the installation, if the app has a client id."""
    if settings.slack_client_id:
        states = OAuthStates(services.storage)
        scopes = list_manifest_scopes()
        web.add_url_rule(
            INSTALL_PATH, "install", lambda: _redirect_to_consent(settings, states, scopes), methods=["GET"]
        )
        web.add_url_rule(
            REDIRECT_PATH, "oauth", lambda: _finish_installation(settings, services, states), methods=["GET"]
        )


def _redirect_to_consent(settings: Settings, states: OAuthStates, scopes: tuple[str, ...]) -> Response:
    try:
        state = states.issue()
    except DatabaseError as error:
        log.warning("Installation not started", extra={"fault": str(error)})
        return _build_page(
            HTTPStatus.SERVICE_UNAVAILABLE, "The app cannot be installed now. Please try again soon."
        )
    parameters = {
        "client_id": settings.slack_client_id,
        "scope": ",".join(scopes),
        "user_scope": "",
        "state": state,
    }
    response = redirect(f"{settings.slack_authorize_url}?{urlencode(parameters)}", HTTPStatus.FOUND)
    return Response(response.get_data(), response.status_code, response.headers)


def _finish_installation(settings: Settings, services: Services, states: OAuthStates) -> Response:
    """Store the workspace that consented. Each state is valid once, for ten minutes, at every bot."""
    try:
        if not states.consume(request.args.get("state", "")):
            return _build_page(
                HTTPStatus.BAD_REQUEST, f"This link was used before or is too old. {START_AGAIN}"
            )
        if request.args.get("error"):
            return _build_page(
                HTTPStatus.BAD_REQUEST, f"{NOT_INSTALLED} Slack was told not to. {START_AGAIN}"
            )
        installed = exchange_code(settings, request.args.get("code", ""))
        services.installations.save(installed)
    except OrganizationInstall:
        return _build_page(HTTPStatus.BAD_REQUEST, failure_messages.ORG_WIDE)
    except SlackRefused as error:
        log.warning("Installation refused", extra={"fault": str(error)})
        return _build_page(HTTPStatus.BAD_REQUEST, f"{NOT_INSTALLED} Slack refused the code. {START_AGAIN}")
    except (SlackError, DatabaseError) as error:
        log.warning("Installation failed", extra={"fault": str(error)})
        return _build_page(HTTPStatus.BAD_GATEWAY, f"{NOT_INSTALLED} {START_AGAIN}")
    log.info("Installed", extra={"team": installed.team})
    return _build_page(
        HTTPStatus.OK,
        f"SlackOMS is installed in {installed.name or installed.team} ({installed.team}). Until the operator "
        "connects the workspace to a trading system, the app only shows its help.",
    )


def _build_page(status: HTTPStatus, sentence: str) -> Response:
    response = Response(PAGE.format(sentence=escape(sentence)), status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    response.headers["Referrer-Policy"] = "no-referrer"  # the address contains the code
    return response
