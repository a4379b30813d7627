"""Handle the order form: typing, choices, the portfolio field, and the submission."""

from collections.abc import Callable

from slack_bolt import Ack, BoltContext

from app.errors import QueueFull
from app.forms.orders import fields
from app.handlers.boundary import Body, build_push, build_pushed_error, get_origin, guard_handler
from app.handlers.options import build_no_options
from app.handlers.registry import HandlerRegistry
from app.services.dependencies import Services
from app.services.orders.form import ORDER_LINES, apply_proposal, redraw_choice
from app.services.orders.portfolio_search import suggest_existing_portfolios
from app.services.orders.submission import submit_order
from app.services.orders.symbol_search import suggest_symbols
from app.services.request_origin import RequestOrigin
from app.services.state.open_forms import OpenForms, postpone_redraw, record_keystroke, release_waiter
from app.services.trades.live_price import update_lines_when_idle


def register(registry: HandlerRegistry, services: Services, forms: OpenForms) -> None:
    """Register the handlers of the form."""

    def handle_submission(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(**submit_order(services, get_origin(body, context), body["view"]))

    @guard_handler
    def handle_input(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_origin(body, context)
        view_id = str(body["view"]["id"])
        if not record_keystroke(forms, body["view"], str(body["actions"][0]["action_ts"])):
            return
        try:
            services.price_workers.submit(
                origin.request_id, update_lines_when_idle, services, forms, origin, view_id, ORDER_LINES
            )
        except QueueFull:  # the preview stays as it is; the OMS checks the submission as well
            release_waiter(forms, view_id)

    def handle_portfolio_options(ack: Ack, body: Body, context: BoltContext) -> None:
        postpone_redraw(forms, str((body.get("view") or {}).get("id", "")))
        ack(suggest_existing_portfolios(services, get_origin(body, context), str(body.get("value", ""))))

    def handle_symbol_options(ack: Ack, body: Body, context: BoltContext) -> None:
        postpone_redraw(forms, str((body.get("view") or {}).get("id", "")))
        ack(suggest_symbols(services, get_origin(body, context), str(body.get("value", ""))))

    registry.view(fields.ORDER_FORM)(guard_handler(handle_submission, build_pushed_error, build_push))
    registry.action(fields.LIVE_ACTION)(handle_input)
    registry.action(fields.PORTFOLIO_ACTION)(handle_input)
    registry.action(fields.SYMBOL_ACTION)(handle_input)
    registry.action(fields.CHOICE_ACTION)(_build_view_handler(services, forms, redraw_choice))
    registry.action(fields.PROPOSAL_ACTION)(_build_view_handler(services, forms, apply_proposal))
    registry.options(fields.PORTFOLIO_ACTION)(
        guard_handler(handle_portfolio_options, build_no_options, build_no_options)
    )
    registry.options(fields.SYMBOL_ACTION)(
        guard_handler(handle_symbol_options, build_no_options, build_no_options)
    )


def _build_view_handler(
    services: Services,
    forms: OpenForms,
    action: Callable[[Services, OpenForms, RequestOrigin, Body, str], None],
) -> Callable[[Ack, Body, BoltContext], None]:
    """Return a handler that acknowledges an action in the form and redraws the form once."""

    @guard_handler
    def handle_action(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin = get_origin(body, context)
        value = str(body["actions"][0].get("value", ""))
        if services.recent_deliveries.add(origin.trigger_id):
            services.form_workers.submit(
                origin.request_id, action, services, forms, origin, body["view"], value
            )

    return handle_action
