"""Handle `/order`."""

from slack_bolt import Ack, BoltContext

from app.blocks.orders.messages import ORDER_HELP
from app.blocks.text import escape
from app.errors import InvalidCommand, QueueFull
from app.forms.command import HelpRequest
from app.forms.orders.command import parse_order_command
from app.handlers.boundary import Body, build_private_response, get_origin, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.orders.form import open_order_form

HELP_HINT = "`/order help` shows more."


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the command."""

    def handle_order_command(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            order_command = parse_order_command(str(body.get("text", "")))
        except InvalidCommand as error:
            ack(**build_private_response(f"{escape(str(error))} {HELP_HINT}"))
            return
        if isinstance(order_command, HelpRequest):
            ack(**build_private_response(ORDER_HELP))
            return
        origin = get_origin(body, context)
        ack()
        if not services.recent_deliveries.add(origin.trigger_id):
            return
        try:
            services.form_workers.submit(
                origin.request_id,
                open_order_form,
                services,
                origin,
                order_command,
                failure_messages.ORDER_AGAIN,
            )
        except QueueFull:
            ack(**build_private_response(failure_messages.BUSY))

    def build_error_response(request_id: str) -> Body:
        return build_private_response(
            failure_messages.describe_bot_error(request_id, failure_messages.ORDER_AGAIN)
        )

    registry.command("/order")(
        guard_handler(handle_order_command, build_error_response, build_private_response)
    )
