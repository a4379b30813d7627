"""Use elements: buttons, selects, pickers, and requests for options."""

from typing import Any

from simulator import payloads
from simulator.blockkit import options as option_rules
from simulator.blockkit.surfaces import Block
from simulator.errors import ActError
from simulator.request_delivery import Reply
from simulator.user_actions.actor import CONNECTION_ERROR, Actor, Outcome
from simulator.user_actions.sources import Source

BUTTON_FIELDS = ("text", "value", "style")


def use_element(
    source: Source, block_id: str | None, action_id: str, value: Any, values: dict[str, Any]
) -> Outcome:
    """Click a button or choose a value. ``values`` contains further values of the form."""
    actor = source.actor
    with actor.workspace_state.change():
        block, element = source.find(block_id, action_id)
        source.fill_in(values)
        action = _build_action(source, block, element, value)
        if not _is_dispatching(block):
            return {"outcome": "kept"}
        channel = source.channel.id if source.channel else source.view.channel if source.view else None
        trigger = actor.workspace_state.triggers.issue(actor.person.id, channel)
        request = payloads.interaction(source.action(action, trigger))
    reply = actor.request_sender.send(request)
    if reply.ok:
        return {"outcome": "answered", "delivery": reply.delivery_id}
    return _report_failure(source, reply)


def load_options(source: Source, block_id: str | None, action_id: str, query: str) -> Outcome:
    """Request the options of an external select from the bot, and store them."""
    actor = source.actor
    with actor.workspace_state.change():
        block, element = source.find(block_id, action_id)
        if element["type"] not in {"external_select", "multi_external_select"}:
            raise ActError(f"{action_id} is not an external select.")
        fields = {"block_id": block["block_id"], "action_id": action_id, "value": query}
        request = payloads.interaction(source.build_options_request(fields))
    reply = actor.request_sender.send(request)
    body = reply.json()
    problems = option_rules.check_options_response(body) if reply.ok else [CONNECTION_ERROR]
    with actor.workspace_state.change():
        if problems:
            actor.record_problem(reply, "; ".join(problems))
            return {"options": [], "problem": problems[0], "delivery": reply.delivery_id}
        source.store_options(block, element, option_rules.list_options(body))
    return {
        "options": option_rules.list_options(body),
        "groups": body.get("option_groups") or [],
        "problem": "",
    }


def _build_action(source: Source, block: Block, element: Block, value: Any) -> payloads.Payload:
    clock = source.actor.workspace_state.clock
    about = {
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "type": element["type"],
        "action_ts": f"{clock.now():.6f}",
    }
    if element["type"] == "button":
        return about | {name: element[name] for name in BUTTON_FIELDS if name in element}
    if element["type"] == "overflow":
        return about | {"selected_option": _find_overflow_option(element, value)}
    return about | source.set(block, element, value)


def _find_overflow_option(element: Block, value: Any) -> Block:
    for option in element["options"]:
        if option["value"] == value:
            return dict(option)
    raise ActError(f"{element['action_id']} offers no option {value!r}.")


def _is_dispatching(block: Block) -> bool:
    return block["type"] != "input" or bool(block.get("dispatch_action"))


def _report_failure(source: Source, reply: Reply) -> Outcome:
    with source.actor.workspace_state.change():
        if source.view:
            source.view.notice = CONNECTION_ERROR
        elif source.channel:
            source.actor.post_note(source.channel, CONNECTION_ERROR)
    return {"outcome": "failed", "notice": CONNECTION_ERROR, "delivery": reply.delivery_id}


def open_app_page(actor: Actor) -> Outcome:
    """Open the home tab of the app. Apps that subscribe to it get an event."""
    channel = actor.channel("dm")
    inner = {"type": "app_home_opened", "user": actor.person.id, "channel": channel.id, "tab": "home"}
    team = actor.workspace_state.installations.get_team(actor.person)
    actor.events.put_if_subscribed("app_home_opened", inner, team)
    return {"outcome": "opened"}
