"""Handle the submission of the trade form and the typing in its fields."""

import re

from slack_bolt import Ack, App, BoltContext

from app.blocks import views
from app.errors import Saturated
from app.forms import fields
from app.handlers.boundary import Body, guarded, origin_of
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.live_price import OpenForms, keystroke, not_waited_for, show_price
from app.services.submit import submit

ANY = re.compile(".*", re.DOTALL)


def register(app: App, services: Services, forms: OpenForms) -> None:
    """Register the handlers of the form."""

    def submitted(ack: Ack, body: Body, context: BoltContext) -> None:
        ack(**submit(services, origin_of(body, context), body["view"]))

    @guarded
    def amount_typed(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        origin, view_id = origin_of(body, context), str(body["view"]["id"])
        if not keystroke(forms, body["view"], str(body["actions"][0]["action_ts"])):
            return
        try:
            services.pricing.submit(origin.request_id, show_price, services, forms, origin, view_id)
        except Saturated:
            not_waited_for(
                forms, view_id
            )  # the line shows the price of an earlier keystroke; the submission is checked anyway

    @guarded
    def nothing_to_do(ack: Ack, _body: Body, _context: BoltContext) -> None:
        ack()

    app.view(fields.TRADE_FORM)(guarded(submitted, _laid_over_the_form, _refusal))
    app.action({"block_id": fields.SYMBOL, "action_id": fields.ACTION})(amount_typed)
    app.action(fields.QUANTITY_ACTION)(amount_typed)
    app.action(fields.PRICE_ACTION)(amount_typed)
    app.action(fields.GMV_ACTION)(amount_typed)
    app.action(ANY)(nothing_to_do)


def _refusal(sentence: str) -> Body:
    return {"response_action": "push", "view": views.refused(sentence)}


def _laid_over_the_form(request_id: str) -> Body:
    """Return a view to push over the form, which keeps its entries and its idempotency key."""
    return {"response_action": "push", "view": views.failed(failure_messages.form_went_wrong(request_id))}
