"""Answer a submitted form in time: with its outcome, or with "Placing…" if it takes longer."""

from collections.abc import Mapping
from typing import Any

from app.blocks import views
from app.blocks.text import Json
from app.errors import BadFields, Saturated
from app.services import submission_results
from app.services.dependencies import Services
from app.services.origin import Origin
from app.services.submission_registry import Submission
from app.services.ticket_submission import Order, read_order
from app.services.trade_submission import carry_out


def submit(services: Services, origin: Origin, view: Mapping[str, Any]) -> Json:
    """Return the answer to a `view_submission`. Repeated deliveries share one trade and one answer."""
    try:
        order = read_order(origin, view)
    except BadFields as bad:
        return {"response_action": "errors", "errors": bad.sentences}
    delivery = origin.trigger_id or f"{order.key}:{view.get('hash')}"
    submission, mine = services.claims.claim(order.key, delivery, views.placing(order.context))
    if mine:
        _begin(services, order, submission)
    outcome = submission.wait(services.waits.submission)
    return outcome.response if outcome else submission_results.update(submission.waiting_view)


def _begin(services: Services, order: Order, submission: Submission) -> None:
    try:
        services.placing.submit(order.origin.request_id, carry_out, services, order, submission)
    except Saturated:
        services.claims.finish(submission, submission_results.busy(order.ticket, order.context))
