"""Apply requests to response URLs, and responses to slash commands."""

from typing import Any

from simulator import workspace
from simulator.errors import ArgumentsError
from simulator.messages import Message
from simulator.response_urls import ResponseUrl
from simulator.webapi import arguments as args
from simulator.workspace_state import WorkspaceState


def respond(workspace_state: WorkspaceState, url: ResponseUrl, body: dict[str, Any]) -> None:
    """Apply a request to a response URL: post, replace or delete. Raises Slack's error."""
    original = workspace_state.messages.find(url.channel, url.message_ts)
    if body.get("delete_original") and original:
        workspace_state.messages.delete(original)
    elif body.get("replace_original") and original:
        workspace_state.messages.edit(original, *args.content(body, workspace_state.files))
    else:
        post(workspace_state, url, body)
    url.uses_left -= 1


def post(workspace_state: WorkspaceState, url: ResponseUrl, body: dict[str, Any]) -> Message:
    """Post a response. Only the person sees it, unless ``response_type`` is ``in_channel``."""
    kind = body.get("response_type") or "ephemeral"
    if kind not in {"ephemeral", "in_channel"}:
        raise ArgumentsError("must be one of: ephemeral, in_channel [json-pointer:/response_type]")
    text, blocks = args.content(body, workspace_state.files)
    only_for = url.user if kind == "ephemeral" else None
    thread = body.get("thread_ts") or None
    return workspace_state.messages.post(
        url.channel, workspace.BOT_USER_ID, text, blocks, only_for=only_for, thread_ts=thread
    )
