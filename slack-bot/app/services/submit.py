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
from app.services.trade_submission import execute_submission


def submit(services: Services, origin: Origin, view: Mapping[str, Any]) -> Json:
    """Return the answer to a `view_submission`. Repeated deliveries share one trade and one answer."""
    try:
        order = read_order(origin, view)
    except BadFields as bad:
        return {"response_action": "errors", "errors": bad.sentences}
    delivery = origin.trigger_id or f"{order.key}:{view.get('hash')}"
    submission, is_new = services.submissions.claim(order.key, delivery, views.placing_view(order.context))
    if is_new:
        _start(services, order, submission)
    outcome = submission.wait(services.waits.submission)
    return outcome.response if outcome else submission_results.build_update(submission.waiting_view)


def _start(services: Services, order: Order, submission: Submission) -> None:
    try:
        services.trade_workers.submit(
            order.origin.request_id, execute_submission, services, order, submission
        )
    except Saturated:
        services.submissions.finish(
            submission, submission_results.build_busy_outcome(order.ticket, order.context)
        )
