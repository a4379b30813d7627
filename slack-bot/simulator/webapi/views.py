"""views.*: open, push, update and publish views."""

from typing import Any

from simulator.errors import SlackError
from simulator.views import View
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.workspace_state import WorkspaceState


def open_(workspace_state: WorkspaceState, given: Arguments) -> dict[str, Any]:
    """``views.open``: open a form for the person of the trigger."""
    content = args.view(given)
    trigger = workspace_state.triggers.exchange(_trigger_id(given))
    return _answer(given, workspace_state.views.open(trigger.user, content, trigger.channel))


def push(workspace_state: WorkspaceState, given: Arguments) -> dict[str, Any]:
    """``views.push``: open a form on top of the stack."""
    content = args.view(given)
    trigger = workspace_state.triggers.exchange(_trigger_id(given))
    return _answer(given, workspace_state.views.push(trigger.user, content))


def update(workspace_state: WorkspaceState, given: Arguments) -> dict[str, Any]:
    """``views.update``: replace the content of an open form or a home tab."""
    view = workspace_state.views.find(given.get("view_id"), given.get("external_id"))
    content = args.view(given, view.content["type"])
    workspace_state.views.update(view, content, given.get("hash"))
    return _answer(given, view)


def publish(workspace_state: WorkspaceState, given: Arguments) -> dict[str, Any]:
    """``views.publish``: set a person's home tab."""
    user = args.text(given, "user_id")
    content = args.view(given, "home")
    if user not in workspace_state.people:
        raise SlackError("user_not_found")
    return _answer(given, workspace_state.views.publish(user, content, given.get("hash")))


def _trigger_id(given: Arguments) -> str:
    return args.text(given, "trigger_id")


def _answer(given: Arguments, view: View) -> dict[str, Any]:
    view.app_team = args.calling_team(given).id
    return {"view": view.payload()}
