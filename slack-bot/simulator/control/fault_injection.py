"""Serve the routes for faults, repeats, the clock, memberships, events and resets: /control/…."""

import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from flask import Blueprint

from simulator import workspace
from simulator.assembly import Simulator
from simulator.control.body import Body
from simulator.errors import ActError, SlackError
from simulator.faults import CallFault, DeliveryFault
from simulator.request_log import Entry
from simulator.workspace import Channel

MAX_REPEATS = 50
Fault = TypeVar("Fault", CallFault, DeliveryFault)
Json = dict[str, Any]


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes that inject faults and change the state."""
    routes = Blueprint("fault_injection", __name__, url_prefix="/control")
    _add_fault_routes(routes, simulator)
    _add_state_routes(routes, simulator)
    return routes


def _add_fault_routes(routes: Blueprint, simulator: Simulator) -> None:
    workspace_state = simulator.workspace_state

    @routes.post("/faults/calls")
    def fail_calls() -> Json:
        fault = _parse_fault(CallFault, Body())
        with workspace_state.change():
            workspace_state.faults.calls.append(fault)
            return workspace_state.faults.serialize()

    @routes.post("/faults/deliveries")
    def fail_deliveries() -> Json:
        fault = _parse_fault(DeliveryFault, Body())
        with workspace_state.change():
            workspace_state.faults.deliveries.append(fault)
            return workspace_state.faults.serialize()

    @routes.post("/faults/clear")
    def clear_faults() -> Json:
        with workspace_state.change():
            workspace_state.faults.calls.clear()
            workspace_state.faults.deliveries.clear()
            return workspace_state.faults.serialize()


def _add_state_routes(routes: Blueprint, simulator: Simulator) -> None:
    workspace_state = simulator.workspace_state

    @routes.post("/repeat")
    def repeat() -> Json:
        return {"deliveries": _repeat_delivery(simulator, Body())}

    @routes.post("/event")
    def event() -> Json:
        inner = Body().fields.get("event")
        if not isinstance(inner, dict) or "type" not in inner:
            raise ActError("event must be an object with a type.", 400)
        return {"event_id": simulator.events.put(inner)}

    @routes.post("/clock")
    def clock() -> Json:
        seconds = Body().number("advance_seconds", 0, 0, 366 * 86_400)
        with workspace_state.change():
            workspace_state.clock.advance(seconds)
            return {"now": workspace_state.clock.now()}

    @routes.post("/membership")
    def membership() -> Json:
        body = Body()
        with workspace_state.change():
            return _set_membership(simulator, body)

    @routes.post("/reset")
    def reset() -> Json:
        simulator.reset()
        return {"version": workspace_state.version}


def _parse_fault(kind: type[Fault], body: Body) -> Fault:
    field_types = {field.name: type(field.default) for field in fields(kind)}
    for name, value in body.fields.items():
        fits = name in field_types and isinstance(
            value, (int, float) if field_types[name] is float else field_types[name]
        )
        if not fits:
            raise ActError(
                f"{name} does not fit: {', '.join(f'{n} ({t.__name__})' for n, t in field_types.items())}.",
                400,
            )
    return kind(**body.fields)


def _repeat_delivery(simulator: Simulator, body: Body) -> list[Entry]:
    times = int(body.number("times", 1, 1, MAX_REPEATS))
    with simulator.workspace_state.news:
        entry = simulator.workspace_state.request_log.find_delivery(body.fields.get("delivery"))
    if entry is None:
        raise ActError("There is no such delivery.", 404)
    fresh = body.optional_text("signature") != "same"
    delivery_ids: list[int] = []

    def send_again() -> None:
        delivery_ids.append(simulator.request_sender.repeat(entry, fresh).delivery_id)

    _run_repeatedly(send_again, times, at_once=body.flag("at_once"))
    with simulator.workspace_state.news:
        deliveries = [
            simulator.workspace_state.request_log.find_delivery(delivery_id) for delivery_id in delivery_ids
        ]
    return [repeated for repeated in deliveries if repeated]


def _run_repeatedly(work: Callable[[], None], times: int, at_once: bool) -> None:
    if not at_once:
        for _ in range(times):
            work()
        return
    threads = [threading.Thread(target=work, daemon=True) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _set_membership(simulator: Simulator, body: Body) -> Json:
    channel = _find_channel(simulator, body.text("channel"))
    name = body.text("user")
    user = workspace.BOT_USER_ID if name == "bot" else simulator.actor(name).person.id
    if body.flag("member"):
        channel.members.add(user)
    else:
        channel.members.discard(user)
    return {"channel": channel.id, "members": sorted(channel.members)}


def _find_channel(simulator: Simulator, reference: str) -> Channel:
    try:
        return simulator.workspace_state.channel(reference)
    except SlackError:
        raise ActError(f"There is no channel {reference}.", 404) from None
