"""Parse the arguments of a Web API call. Bodies are JSON or forms; blocks and views are JSON in both."""

import json
from typing import Any

from simulator.blockkit import surfaces
from simulator.errors import ArgumentsError, SlackError
from simulator.files import Files
from simulator.workspace import HOME, Team

Arguments = dict[str, Any]
CALLING_TEAM = "simulator.team"  # the key of the workspace whose token the call has
NESTED = ("blocks", "view", "attachments", "metadata", "files")


def parse(content_type: str, body: bytes, form: dict[str, str]) -> Arguments:
    """Return the arguments of a call. ``form`` contains the decoded query and form fields."""
    arguments: Arguments = dict(form)
    if content_type.startswith("application/json"):
        arguments |= _parse_json_object(body)
    for name in NESTED:
        if isinstance(arguments.get(name), str):
            arguments[name] = _parse_nested(name, arguments[name])
    return arguments


def find_calling_team(arguments: Arguments) -> Team:
    """Return the workspace whose token the call has."""
    team: Team = arguments.get(CALLING_TEAM, HOME)
    return team


def text(arguments: Arguments, name: str) -> str:
    """Return a required argument. Raises ``invalid_arguments``."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise ArgumentsError(f"missing required field: {name}")
    return value


def view(arguments: Arguments, kind: str = "modal") -> dict[str, Any]:
    """Return a valid view of that type. Raises ``invalid_arguments`` or ``view_too_large``."""
    content = arguments.get("view")
    if content is None:
        raise ArgumentsError("missing required field: view")
    if surfaces.view_size(content) > surfaces.LARGEST_VIEW_BYTES:
        raise SlackError("view_too_large")
    problems = surfaces.check_view(content, kind)
    if problems:
        raise ArgumentsError(*problems)
    return dict(content)


def content(arguments: Arguments, files: Files) -> tuple[str, list[surfaces.Block]]:
    """Return the text and the blocks of a message. Raises Slack's error if they are invalid."""
    text = arguments.get("text") or ""
    blocks = arguments.get("blocks") or []
    if not isinstance(text, str):
        raise ArgumentsError("must be a string [json-pointer:/text]")
    if len(text) > surfaces.MAX_MESSAGE_CHARACTERS:
        raise SlackError("msg_too_long")
    if problems := surfaces.check_message(blocks):
        raise _build_blocks_error(problems)
    files.check_blocks(blocks)
    if surfaces.text_length(blocks) > surfaces.MAX_BLOCKS_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    if not text.strip() and not blocks:
        raise SlackError("no_text")
    return text, surfaces.add_ids(blocks)


def _build_blocks_error(problems: list[str]) -> SlackError:
    error = ArgumentsError(*problems, code="invalid_blocks")
    error.extra["errors"] = problems
    return error


def _parse_json_object(body: bytes) -> Arguments:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise SlackError("invalid_json") from None
    if not isinstance(value, dict):
        raise SlackError("json_not_object")
    return value


def _parse_nested(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        if name == "blocks":
            raise SlackError("invalid_blocks_format") from None
        raise ArgumentsError(f"must be valid json [json-pointer:/{name}]") from None
