"""The page on which an administrator consents to the installation of the app."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request
from markupsafe import escape

from simulator import workspace
from simulator.assembly import Simulator

CONSENT_PATH = "/oauth/v2/authorize"
CALLBACK_PATH = "/slack/oauth_redirect"
PAGE = """<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width"><title>Install {app}</title>
<link rel=stylesheet href=/static/base.css>
<main><h1>{app} wants access to {team}</h1><p>It will be able to use:</p><ul>{scopes}</ul>
<p><a id=allow href="{allow}">Allow</a> <a id=cancel href="{cancel}">Cancel</a></p></main></html>"""


def blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes of the consent page."""
    routes = Blueprint("oauth", __name__)

    @routes.get(CONSENT_PATH)
    def consent() -> Response:
        scopes, state = request.args.get("scope", ""), request.args.get("state", "")
        allow = f"{CONSENT_PATH}/allow?{urlencode({'scope': scopes, 'state': state})}"
        cancel = _build_callback(simulator, error="access_denied", state=state)
        rows = "".join(f"<li>{escape(scope)}</li>" for scope in filter(None, scopes.split(",")))
        names = {"app": escape(simulator.workspace_state.manifest.bot_name), "team": workspace.TEAM_NAME}
        return Response(PAGE.format(scopes=rows, allow=escape(allow), cancel=escape(cancel), **names))

    @routes.get(f"{CONSENT_PATH}/allow")
    def allow() -> Any:  # a redirect
        code = simulator.oauth_codes.issue(request.args.get("scope", ""))
        return redirect(_build_callback(simulator, code=code, state=request.args.get("state", "")))

    return routes


def _build_callback(simulator: Simulator, **parameters: str) -> str:
    return f"{simulator.settings.bot_url}{CALLBACK_PATH}?{urlencode(parameters)}"
