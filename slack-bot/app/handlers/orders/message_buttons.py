"""Handle the buttons of an order's message."""

from collections.abc import Callable
from dataclasses import replace

from slack_bolt import Ack, BoltContext

from app.blocks.messages import build_notice
from app.blocks.orders.messages import AGAIN, CANCEL, CHANGE, CLOSE
from app.errors import QueueFull
from app.handlers.boundary import Body, get_origin, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services import failure_messages
from app.services.clicked_message import ClickedMessage, read_clicked_message
from app.services.dependencies import Services
from app.services.orders.actions import cancel_order, close_order_position
from app.services.orders.form import open_form_for_order
from app.services.request_origin import RequestOrigin
from app.services.state.workers import Workers

ButtonAction = Callable[[Services, RequestOrigin, str, ClickedMessage], None]


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the buttons."""
    registry.action(CANCEL)(build_button_handler(services, cancel_order, services.trade_workers))
    registry.action(CLOSE)(build_button_handler(services, close_order_position, services.trade_workers))
    registry.action(CHANGE)(build_button_handler(services, _open_change))
    registry.action(AGAIN)(build_button_handler(services, _open_again))


def build_button_handler(
    services: Services, action: ButtonAction, workers: Workers | None = None
) -> Callable[[Ack, Body, BoltContext], None]:
    """Return a handler that acknowledges a click and runs the action once. The button's value is passed on.

    Without `workers`, those that open forms run it.
    """
    run = (workers or services.form_workers).submit

    @guard_handler
    def handle_click(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        clicked = read_clicked_message(body)
        origin = replace(get_origin(body, context), channel=clicked.channel)
        if not services.recent_deliveries.add(origin.trigger_id):
            return
        value = str(body["actions"][0].get("value", ""))
        try:
            run(origin.request_id, action, services, origin, value, clicked)
        except QueueFull:
            busy = build_notice(failure_messages.BUSY)
            services.message_sender.respond(origin.get_recipient(), origin.response_url, busy)

    return handle_click


def _open_change(services: Services, origin: RequestOrigin, order_id: str, _clicked: ClickedMessage) -> None:
    open_form_for_order(services, origin, order_id, is_change=True)


def _open_again(services: Services, origin: RequestOrigin, order_id: str, _clicked: ClickedMessage) -> None:
    open_form_for_order(services, origin, order_id, is_change=False)
