"""Identify the person of an event."""

from collections.abc import Mapping
from typing import Any

from app.errors import ForeignPerson, SlackError
from app.oms_client import Person
from app.services.dependencies import Services


def find_event_person(services: Services, event: Mapping[str, Any]) -> Person:
    """Return the person who caused an event.

    Messages name the workspace of their author. Other events do not, so Slack is asked once per person.
    Raises `ForeignPerson` for a person of another workspace than the app's.
    """
    user = event.get("user")
    if not isinstance(user, str):
        raise ForeignPerson("No person is named.")
    try:
        installed = services.slack.installation.get().team_id
        team = event.get("user_team") or event.get("team") or _find_team(services, user, installed)
    except SlackError as error:
        raise ForeignPerson(f"The workspace of the person is not known: {error}") from None
    if team != installed:
        raise ForeignPerson(f"The person is of workspace {team}, the app is of {installed}.")
    try:
        return Person(str(team), user)
    except ValueError as error:
        raise ForeignPerson(str(error)) from None


def _find_team(services: Services, user: str, installed: str) -> str:
    member = f"{installed}:{user}"
    if member in services.known_members:
        return installed
    team = services.reply_sender.find_team(user)
    if team == installed:
        services.known_members.add(member)
    return team
