"""Handle `/trade`."""

from slack_bolt import Ack, BoltContext

from app.blocks.messages import HELP, HELP_HINT
from app.blocks.text import escape
from app.errors import InvalidCommand, QueueFull
from app.forms.command import HelpRequest, parse_command
from app.handlers.boundary import Body, build_private_response, get_origin, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.trades.form import open_form


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the command."""

    def handle_trade_command(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            command = parse_command(str(body.get("text", "")))
        except InvalidCommand as error:
            _send_reply(ack, f"{escape(str(error))} {HELP_HINT}")
            return
        if isinstance(command, HelpRequest):
            _send_reply(ack, HELP)
            return
        origin = get_origin(body, context)
        ack()
        if not services.recent_deliveries.add(origin.trigger_id):
            return
        try:
            services.form_workers.submit(
                origin.request_id, open_form, services, origin, command, failure_messages.TRADE_AGAIN
            )
        except QueueFull:
            _send_reply(ack, failure_messages.BUSY)

    registry.command("/trade")(
        guard_handler(handle_trade_command, _build_error_response, build_private_response)
    )


def _send_reply(ack: Ack, text: str) -> None:
    """Reply so that only the person sees it. This replaces an earlier response of `ack()`."""
    ack(**build_private_response(text))


def _build_error_response(request_id: str) -> Body:
    return build_private_response(
        failure_messages.describe_bot_error(request_id, failure_messages.TRADE_AGAIN)
    )
