"""Place or change an order at most once, and report the outcome in the form."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.blocks import views
from app.blocks.messages import build_notice
from app.blocks.orders.messages import build_order_message
from app.blocks.text import Json
from app.delivery.pending_orders import PendingOrder, PendingState
from app.errors import (
    IdempotencyKeyTaken,
    InvalidEntries,
    OmsError,
    OmsRejected,
    OutcomeUnknown,
    format_log_name,
)
from app.forms.numbers import format_grouped
from app.forms.orders.order import Order
from app.oms_client.order_wire import parse_denial
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.orders import submission_results
from app.services.orders.approvals import publish_approval, publish_with_approval
from app.services.orders.checks import has_confirmed_repeat, list_order_questions
from app.services.orders.messages import is_published, refresh_order
from app.services.orders.submitted_order import SubmittedOrder, read_submitted_order
from app.services.request_origin import RequestOrigin
from app.services.settings.slack_settings import require_trading_channel
from app.services.state.submission_registry import Outcome, Submission
from app.services.trades.submission import redraw_form, report_outcome
from app.services.trades.submission_responses import build_delivery_id, start_submission, wait_for_response

log = logging.getLogger(__name__)


def submit_order(services: Services, origin: RequestOrigin, view: Mapping[str, Any]) -> Json:
    """Return the response to a `view_submission`. Repeated deliveries share one order and one response."""
    try:
        submitted = read_submitted_order(origin, view)
    except InvalidEntries as bad:
        return {"response_action": "errors", "errors": bad.sentences}
    delivery = build_delivery_id(origin, view, submitted.key)
    submission, is_new = services.submissions.claim(
        submitted.key, delivery, views.build_placing_view(submitted.context)
    )
    if is_new:
        busy = submission_results.build_busy_order_outcome(submitted)
        start_submission(
            services, origin, submission, busy, lambda: _execute_submission(services, submitted, submission)
        )
    return wait_for_response(services, submission)


def _execute_submission(services: Services, submitted: SubmittedOrder, submission: Submission) -> None:
    """Send the order at most once and report the outcome, even after an error."""
    extra = {"request_id": submitted.origin.request_id, "key": submitted.key}
    extra |= {"person": submitted.origin.person.actor}
    try:
        outcome = _place_order(services, submitted, submission)
    except Exception:  # a delivery waits for the outcome
        log.exception("Order submission failed", extra=extra)
        outcome = submission_results.build_unknown_order_outcome(submitted)
    log.info(
        "Order submission ended",
        extra=extra | {"placed": outcome.is_recorded, "unknown": outcome.is_unknown},
    )

    def release() -> None:
        if outcome.is_unknown:
            services.pending_orders.set_state(submitted.key, PendingState.UNKNOWN)
        elif not outcome.is_recorded or submitted.context.replaces:
            services.pending_orders.remove(submitted.key)

    report_outcome(services, submitted, submission, outcome, release=release)


def _build_pending(submitted: SubmittedOrder) -> PendingOrder:
    """Return the order to store before it is sent."""
    ticket, origin = submitted.ticket, submitted.origin
    size = format_grouped(ticket.quantity or ticket.value or Decimal(0))
    return PendingOrder(
        key=submitted.key,
        submitted_at=time.time(),
        team=origin.person.team,
        user=origin.person.user,
        channel=submitted.context.channel,
        request_id=origin.request_id,
        order_text=f"{ticket.side.value} {size} {ticket.symbol} in {ticket.portfolio}",
    )


def _place_order(services: Services, submitted: SubmittedOrder, submission: Submission) -> Outcome:
    request_id = submitted.origin.request_id
    try:
        if not submitted.context.replaces:
            require_trading_channel(services, submitted.context.trading_channel)
        questions = list_order_questions(services, submitted)
        if (questions or submitted.context.is_outcome_unknown) and (
            order := _find_order(services, submitted)
        ):
            return _report_order(services, submitted, order)
        if questions:
            return submission_results.build_order_question_outcome(submitted, questions)
        services.pending_orders.add(_build_pending(submitted))
        order = _send_order(services, submitted)
    except OutcomeUnknown as error:
        log.warning("Outcome unknown", extra={"request_id": request_id, "fault": str(error)})
        return _find_outcome(services, submitted, submission)
    except IdempotencyKeyTaken:  # the form was edited after it had placed an order, and the response was lost
        order = _find_order(services, submitted)
        return (
            _report_order(services, submitted, order)
            if order
            else submission_results.build_unknown_order_outcome(submitted)
        )
    except OmsError as error:
        log.warning("Not ordered", extra={"request_id": request_id, "fault": format_log_name(error)})
        return _handle_refusal(submitted, error)
    return _report_order(services, submitted, order)


def _send_order(services: Services, submitted: SubmittedOrder) -> Order:
    person, request_id = submitted.origin.person, submitted.origin.request_id
    if not submitted.context.replaces:
        return services.orders.place(
            person,
            submitted.ticket,
            key=submitted.key,
            is_repeat_confirmed=has_confirmed_repeat(submitted),
            request_id=request_id,
        )
    previous = services.orders.find_by_id(person, submitted.context.replaces, request_id=request_id)
    if previous is None:
        raise OmsRejected("You have no access to this order.")
    return services.orders.replace(
        person, previous, submitted.ticket, key=submitted.key, request_id=request_id
    )


def _handle_refusal(submitted: SubmittedOrder, error: OmsError) -> Outcome:
    """Return the outcome of an order that was not accepted.

    A denied order is stored under the idempotency key, so the next submission gets a new one.
    """
    if not isinstance(error, OmsRejected):
        return submission_results.build_refused_outcome(submitted, error, submitted.context)
    denial = parse_denial(error.members) if error.is_denial else None
    if denial is None:
        return submission_results.build_refused_outcome(submitted, error, submitted.context.with_denial())
    context = replace(submitted.context, is_outcome_unknown=False).with_denial()
    return submission_results.build_denied_outcome(submitted, denial, context)


def _find_outcome(services: Services, submitted: SubmittedOrder, submission: Submission) -> Outcome:
    """Look up the order by its key until it is found or the time has expired. Do not send it again."""
    submission.waiting_view = views.build_checking_view(submitted.context)
    if submission.get_late_since() is not None:
        redraw_form(services, submitted, submission, submission.waiting_view)
    until = time.monotonic() + services.waits.lookup_for
    while (order := _find_order(services, submitted)) is None:
        if time.monotonic() >= until or services.stopping.wait(services.waits.lookup_every):
            return submission_results.build_unknown_order_outcome(submitted)
    return _report_order(services, submitted, order)


def _find_order(services: Services, submitted: SubmittedOrder) -> Order | None:
    person, request_id = submitted.origin.person, submitted.origin.request_id
    try:
        return services.orders.find(person, submitted.key, request_id=request_id)
    except OmsError as error:
        log.info("Outcome still unknown", extra={"request_id": request_id, "fault": str(error)})
        return None


def _report_order(services: Services, submitted: SubmittedOrder, order: Order) -> Outcome:
    """Return the outcome of an order that the OMS has stored, and post its message once."""
    origin, context = submitted.origin, submitted.context
    if order.denial and order.status == "DENIED":
        next_context = replace(context, is_outcome_unknown=False).with_denial()
        return submission_results.build_denied_outcome(submitted, order.denial, next_context)
    if context.replaces:
        refresh_order(services, context.replaces, origin.request_id)
        publish_approval(services, origin, order, context.channel)
    elif is_published(services, order.id):
        to = origin.get_recipient(context.channel, submitted.root_view_id)
        text = failure_messages.describe_repeated_submission(build_order_message(order).text)
        services.message_sender.send_privately(to, build_notice(text))
        services.pending_orders.remove(submitted.key)
    else:
        publish_with_approval(services, origin, order, context.channel, key=submitted.key)
    return submission_results.build_placed_outcome(order, context)
