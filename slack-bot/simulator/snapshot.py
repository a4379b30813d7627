"""Serialize the state: the screen of one person, or everything."""

from typing import Any

from simulator import workspace
from simulator.messages import Message
from simulator.workspace import Channel, Person
from simulator.workspace_state import WorkspaceState

MAX_MESSAGES = 200
Json = dict[str, Any]


def everything(workspace_state: WorkspaceState) -> Json:
    """Return all channels, all messages including private ones, and the open views."""
    channels = workspace_state.channels.values()
    views = workspace_state.views
    return _about(workspace_state) | {
        "channels": [
            _channel(channel)
            | {"messages": [message.as_json() for message in workspace_state.messages.all(channel.id)]}
            for channel in channels
        ],
        "views": {user: [view.as_json() for view in views.stack(user)] for user in workspace_state.people},
        "homes": {user: view.as_json() for user, view in views.homes.items()},
        "faults": workspace_state.faults.as_json(),
    }


def screen(workspace_state: WorkspaceState, person: Person, channel: Channel) -> Json:
    """Return what a person sees while a channel is open."""
    joined = [each for each in workspace_state.channels.values() if person.id in each.members]
    messages = workspace_state.messages.visible(channel.id, person.id)[-MAX_MESSAGES:]
    home = workspace_state.views.homes.get(person.id)
    return _about(workspace_state) | {
        "me": _person(person),
        "channel": _channel(channel),
        "channels": [_channel(each) | {"latest": _latest(workspace_state, each, person)} for each in joined],
        "messages": [message.as_json() for message in messages],
        "views": [view.as_json() for view in workspace_state.views.stack(person.id)],
        "home": home.as_json() if home else None,
        "faults": workspace_state.faults.as_json(),
    }


def _about(workspace_state: WorkspaceState) -> Json:
    return {
        "boot": workspace_state.boot,
        "version": workspace_state.version,
        "team": {"id": workspace.TEAM_ID, "name": workspace.TEAM_NAME},
        "has_home": "app_home_opened" in workspace_state.manifest.bot_events,
        "bot": {"id": workspace.BOT_USER_ID, "name": workspace_state.manifest.bot_name},
        "system": {"id": workspace.SYSTEM_USER_ID, "name": "Workspace"},
        "people": [
            _person(person) | {"deleted": person.id in workspace_state.deactivated}
            for person in workspace_state.people.values()
        ],
        "groups": [
            {"id": group.id, "handle": group.handle, "name": group.name, "members": sorted(group.members)}
            for group in workspace_state.groups.by_id.values()
        ],
        "workspaces": [
            {
                "id": team.id,
                "name": team.name,
                "installed": workspace_state.installations.is_installed(team),
            }
            for team in workspace.WORKSPACES
        ],
        "install_url": f"{workspace_state.bot_url}/slack/install",
        "commands": [vars(command) for command in workspace_state.manifest.commands],
    }


def _person(person: Person) -> Json:
    team = {"id": person.team.id, "name": person.team.name}
    about = {"id": person.id, "name": person.name, "real_name": person.real_name, "title": person.title}
    return about | {"team": team}


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "topic": channel.topic,
        "archived": channel.archived,
        "has_bot": channel.has_bot,
        "members": sorted(channel.members),
    }


def _latest(workspace_state: WorkspaceState, channel: Channel, person: Person) -> str:
    visible: list[Message] = workspace_state.messages.visible(channel.id, person.id)
    return visible[-1].ts if visible else ""
