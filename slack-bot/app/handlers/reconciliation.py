"""Handle the buttons of cards of differences from brokers' books, and the form that resolves one."""

from slack_bolt import Ack, BoltContext

from app.blocks.reconciliation import FORM, RESOLVE, TAKE
from app.handlers.boundary import Body, build_push, build_pushed_error, get_origin, guard_handler
from app.handlers.orders.message_buttons import build_button_handler
from app.handlers.registry import HandlerRegistry
from app.services.brokers import reconciliation
from app.services.dependencies import Services
from app.services.forms.submission import submit_form


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the buttons and the form."""

    def handle_form(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(**submit_form(services, get_origin(body, context), body["view"], reconciliation.RESOLVE))

    registry.action(TAKE)(build_button_handler(services, reconciliation.assign_issue, services.trade_workers))
    registry.action(RESOLVE)(build_button_handler(services, reconciliation.open_issue_form))
    registry.view(FORM)(guard_handler(handle_form, build_pushed_error, build_push))
