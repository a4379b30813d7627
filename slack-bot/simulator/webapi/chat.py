"""chat.*: post and update messages."""

from typing import Any

from simulator import workspace
from simulator.errors import SlackError
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.workspace_state import WorkspaceState


def post_message(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``chat.postMessage``: post to a channel that the bot is in, or to a person."""
    channel = workspace_state.get_channel_for_bot(args.text(arguments, "channel"))
    text, blocks = args.content(arguments, workspace_state.files)
    thread = arguments.get("thread_ts") or None
    if thread and workspace_state.messages.find(channel.id, thread) is None:
        raise SlackError("thread_not_found")
    message = workspace_state.messages.post(channel.id, workspace.BOT_USER_ID, text, blocks, thread_ts=thread)
    message.metadata = arguments.get("metadata") or {}
    return {"channel": channel.id, "ts": message.ts, "message": message.payload()}


def post_ephemeral(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``chat.postEphemeral``: post to one person in the channel."""
    channel = workspace_state.get_channel_for_bot(args.text(arguments, "channel"))
    user = args.text(arguments, "user")
    text, blocks = args.content(arguments, workspace_state.files)
    if user not in channel.members or user not in workspace_state.people:
        raise SlackError("user_not_in_channel")
    thread = arguments.get("thread_ts") or None
    message = workspace_state.messages.post(
        channel.id, workspace.BOT_USER_ID, text, blocks, only_for=user, thread_ts=thread
    )
    return {"message_ts": message.ts}


def update(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``chat.update``: replace a message of the bot."""
    channel = workspace_state.get_channel_for_bot(args.text(arguments, "channel"))
    message = workspace_state.messages.find(channel.id, args.text(arguments, "ts"))
    text, blocks = args.content(arguments, workspace_state.files)
    if message is None or message.only_for:
        raise SlackError("message_not_found")
    if not message.from_bot:
        raise SlackError("cant_update_message")
    workspace_state.messages.edit(message, text, blocks)
    return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.payload()}
