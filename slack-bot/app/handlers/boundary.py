"""The edge of every handler: where a delivery comes from, and that nothing is raised to Slack."""

import logging
from collections.abc import Callable
from typing import Any

from slack_bolt import Ack, BoltContext

from app.errors import Stranger
from app.handlers.person import person_of
from app.services import failure_messages
from app.services.origin import Origin

log = logging.getLogger(__name__)

Body = dict[str, Any]
Handler = Callable[[Ack, Body, BoltContext], None]
Saying = Callable[[str], Body]


def nothing_said(_: str) -> Body:
    """Return the answer to a delivery that nobody waits for."""
    return {}


def guarded(handle: Handler, apology: Saying = nothing_said, refusal: Saying = nothing_said) -> Handler:
    """Log what a handler raises and acknowledge anyway: Slack would show a 404 or repeat the delivery.

    The person gets the `apology` that is made of the request id, a stranger the `refusal` that is made of a
    sentence; it takes the place of an earlier answer.
    """

    def safe(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            handle(ack, body, context)
        except Stranger as fault:
            log.warning("Stranger refused", extra={"request_id": request_id_of(context), "fault": str(fault)})
            ack(**refusal(failure_messages.STRANGER))
        except Exception:  # the edge of a request
            log.exception("Handler failed", extra={"request_id": request_id_of(context)})
            ack(**apology(request_id_of(context)))

    safe.__name__ = handle.__name__  # without functools.wraps: Bolt looks at argument names through it
    return safe


def request_id_of(context: BoltContext) -> str:
    """Return the id that this delivery was given when it came in."""
    return str(context.get("request_id", ""))


def origin_of(body: Body, context: BoltContext) -> Origin:
    """Return where a delivery comes from, for commands and interactions alike; raises `Stranger`."""
    return Origin(
        request_id=request_id_of(context),
        person=person_of(body),
        trigger_id=str(body.get("trigger_id", "")),
        channel=str(body.get("channel_id", "")),
        response_url=str(body.get("response_url", "")),
    )
