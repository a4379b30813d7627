"""Serve the routes of an administrator: people, user groups, and the removal of the app."""

from typing import Any

from flask import Blueprint

from simulator import workspace
from simulator.assembly import Simulator
from simulator.control.body import Body
from simulator.errors import ActError, SlackError
from simulator.webapi.directory import describe_person
from simulator.workspace import Team

Json = dict[str, Any]


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes. Each change is told to the bot by the event that Slack sends."""
    routes = Blueprint("administration", __name__, url_prefix="/control")

    @routes.post("/person")
    def set_status() -> Json:
        return _set_status(simulator, Body())

    @routes.post("/group")
    def set_member() -> Json:
        return _set_member(simulator, Body())

    @routes.post("/uninstall")
    def uninstall() -> Json:
        return _uninstall_app(simulator, _find_team(Body().text("team")))

    return routes


def _set_status(simulator: Simulator, body: Body) -> Json:
    """Deactivate a person, or activate them again."""
    state, person = simulator.workspace_state, simulator.actor(body.text("user")).person
    with state.change():
        (state.deactivated.discard if body.flag("active") else state.deactivated.add)(person.id)
        profile = describe_person(state, person)
        team = state.installations.get_team(person)
    simulator.events.add_if_subscribed("user_change", {"type": "user_change", "user": profile}, team)
    return {"user": person.id, "deleted": profile["deleted"]}


def _set_member(simulator: Simulator, body: Body) -> Json:
    """Add a person to a user group, or remove them."""
    state, person = simulator.workspace_state, simulator.actor(body.text("user")).person
    try:
        group = state.groups.find(body.text("group"))
    except SlackError:
        raise ActError("There is no such user group.", 404) from None
    with state.change():
        is_added = body.flag("member")
        (group.members.add if is_added else group.members.discard)(person.id)
        now = int(state.clock.now())
    inner = {
        "type": "subteam_members_changed",
        "subteam_id": group.id,
        "team_id": workspace.TEAM_ID,
        "date_previous_update": now,
        "date_update": now,
        "added_users": [person.id] if is_added else [],
        "added_users_count": int(is_added),
        "removed_users": [] if is_added else [person.id],
        "removed_users_count": int(not is_added),
    }
    simulator.events.add_if_subscribed("subteam_members_changed", inner)
    return {"group": group.id, "members": sorted(group.members)}


def _uninstall_app(simulator: Simulator, team: Team) -> Json:
    """Remove the app from a workspace. The token is revoked before the bot gets the event."""
    if team is workspace.HOME:
        raise ActError("The first workspace keeps the app: the bot has its token in the environment.")
    state = simulator.workspace_state
    with state.change():
        state.installations.uninstall(team)
        state.update_bot_membership()
    simulator.events.add_if_subscribed("app_uninstalled", {"type": "app_uninstalled"}, team)
    return {"team": team.id}


def _find_team(reference: str) -> Team:
    for team in workspace.WORKSPACES:
        if reference in (team.id, team.domain):
            return team
    raise ActError(f"There is no workspace {reference}.", 404)
