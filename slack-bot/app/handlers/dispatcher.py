"""Handle the requests that Slack sends for a workspace.

Bolt passes each request through its middleware, which takes longer than everything else until the
acknowledgement. It reads the requests, and responds to the requests that belong to no workspace.
"""

import logging
import secrets

from slack_bolt import Ack, BoltRequest, BoltResponse

from app.handlers.installation_check import build_refusal, find_refusal, log_refusal
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services

log = logging.getLogger(__name__)

NOT_HANDLED = '{"error": "unhandled request"}'


class RequestDispatcher:
    """Run the handler of each request, after the check of the installation."""

    def __init__(self, services: Services, registry: HandlerRegistry):
        self._services = services
        self._registry = registry

    def dispatch(self, req: BoltRequest) -> BoltResponse:
        """Return the response to a request. 404 if it has no handler."""
        request_id = req.context.setdefault("request_id", create_request_id())
        if reason := find_refusal(self._services, req.context):
            log_refusal(req.context, reason)
            return build_refusal(req.body, reason)
        handler = self._registry.find(req.body)
        if handler is None:
            log.warning("Request without a handler", extra={"request_id": request_id})
            return BoltResponse(status=404, body=NOT_HANDLED)
        ack: Ack = req.context.ack
        handler(ack, req.body, req.context)
        return ack.response or BoltResponse(status=200, body="")


def create_request_id() -> str:
    """Return a new request id."""
    return f"req-{secrets.token_hex(8)}"
