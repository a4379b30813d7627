"""Respond to a submitted form in time: with its outcome, or with "Placing…" if it takes longer."""

from collections.abc import Callable, Mapping
from typing import Any

from app.blocks import views
from app.blocks.text import Json
from app.errors import InvalidEntries, QueueFull
from app.request_priority import REQUESTS
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin
from app.services.state.submission_registry import Outcome, Submission
from app.services.trades import submission_results
from app.services.trades.submission import execute_submission
from app.services.trades.submitted_trade import read_submitted_trade


def submit_trade_form(services: Services, origin: RequestOrigin, view: Mapping[str, Any]) -> Json:
    """Return the response to a `view_submission`. Repeated deliveries share one trade and one response."""
    try:
        submitted = read_submitted_trade(origin, view)
    except InvalidEntries as bad:
        return {"response_action": "errors", "errors": bad.sentences}
    submission, is_new = services.submissions.claim(
        submitted.key,
        build_delivery_id(origin, view, submitted.key),
        views.build_placing_view(submitted.context),
    )
    if is_new:
        busy = submission_results.build_busy_outcome(submitted.ticket, submitted.context)
        start_submission(
            services, origin, submission, busy, lambda: execute_submission(services, submitted, submission)
        )
    return wait_for_response(services, submission)


def build_delivery_id(origin: RequestOrigin, view: Mapping[str, Any], key: str) -> str:
    """Return an id that repeated deliveries of one submission share."""
    return origin.trigger_id or f"{key}:{view.get('hash')}"


def start_submission(
    services: Services, origin: RequestOrigin, submission: Submission, busy: Outcome, work: Callable[[], None]
) -> None:
    """Start the work of a new submission, or finish it with the outcome `busy` if no worker is free."""
    try:
        services.trade_workers.submit(origin.request_id, work)
    except QueueFull:
        services.submissions.finish(submission, busy)


def wait_for_response(services: Services, submission: Submission) -> Json:
    """Wait for the outcome of a submission. Return the response to Slack, even if there is no outcome yet."""
    with REQUESTS.exclude():
        outcome = submission.wait(services.waits.submission)
    return outcome.response if outcome else submission_results.build_update(submission.waiting_view)
