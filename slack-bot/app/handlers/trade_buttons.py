"""Handle the buttons under a recorded trade."""

from slack_bolt import Ack, BoltContext

from app.blocks.trade_buttons import AGAIN, REVERSE
from app.forms.trade_buttons import REVERSAL_FORM
from app.handlers.boundary import Body, build_push, build_pushed_error, get_origin, guard_handler
from app.handlers.orders.message_buttons import build_button_handler
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.forms.response_deadline import respond_within_time
from app.services.trades.reversal import open_form_again, open_reversal_form, reverse_trade


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the buttons and the form of the reversal."""

    def handle_reversal(ack: Ack, body: Body, context: BoltContext) -> None:
        origin = get_origin(body, context)
        view = body["view"]
        ack(**respond_within_time(services, origin, view, lambda: reverse_trade(services, origin, view)))

    registry.action(REVERSE)(build_button_handler(services, open_reversal_form))
    registry.action(AGAIN)(build_button_handler(services, open_form_again))
    registry.view(REVERSAL_FORM)(guard_handler(handle_reversal, build_pushed_error, build_push))
