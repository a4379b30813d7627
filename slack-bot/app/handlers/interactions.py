"""Handle the submission of the trade form and the typing in its fields."""

import re

from slack_bolt import Ack, BoltContext

from app.errors import QueueFull
from app.forms import fields
from app.handlers.boundary import Body, build_push, build_pushed_error, get_origin, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.state.open_forms import OpenForms, record_keystroke, release_waiter
from app.services.trades.live_price import update_price_lines
from app.services.trades.submission_responses import submit_trade_form

ANY = re.compile(".*", re.DOTALL)


def register(registry: HandlerRegistry, services: Services, forms: OpenForms) -> None:
    """Register the handlers of the form."""

    def handle_submission(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(**submit_trade_form(services, get_origin(body, context), body["view"]))

    @guard_handler
    def handle_typing(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_origin(body, context)
        view_id = str(body["view"]["id"])
        if not record_keystroke(forms, body["view"], str(body["actions"][0]["action_ts"])):
            return
        try:
            services.price_workers.submit(
                origin.request_id, update_price_lines, services, forms, origin, view_id
            )
        except QueueFull:
            # The line keeps the price of an earlier keystroke. The OMS checks the submission as well.
            release_waiter(forms, view_id)

    @guard_handler
    def acknowledge_action(ack: Ack, _body: Body, _context: BoltContext) -> None:
        ack()

    registry.view(fields.TRADE_FORM)(guard_handler(handle_submission, build_pushed_error, build_push))
    registry.action({"block_id": fields.SYMBOL, "action_id": fields.ACTION})(handle_typing)
    registry.action(fields.QUANTITY_ACTION)(handle_typing)
    registry.action(fields.PRICE_ACTION)(handle_typing)
    registry.action(fields.GMV_ACTION)(handle_typing)
    registry.action(ANY)(acknowledge_action)
