"""Handle the buttons of a request for approval, and the form of the decision."""

from slack_bolt import Ack, BoltContext

from app.blocks.orders.approvals import APPROVE, REJECT
from app.forms.orders.approvals import DECISION_FORM
from app.handlers.boundary import Body, build_push, build_pushed_error, get_origin, guard_handler
from app.handlers.orders.message_buttons import build_button_handler
from app.handlers.registry import HandlerRegistry
from app.services.clicked_message import ClickedMessage
from app.services.dependencies import Services
from app.services.forms.response_deadline import respond_within_time
from app.services.orders.approvals import open_decision_form, submit_decision
from app.services.request_origin import RequestOrigin


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the handlers of approvals."""

    def handle_decision(ack: Ack, body: Body, context: BoltContext) -> None:
        origin = get_origin(body, context)
        view = body["view"]
        ack(**respond_within_time(services, origin, view, lambda: submit_decision(services, origin, view)))

    registry.action(APPROVE)(build_button_handler(services, _open_approval))
    registry.action(REJECT)(build_button_handler(services, _open_rejection))
    registry.view(DECISION_FORM)(guard_handler(handle_decision, build_pushed_error, build_push))


def _open_approval(
    services: Services, origin: RequestOrigin, order_id: str, _clicked: ClickedMessage
) -> None:
    open_decision_form(services, origin, order_id, is_approval=True)


def _open_rejection(
    services: Services, origin: RequestOrigin, order_id: str, _clicked: ClickedMessage
) -> None:
    open_decision_form(services, origin, order_id, is_approval=False)
