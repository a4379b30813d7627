"""Respond to requests of the service one by one, for programs that react to events, such as live trading."""

from collections.abc import Callable, Mapping
from typing import Any

from app.sandbox.child.main import ChildEnvironment
from app.sandbox.child.watchdog import ChildWatchdog
from app.sandbox.rules.frames import Frame

HandleRequest = Callable[[Mapping[str, Any]], dict[str, Any]]


def serve_requests(environment: ChildEnvironment, handle: HandleRequest) -> None:
    """Answer each request by the fields that `handle` returns. An exception ends the child, and is reported.

    Each request has the time of a callback. The loop ends with the pipe.
    """
    count = 0
    watchdog = ChildWatchdog(environment.limits, lambda: count)
    while True:
        frame = environment.channel.receive()
        count += 1
        watchdog.start()
        fields = handle(frame.fields)
        watchdog.stop()
        reply = {"fields": fields, "log": environment.output.take()}
        environment.channel.send(Frame("reply", reply))
