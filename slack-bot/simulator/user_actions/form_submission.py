"""Submit and close forms, and apply the bot's response."""

from collections.abc import Callable
from typing import Any

from simulator import payloads
from simulator.blockkit.surfaces import list_interactive
from simulator.errors import SlackError
from simulator.request_delivery import Reply
from simulator.user_actions.actor import CONNECTION_ERROR, Actor, Outcome
from simulator.user_actions.form_checks import check_values
from simulator.user_actions.sources import Source
from simulator.views import View
from simulator.webapi import arguments as args


def submit(actor: Actor, view_id: str | None, values: dict[str, dict[str, Any]]) -> Outcome:
    """Fill in and submit a form.

    Return ``outcome``: closed, errors, updated, pushed, cleared or failed.
    """
    with actor.workspace_state.change():
        view = actor.view(view_id)
        Source(actor, view, None, None).fill_in(values)
        view.errors = check_values(view.blocks, view.values)
        view.notice = ""
        if view.errors:
            return {"outcome": "errors", "errors": view.errors, "sent": False}
        trigger = actor.workspace_state.triggers.issue(actor.person.id, view.channel)
        urls = _create_response_urls(actor, view)
        request = payloads.interaction(payloads.view_submission(actor.person, view, trigger, urls))
    reply = actor.request_sender.send(request)
    with actor.workspace_state.change():
        return _apply_reply(actor, view, reply) | {"sent": True, "delivery": reply.delivery_id}


def close(actor: Actor, view_id: str | None, everything: bool) -> Outcome:
    """Close one form, or the complete stack with ``everything``. Notify the bot if a view requests it."""
    with actor.workspace_state.change():
        view = actor.view(view_id)
        stack = actor.workspace_state.views.stack(actor.person.id)
        everything = everything or bool(view.content.get("clear_on_close"))
        closing = list(reversed(stack)) if everything else [view]
        for closed in closing:
            actor.workspace_state.views.close(closed)
    for closed in closing:
        if closed.content.get("notify_on_close"):
            actor.request_sender.send(
                payloads.interaction(payloads.view_closed(actor.person, closed, everything))
            )
    return {"outcome": "closed"}


def _create_response_urls(actor: Actor, view: View) -> list[payloads.Payload]:
    urls = []
    for block, element in list_interactive(view.blocks):
        if element.get("response_url_enabled"):
            state = view.values[block["block_id"]][element["action_id"]]
            channel = state.get("selected_conversation") or state.get("selected_channel")
            if channel:
                urls.append(_create_response_url(actor, block["block_id"], element["action_id"], channel))
    return urls


def _create_response_url(actor: Actor, block_id: str, action_id: str, channel: str) -> payloads.Payload:
    path = actor.workspace_state.response_urls.issue(channel, actor.person.id)
    url = actor.workspace_state.base_url + path
    return {"block_id": block_id, "action_id": action_id, "channel_id": channel, "response_url": url}


def _apply_reply(actor: Actor, view: View, reply: Reply) -> Outcome:
    try:
        return _apply_response(actor, view, reply)
    except SlackError as error:
        return _report_problem(actor, view, reply, f"{error.code} {error.extra or ''}".strip())


def _apply_response(actor: Actor, view: View, reply: Reply) -> Outcome:
    if not reply.ok:
        return _report_problem(actor, view, reply, "")
    if not reply.body.strip():
        return _close_form(actor, view, {})
    body = reply.json()
    apply = RESPONSE_ACTIONS.get(body.get("response_action", "")) if isinstance(body, dict) else None
    if apply is None and body != {}:
        return _report_problem(actor, view, reply, "the response names no response_action that is known")
    return (apply or _close_form)(actor, view, body)


def _report_problem(actor: Actor, view: View, reply: Reply, problem: str) -> Outcome:
    view.notice = CONNECTION_ERROR
    if problem:
        actor.record_problem(reply, problem)
    return {"outcome": "failed", "notice": CONNECTION_ERROR, "problem": problem}


def _close_form(actor: Actor, view: View, _response: dict[str, Any]) -> Outcome:
    actor.workspace_state.views.close(view)
    return {"outcome": "closed"}


def _show_errors(_actor: Actor, view: View, response: dict[str, Any]) -> Outcome:
    errors = response.get("errors")
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not errors.keys() <= inputs:
        raise SlackError("invalid_errors", errors=errors, input_blocks=sorted(inputs))
    view.errors = {block_id: str(sentence) for block_id, sentence in errors.items()}
    return {"outcome": "errors", "errors": view.errors}


def _update_form(actor: Actor, view: View, response: dict[str, Any]) -> Outcome:
    actor.workspace_state.views.update(view, args.view(response))
    return {"outcome": "updated"}


def _push_form(actor: Actor, _view: View, response: dict[str, Any]) -> Outcome:
    actor.workspace_state.views.push(actor.person.id, args.view(response))
    return {"outcome": "pushed"}


def _close_all_forms(actor: Actor, _view: View, _response: dict[str, Any]) -> Outcome:
    actor.workspace_state.views.clear(actor.person.id)
    return {"outcome": "cleared"}


RESPONSE_ACTIONS: dict[str, Callable[[Actor, View, dict[str, Any]], Outcome]] = {
    "errors": _show_errors,
    "update": _update_form,
    "push": _push_form,
    "clear": _close_all_forms,
}
