"""Who acts, as Slack signed it."""

from typing import Any

from app.errors import Stranger
from app.oms_client import Person


def person_of(body: dict[str, Any]) -> Person:
    """Return who typed, chose or pressed: by the ids of the payload, with the person's own team.

    In a channel shared between workspaces anybody may press and type, and `team` may name either of them.
    The person's is `user.team_id`; the app's is the view's `app_installed_team_id`, else `team`. A command
    has one team, the person's. Raises `Stranger` where the two differ, or where nobody is named: another
    company's people must not become members of this desk because the OMS sees them for the first time.
    """
    user = body.get("user")
    if isinstance(user, dict):
        team, user_id, home = user.get("team_id"), user.get("id"), _enterprise_of(body)
    else:
        team, user_id, home = body.get("team_id"), body.get("user_id"), body.get("team_id")
    if team != home:
        raise Stranger(f"Somebody of {team}, where the app is {home}'s.")
    try:
        return Person(str(team), str(user_id))
    except ValueError as fault:
        raise Stranger(str(fault)) from None


def _enterprise_of(body: dict[str, Any]) -> Any:
    view, team = body.get("view"), body.get("team")
    installed = view.get("app_installed_team_id") if isinstance(view, dict) else None
    return installed or (team.get("id") if isinstance(team, dict) else None)
