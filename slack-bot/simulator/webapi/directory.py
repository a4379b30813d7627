"""auth.test, conversations.* and users.*: people and channels."""

from typing import Any

from simulator import workspace
from simulator.errors import SlackError
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.workspace import Channel, Person
from simulator.workspace_state import WorkspaceState


def auth_test(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``auth.test``: return the owner of the token."""
    team = args.find_calling_team(arguments)
    return {
        "url": f"{workspace_state.base_url}/",
        "team": team.name,
        "user": workspace_state.manifest.bot_name.lower(),
        "team_id": team.id,
        "user_id": workspace.BOT_USER_ID,
        "bot_id": workspace.BOT_ID,
        "is_enterprise_install": False,
    }


def conversations_open(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``conversations.open``: return the direct message with one person."""
    if arguments.get("channel"):
        return {
            "channel": {"id": workspace_state.channel(args.text(arguments, "channel")).id},
            "no_op": True,
            "already_open": True,
        }
    users = arguments.get("users") or ""
    names = users if isinstance(users, list) else [name for name in str(users).split(",") if name]
    if not names:
        raise SlackError("users_list_not_supplied")
    if len(names) != 1 or names[0] not in workspace_state.people:
        raise SlackError("user_not_found")
    channel = workspace_state.channel(names[0])
    return {"channel": {"id": channel.id}, "no_op": True, "already_open": True}


def conversations_info(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``conversations.info``: return a channel. Private channels require that the bot is a member."""
    channel = workspace_state.channel(args.text(arguments, "channel"))
    if channel.kind == "private" and not channel.has_bot:
        raise SlackError("channel_not_found")
    return {"channel": _serialize_channel(channel)}


def users_info(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``users.info``: return one person."""
    person = workspace_state.people.get(args.text(arguments, "user"))
    if person is None:
        raise SlackError("user_not_found")
    return {"user": describe_person(workspace_state, person)}


def _serialize_channel(channel: Channel) -> dict[str, Any]:
    about: dict[str, Any] = {"id": channel.id, "created": 1_700_000_000, "is_archived": channel.archived}
    if channel.kind == "im":
        return about | {"is_im": True, "user": channel.name, "is_open": True}
    return about | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.kind == "channel",
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.kind == "private",
        "is_member": channel.has_bot,
        "is_general": channel.name == "general",
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "context_team_id": workspace.TEAM_ID,
    }


def users_list(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``users.list``: return the people of the workspace, on one page."""
    team = args.find_calling_team(arguments)
    people = [person for person in workspace_state.people.values() if person.team is team]
    return {"members": [describe_person(workspace_state, person) for person in people], "cache_ts": 0}


def usergroups_users_list(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``usergroups.users.list``: return the members of a user group of the first workspace."""
    group = workspace_state.groups.find(args.text(arguments, "usergroup"))
    if args.find_calling_team(arguments) is not workspace.HOME:
        raise SlackError("no_such_subteam")
    return {"users": sorted(group.members - workspace_state.deactivated)}


def conversations_history(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``conversations.history``: return direct messages, newest first. Other channels need another scope."""
    channel = workspace_state.get_channel_for_bot(args.text(arguments, "channel"))
    if channel.kind != "im":
        raise SlackError("missing_scope")
    oldest = float(arguments.get("oldest") or 0)
    messages = [
        message for message in workspace_state.messages.all(channel.id) if float(message.ts) >= oldest
    ]
    return {
        "messages": [message.payload() | {"metadata": message.metadata} for message in reversed(messages)]
    }


def describe_person(workspace_state: WorkspaceState, person: Person) -> dict[str, Any]:
    """Return a person in the format of Slack's API."""
    return {
        "id": person.id,
        "team_id": person.team.id,
        "name": person.name,
        "real_name": person.real_name,
        "deleted": person.id in workspace_state.deactivated,
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "is_admin": False,
        "is_bot": False,
        "is_app_user": False,
        "updated": 1_700_000_000,
        "profile": {
            "real_name": person.real_name,
            "real_name_normalized": person.real_name,
            "display_name": person.name,
            "display_name_normalized": person.name,
            "title": person.title,
            "team": person.team.id,
        },
    }
