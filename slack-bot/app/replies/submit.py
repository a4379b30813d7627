"""A submitted form is answered in time: with its outcome, or with "Placing…" when that takes longer."""

from collections.abc import Mapping
from typing import Any

from app.blocks import views
from app.blocks.text import Json
from app.errors import BadFields, Saturated
from app.replies import outcomes
from app.replies.claims import Submission
from app.replies.desk import Desk
from app.replies.order import Order, read_order
from app.replies.origin import Origin
from app.replies.placing import carry_out


def submit(desk: Desk, origin: Origin, view: Mapping[str, Any]) -> Json:
    """Return the answer to a `view_submission`; deliveries of one submission share trade and answer."""
    try:
        order = read_order(origin, view)
    except BadFields as bad:
        return {"response_action": "errors", "errors": bad.sentences}
    delivery = origin.trigger_id or f"{order.key}:{view.get('hash')}"
    submission, mine = desk.claims.claim(order.key, delivery, views.placing(order.context))
    if mine:
        _begin(desk, order, submission)
    outcome = submission.wait(desk.waits.submission)
    return outcome.response if outcome else outcomes.update(submission.waiting_view)


def _begin(desk: Desk, order: Order, submission: Submission) -> None:
    try:
        desk.placing.submit(order.origin.request_id, carry_out, desk, order, submission)
    except Saturated:
        desk.claims.settle(submission, outcomes.busy(order.ticket, order.context))
