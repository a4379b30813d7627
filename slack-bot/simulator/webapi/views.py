"""views.*: open, push, update and publish views."""

from typing import Any

from simulator.errors import SlackError
from simulator.views import View
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.workspace_state import WorkspaceState


def open_(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``views.open``: open a form for the person of the trigger."""
    content = args.view(arguments)
    trigger = workspace_state.triggers.exchange(_read_trigger_id(arguments))
    return _build_response(arguments, workspace_state.views.open(trigger.user, content, trigger.channel))


def push(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``views.push``: open a form on top of the stack."""
    content = args.view(arguments)
    trigger = workspace_state.triggers.exchange(_read_trigger_id(arguments))
    return _build_response(arguments, workspace_state.views.push(trigger.user, content))


def update(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``views.update``: replace the content of an open form or a home tab."""
    view = workspace_state.views.find(arguments.get("view_id"), arguments.get("external_id"))
    content = args.view(arguments, view.content["type"])
    workspace_state.views.update(view, content, arguments.get("hash"))
    return _build_response(arguments, view)


def publish(workspace_state: WorkspaceState, arguments: Arguments) -> dict[str, Any]:
    """``views.publish``: set a person's home tab."""
    user = args.text(arguments, "user_id")
    content = args.view(arguments, "home")
    if user not in workspace_state.people:
        raise SlackError("user_not_found")
    return _build_response(arguments, workspace_state.views.publish(user, content, arguments.get("hash")))


def _read_trigger_id(arguments: Arguments) -> str:
    return args.text(arguments, "trigger_id")


def _build_response(arguments: Arguments, view: View) -> dict[str, Any]:
    view.app_team = args.find_calling_team(arguments).id
    return {"view": view.payload()}
