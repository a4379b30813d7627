"""Identify the person who made a signed request."""

from typing import Any

from app.errors import ForeignPerson
from app.oms_client import Person


def get_person(body: dict[str, Any]) -> Person:
    """Return the person who typed or clicked, by the ids of the payload.

    In a channel that two workspaces share, people of both can click and type, and `team` may name either of
    them. The person's workspace is `user.team_id`. The app's workspace is the view's `app_installed_team_id`,
    else `team`. A command names one workspace, the person's.

    Raises `ForeignPerson` if the workspaces differ or no person is named. The OMS registers an unknown person
    at their first request, and people of another company must not become members of the tenant.
    """
    user = body.get("user")
    if isinstance(user, dict):
        team = user.get("team_id")
        user_id = user.get("id")
        workspace = _get_app_workspace(body)
    else:
        team = body.get("team_id")
        user_id = body.get("user_id")
        workspace = body.get("team_id")
    if team != workspace:
        raise ForeignPerson(f"The person is of workspace {team}, the app is of {workspace}.")
    if not (isinstance(team, str) and isinstance(user_id, str)):
        raise ForeignPerson("No person is named.")
    try:
        return Person(team, user_id)
    except ValueError as error:
        raise ForeignPerson(str(error)) from None


def _get_app_workspace(body: dict[str, Any]) -> Any:
    view = body.get("view")
    team = body.get("team")
    installed = view.get("app_installed_team_id") if isinstance(view, dict) else None
    return installed or (team.get("id") if isinstance(team, dict) else None)
