"""The page on which an administrator consents to the installation of the app."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request
from markupsafe import escape

from simulator import workspace
from simulator.assembly import Simulator
from simulator.workspace import Team

CONSENT_PATH = "/oauth/v2/authorize"
CALLBACK_PATH = "/slack/oauth_redirect"
PAGE = """<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width"><title>Install {app}</title>
<link rel=stylesheet href=/static/base.css>
<link rel=stylesheet href=/static/blocks.css><link rel=stylesheet href=/static/consent.css>
<main class=consent><p class=faint>Workspace: {teams}</p><h1>{app} wants access to {team}</h1>
<p>It will be able to use:</p><ul>{scopes}</ul>
<p><a class="button solid primary" id=allow href="{allow}">Allow</a>
<a class=button id=cancel href="{cancel}">Cancel</a></p></main></html>"""


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes of the consent page."""
    routes = Blueprint("oauth", __name__)

    @routes.get(CONSENT_PATH)
    def consent() -> Response:
        scopes = request.args.get("scope", "")
        state = request.args.get("state", "")
        team = _find_team(request.args.get("team", ""))
        query = {"scope": scopes, "state": state, "team": team.id}
        allow = f"{CONSENT_PATH}/allow?{urlencode(query)}"
        cancel = _build_callback(simulator, error="access_denied", state=state)
        rows = "".join(f"<li>{escape(scope)}</li>" for scope in filter(None, scopes.split(",")))
        names = {"app": escape(simulator.workspace_state.manifest.bot_name), "team": escape(team.name)}
        teams = " · ".join(_build_link(each, team, query) for each in workspace.WORKSPACES)
        return Response(
            PAGE.format(scopes=rows, allow=escape(allow), cancel=escape(cancel), teams=teams, **names)
        )

    @routes.get(f"{CONSENT_PATH}/allow")
    def allow() -> Any:  # a redirect
        team = _find_team(request.args.get("team", ""))
        code = simulator.oauth_codes.issue(request.args.get("scope", ""), team)
        return redirect(_build_callback(simulator, code=code, state=request.args.get("state", "")))

    return routes


def _find_team(team_id: str) -> Team:
    return next((team for team in workspace.WORKSPACES if team.id == team_id), workspace.HOME)


def _build_link(team: Team, current: Team, parameters: dict[str, str]) -> str:
    """Return the name of a workspace, with a link if it is not the chosen one."""
    if team is current:
        return f"<strong>{escape(team.name)}</strong>"
    query = urlencode(parameters | {"team": team.id})
    return f'<a href="{CONSENT_PATH}?{escape(query)}">{escape(team.name)}</a>'


def _build_callback(simulator: Simulator, **parameters: str) -> str:
    return f"{simulator.settings.bot_url}{CALLBACK_PATH}?{urlencode(parameters)}"
