"""The table of methods and how they are called."""

import hmac
from collections.abc import Callable
from typing import Any

from simulator.errors import SlackError
from simulator.webapi import chat, directory, files, views
from simulator.webapi.arguments import Arguments
from simulator.workspace_state import WorkspaceState

Method = Callable[[WorkspaceState, Arguments], dict[str, Any]]

METHODS: dict[str, Method] = {
    "auth.test": directory.auth_test,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.update": chat.update,
    "conversations.info": directory.conversations_info,
    "conversations.open": directory.conversations_open,
    "files.completeUploadExternal": files.complete_upload,
    "files.getUploadURLExternal": files.get_upload_url,
    "users.info": directory.users_info,
    "views.open": views.open_,
    "views.publish": views.publish,
    "views.push": views.push,
    "views.update": views.update,
}


def call(
    workspace_state: WorkspaceState, name: str, token: str, bot_token: str, given: Arguments
) -> dict[str, Any]:
    """Check the token and run one method. Return Slack's answer, also for an error."""
    method = METHODS.get(name)
    if method is None:
        return SlackError("unknown_method", req_method=name).answer()
    try:
        _check_token(token, bot_token)
        with workspace_state.change():
            return {"ok": True} | method(workspace_state, given)
    except SlackError as error:
        return error.answer()


def _check_token(token: str, bot_token: str) -> None:
    if not token:
        raise SlackError("not_authed")
    if not hmac.compare_digest(token.encode(), bot_token.encode()):
        raise SlackError("invalid_auth")
