"""files.*: upload files in three steps."""

from typing import Any

from simulator import workspace
from simulator.errors import ArgumentsError, SlackError
from simulator.files import MAX_FILE_BYTES, UPLOAD_PREFIX
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.workspace_state import WorkspaceState


def get_upload_url(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``files.getUploadURLExternal``: return the address for the content of a file."""
    length = str(arguments.get("length", ""))
    if not (length.isascii() and length.isdigit() and 0 < int(length) <= MAX_FILE_BYTES):
        raise ArgumentsError(f"must be a number from 1 to {MAX_FILE_BYTES} [json-pointer:/length]")
    name = args.text(arguments, "filename").replace("/", "_")
    file = workspace_state.files.reserve(name, int(length), str(arguments.get("alt_txt") or ""))
    return {"upload_url": f"{workspace_state.base_url}{UPLOAD_PREFIX}/{file.token}", "file_id": file.id}


def complete_upload(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``files.completeUploadExternal``: finish uploads, and post the files in a channel."""
    rows = arguments.get("files")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ArgumentsError("must be an array of files [json-pointer:/files]")
    reference = str(arguments.get("channel_id") or "")
    channel = workspace_state.get_channel_for_bot(reference) if reference else None
    thread = arguments.get("thread_ts") or None
    if channel and thread and workspace_state.messages.find(channel.id, thread) is None:
        raise SlackError("thread_not_found")
    uploaded = [
        workspace_state.files.complete(str(row.get("id", "")), str(row.get("title") or "")) for row in rows
    ]
    payloads = [file.payload(workspace_state.base_url) for file in uploaded]
    if channel:
        text = str(arguments.get("initial_comment") or "")
        workspace_state.messages.post(
            channel.id, workspace.BOT_USER_ID, text, thread_ts=thread, files=payloads
        )
    return {"files": payloads}
