"""The table of methods and how they are called."""

from collections.abc import Callable
from typing import Any

from simulator.errors import SlackError
from simulator.webapi import chat, directory, files, views
from simulator.webapi.arguments import CALLING_TEAM, Arguments
from simulator.workspace import Team
from simulator.workspace_state import WorkspaceState

Method = Callable[[WorkspaceState, Arguments], dict[str, Any]]

METHODS: dict[str, Method] = {
    "auth.test": directory.auth_test,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.update": chat.update,
    "conversations.history": directory.conversations_history,
    "conversations.info": directory.conversations_info,
    "conversations.open": directory.conversations_open,
    "files.completeUploadExternal": files.complete_upload,
    "files.getUploadURLExternal": files.get_upload_url,
    "usergroups.users.list": directory.usergroups_users_list,
    "users.info": directory.users_info,
    "users.list": directory.users_list,
    "views.open": views.open_,
    "views.publish": views.publish,
    "views.push": views.push,
    "views.update": views.update,
}


def call(workspace_state: WorkspaceState, name: str, token: str, arguments: Arguments) -> dict[str, Any]:
    """Check the token and run one method. Return Slack's response, also for an error."""
    method = METHODS.get(name)
    if method is None:
        return SlackError("unknown_method", req_method=name).build_response()
    try:
        team = workspace_state.installations.find_team(token)
        with workspace_state.change():
            _check_channel(workspace_state, team, arguments)
            return {"ok": True} | method(workspace_state, arguments | {CALLING_TEAM: team})
    except SlackError as error:
        return error.build_response()


def _check_channel(workspace_state: WorkspaceState, team: Team, arguments: Arguments) -> None:
    """Hide the channels of other workspaces."""
    channel = workspace_state.channels.get(str(arguments.get("channel") or arguments.get("channel_id") or ""))
    if channel is not None and not channel.is_open_to(team):
        raise SlackError("channel_not_found")
