"""Wrap handlers: find the origin of a request, and let no exception reach Slack."""

import logging
from collections.abc import Callable
from typing import Any

from slack_bolt import Ack, BoltContext

from app.blocks import views
from app.blocks.messages import build_notice
from app.errors import ForeignPerson
from app.handlers.person import get_person
from app.handlers.registry import Handler
from app.services import failure_messages
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

Body = dict[str, Any]
BuildResponse = Callable[[str], Body]


def build_empty_response(_: str) -> Body:
    """Return an empty response, for requests whose response Slack ignores."""
    return {}


def guard_handler(
    handle: Handler,
    build_error_response: BuildResponse = build_empty_response,
    build_refusal_response: BuildResponse = build_empty_response,
) -> Handler:
    """Return a handler that logs exceptions and acknowledges the request anyway.

    Without an acknowledgement, Slack shows an error or repeats the request. `build_error_response` gets the
    request id. `build_refusal_response` gets the sentence for a person of another workspace. Both responses
    replace an earlier one.
    """

    def handle_safely(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            handle(ack, body, context)
        except ForeignPerson as error:
            log.warning(
                "Foreign person refused", extra={"request_id": get_request_id(context), "fault": str(error)}
            )
            ack(**build_refusal_response(failure_messages.FOREIGN_PERSON))
        except Exception:  # an exception must not reach Slack
            log.exception("Handler failed", extra={"request_id": get_request_id(context)})
            ack(**build_error_response(get_request_id(context)))

    handle_safely.__name__ = (
        handle.__name__
    )  # not functools.wraps: Bolt would inspect the argument names of the wrapped function
    return handle_safely


def build_private_response(text: str) -> Body:
    """Return the response to a command that only the person sees."""
    message = build_notice(text)
    return {"text": message.text, "blocks": list(message.blocks), "response_type": "ephemeral"}


def build_push(sentence: str) -> Body:
    """Return the response that shows a refusal over the form."""
    return {"response_action": "push", "view": views.build_refused_view(sentence)}


def build_pushed_error(request_id: str) -> Body:
    """Return a view to push over the form, which keeps its entries and its idempotency key."""
    view = views.build_failed_view(failure_messages.describe_form_error(request_id))
    return {"response_action": "push", "view": view}


def get_request_id(context: BoltContext) -> str:
    """Return the request id that was assigned when the request arrived."""
    return str(context.get("request_id", ""))


def get_origin(body: Body, context: BoltContext) -> RequestOrigin:
    """Return the origin of a command or an interaction. Raises `ForeignPerson`.

    The request is handled with the bot token and the OMS key of the workspace of the person.
    """
    person = get_person(body)
    if person.team != context.team_id:
        raise ForeignPerson(f"The person is of workspace {person.team}, the request is of {context.team_id}.")
    return RequestOrigin(
        request_id=get_request_id(context),
        person=person,
        trigger_id=str(body.get("trigger_id", "")),
        channel=str(body.get("channel_id", "")),
        response_url=str(body.get("response_url", "")),
    )
