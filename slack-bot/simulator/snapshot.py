"""Serialize the state: the screen of one person, or everything."""

from typing import Any

from simulator import workspace
from simulator.messages import Message
from simulator.workspace import Channel, Person
from simulator.workspace_state import WorkspaceState

MAX_MESSAGES = 200
Json = dict[str, Any]


def serialize_workspace(workspace_state: WorkspaceState) -> Json:
    """Return all channels, all messages including private ones, and the open views."""
    channels = workspace_state.channels.values()
    views = workspace_state.views
    return _serialize_version(workspace_state) | {
        "channels": [
            _serialize_channel(channel)
            | {"messages": [message.serialize() for message in workspace_state.messages.all(channel.id)]}
            for channel in channels
        ],
        "views": {user: [view.serialize() for view in views.stack(user)] for user in workspace_state.people},
        "homes": {user: view.serialize() for user, view in views.homes.items()},
        "faults": workspace_state.faults.serialize(),
    }


def screen(workspace_state: WorkspaceState, person: Person, channel: Channel) -> Json:
    """Return the visible state of a person while a channel is open."""
    joined = [each for each in workspace_state.channels.values() if person.id in each.members]
    messages = workspace_state.messages.visible(channel.id, person.id)[-MAX_MESSAGES:]
    home = workspace_state.views.homes.get(person.id)
    return _serialize_version(workspace_state) | {
        "me": _serialize_person(person),
        "channel": _serialize_channel(channel),
        "channels": [
            _serialize_channel(each) | {"latest": _find_latest(workspace_state, each, person)}
            for each in joined
        ],
        "messages": [message.serialize() for message in messages],
        "views": [view.serialize() for view in workspace_state.views.stack(person.id)],
        "home": home.serialize() if home else None,
        "faults": workspace_state.faults.serialize(),
    }


def _serialize_version(workspace_state: WorkspaceState) -> Json:
    return {
        "boot": workspace_state.boot,
        "version": workspace_state.version,
        "team": {"id": workspace.TEAM_ID, "name": workspace.TEAM_NAME},
        "has_home": "app_home_opened" in workspace_state.manifest.bot_events,
        "bot": {"id": workspace.BOT_USER_ID, "name": workspace_state.manifest.bot_name},
        "system": {"id": workspace.SYSTEM_USER_ID, "name": "Workspace"},
        "people": [
            _serialize_person(person) | {"deleted": person.id in workspace_state.deactivated}
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


def _serialize_person(person: Person) -> Json:
    team = {"id": person.team.id, "name": person.team.name}
    about = {"id": person.id, "name": person.name, "real_name": person.real_name, "title": person.title}
    return about | {"team": team}


def _serialize_channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "topic": channel.topic,
        "archived": channel.archived,
        "has_bot": channel.has_bot,
        "members": sorted(channel.members),
    }


def _find_latest(workspace_state: WorkspaceState, channel: Channel, person: Person) -> str:
    visible: list[Message] = workspace_state.messages.visible(channel.id, person.id)
    return visible[-1].ts if visible else ""
