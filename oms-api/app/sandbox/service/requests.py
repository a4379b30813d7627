"""Send requests to a child that serves requests: see `app.sandbox.child.requests`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.sandbox.errors import InvalidFrame
from app.sandbox.rules.frames import Frame
from app.sandbox.service.children import Child


class Reply(NamedTuple):
    """The response of a child: its fields, which are not trusted, and the output and log of the strategy."""

    fields: Mapping[str, Any]
    log: str


def send_request(child: Child, fields: Mapping[str, Any]) -> Reply:
    """Send a request, and return its reply. Raises SandboxError: the child has ended then."""
    child.send(Frame("request", dict(fields)))
    frame = child.receive()
    reply_fields, log = frame.fields.get("fields"), frame.fields.get("log")
    if frame.kind != "reply" or not isinstance(reply_fields, dict) or not isinstance(log, str):
        child.kill()
        raise InvalidFrame("The strategy process sent a message that is not a reply.")
    return Reply(reply_fields, log)
