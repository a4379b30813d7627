"""Submit one trade: ask questions, send it to the OMS, look up its outcome, and report the result."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from app.blocks import views
from app.blocks.messages import build_confirmation, build_confirmation_lines, build_notice
from app.blocks.text import Json
from app.errors import (
    IdempotencyKeyTaken,
    OmsError,
    OmsRejected,
    OutcomeUnknown,
    SlackError,
    SlackRateLimited,
    format_log_name,
)
from app.forms.ticket import Trade
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.pending_notices import store_notice
from app.services.settings.slack_settings import require_trading_channel
from app.services.state.submission_registry import Outcome, Submission
from app.services.trades import submission_results
from app.services.trades.confirmation_checks import list_questions
from app.services.trades.confirmation_recovery import build_pending_confirmation
from app.services.trades.submitted_trade import SubmittedForm, TradeSubmission

log = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 5.0  # maximum wait of a redraw after a 429


def execute_submission(services: Services, submitted: TradeSubmission, submission: Submission) -> None:
    """Send the trade at most once and report the outcome, even after an error."""
    extra = {
        "request_id": submitted.origin.request_id,
        "key": submitted.key,
        "person": submitted.origin.person.actor,
    }
    try:
        outcome = _place_trade(services, submitted, submission)
    except Exception:  # a delivery waits for the outcome
        log.exception("Submission failed", extra=extra)
        outcome = submission_results.build_unknown_outcome(
            submitted.ticket, submitted.context, submitted.origin.request_id
        )
    log.info("Submission ended", extra=extra | {"placed": outcome.is_recorded, "unknown": outcome.is_unknown})
    report_outcome(
        services,
        submitted,
        submission,
        outcome,
        release=lambda: services.confirmations.release(submitted.key, is_unknown=outcome.is_unknown),
    )


def _place_trade(services: Services, submitted: TradeSubmission, submission: Submission) -> Outcome:
    request_id = submitted.origin.request_id
    try:
        require_trading_channel(services, submitted.context.channel)
        questions = list_questions(services, submitted)
        if (questions or submitted.context.is_outcome_unknown) and (
            trade := _find_trade(services, submitted)
        ):
            return _report_earlier_trade(services, submitted, trade)
        if questions:
            return submission_results.build_question_outcome(submitted.ticket, submitted.context, questions)
        services.confirmations.add(build_pending_confirmation(services, submitted))
        result = services.oms.place(
            submitted.origin.person, submitted.ticket, key=submitted.key, request_id=request_id
        )
    except OutcomeUnknown as error:
        log.warning("Outcome unknown", extra={"request_id": request_id, "fault": str(error)})
        return _find_outcome(services, submitted, submission)
    except OmsError as error:
        log.warning("Not placed", extra={"request_id": request_id, "fault": format_log_name(error)})
        if isinstance(error, (OmsRejected, IdempotencyKeyTaken)):
            return _handle_denial(services, submitted, error)
        return submission_results.build_failed_outcome(error, submitted.ticket, submitted.context, request_id)
    return (_report_earlier_trade if result.is_repeat else _confirm_trade)(services, submitted, result.trade)


def _handle_denial(services: Services, submitted: TradeSubmission, error: OmsError) -> Outcome:
    """Return the outcome of a refused trade.

    If an earlier submission of the form has traded, report that trade: submitting again must not add another
    one. If it certainly has not, the next submission gets a new idempotency key.
    """
    request_id, next_context = submitted.origin.request_id, submitted.context
    try:
        trade = services.oms.find_trade(submitted.origin.person, submitted.key, request_id=request_id)
    except OmsError as failure:
        log.info("Key not looked up", extra={"request_id": request_id, "fault": str(failure)})
    else:
        if trade:
            return _report_earlier_trade(services, submitted, trade)
        next_context = submitted.context.with_denial()
    if isinstance(error, IdempotencyKeyTaken):  # another process sent the trade and sends its confirmation
        return replace(
            submission_results.build_unknown_outcome(submitted.ticket, submitted.context, request_id),
            is_unknown=False,
        )
    return submission_results.build_failed_outcome(error, submitted.ticket, next_context, request_id)


def _find_outcome(services: Services, submitted: TradeSubmission, submission: Submission) -> Outcome:
    """Look up the trade by its key until it is found or the time has expired. Do not send it again."""
    submission.waiting_view = views.build_checking_view(submitted.context)
    if submission.get_late_since() is not None:
        redraw_form(services, submitted, submission, submission.waiting_view)
    until = time.monotonic() + services.waits.lookup_for
    while (trade := _find_trade(services, submitted)) is None:
        if time.monotonic() >= until or services.stopping.wait(services.waits.lookup_every):
            return submission_results.build_unknown_outcome(
                submitted.ticket, submitted.context, submitted.origin.request_id
            )
    return (_confirm_trade if _has_same_entries(services, submitted, trade) else _report_earlier_trade)(
        services, submitted, trade
    )


def _find_trade(services: Services, submitted: TradeSubmission) -> Trade | None:
    try:
        return services.oms.find_trade(
            submitted.origin.person, submitted.key, request_id=submitted.origin.request_id
        )
    except OmsError as error:
        log.info(
            "Outcome still unknown", extra={"request_id": submitted.origin.request_id, "fault": str(error)}
        )
        return None


def _has_same_entries(services: Services, submitted: TradeSubmission, trade: Trade) -> bool:
    """Return whether the trade has the entries of this form. The typed symbol may be an alias."""
    typed_symbol = submitted.ticket.symbol
    if typed_symbol == trade.symbol or not submitted.matches(replace(trade, symbol=typed_symbol)):
        return submitted.matches(trade)
    origin = submitted.origin
    try:
        trade_by_alias = services.oms.find_trade(
            origin.person, submitted.key, symbol=typed_symbol, request_id=origin.request_id
        )
    except OmsError:
        return False
    return trade_by_alias is not None


def _confirm_trade(services: Services, submitted: TradeSubmission, trade: Trade) -> Outcome:
    to = submitted.origin.get_recipient(submitted.context.channel, submitted.root_view_id)
    claim = services.confirmations.claim(submitted.key)
    if claim is not None:  # otherwise another bot sends the confirmation
        services.message_sender.post_to_channel(
            replace(to, claim=claim), build_confirmation(trade, submitted.origin.user)
        )
    return submission_results.build_recorded_outcome(trade, submitted.origin.user, submitted.context)


def _report_earlier_trade(services: Services, submitted: TradeSubmission, trade: Trade) -> Outcome:
    """Return the outcome of a form whose earlier submission has traded.

    The channel gets the confirmation if it is still pending; otherwise only the person gets a message.
    """
    to = submitted.origin.get_recipient(submitted.context.channel, submitted.root_view_id)
    text = "\n".join(build_confirmation_lines(trade, submitted.origin.user))
    pending = services.confirmations.claim_pending(submitted.key)
    if pending:
        services.message_sender.post_to_channel(
            replace(to, claim=pending), build_confirmation(trade, submitted.origin.user)
        )
    if _has_same_entries(services, submitted, trade):
        if not pending:
            services.message_sender.send_privately(
                to, build_notice(failure_messages.describe_repeated_submission(text))
            )
        return submission_results.build_recorded_outcome(trade, submitted.origin.user, submitted.context)
    message = failure_messages.describe_earlier_trade(text)
    services.message_sender.send_privately(to, build_notice(message))
    return submission_results.build_traded_before_outcome(message, submitted.context)


def report_outcome(
    services: Services,
    form: SubmittedForm,
    submission: Submission,
    outcome: Outcome,
    *,
    release: Callable[[], None],
) -> None:
    """Finish a submission. If its response was late, redraw the form, or notify the person.

    `release` removes what is stored about the submission, after the note to the person is stored.
    """
    to = form.origin.get_recipient(form.context.channel, form.root_view_id)
    if (
        outcome.notice and submission.get_late_since() is not None
    ):  # a recorded trade has a confirmation instead
        to = store_notice(services, to, outcome.notice, f"{submission.key}:{form.origin.request_id}")
    release()
    is_late = services.submissions.finish(submission, outcome)
    if is_late and not redraw_form(services, form, submission, outcome.view):
        if outcome.notice:
            services.message_sender.send_privately(to, build_notice(outcome.notice))
    elif to.claim is not None:
        to.claim.finish()


def redraw_form(services: Services, form: SubmittedForm, submission: Submission, view: Json) -> bool:
    """Replace the view that a late delivery showed. Return whether the form was still open."""
    late_since = submission.get_late_since() or 0.0
    services.stopping.wait(max(0.0, late_since + services.waits.redraw_after - time.monotonic()))
    try:
        _update_with_retry(services, form.view_id, view)
    except SlackError as error:
        log.info("Form not redrawn", extra={"request_id": form.origin.request_id, "fault": str(error)})
        return False
    return True


def _update_with_retry(services: Services, view_id: str, view: Json) -> None:
    try:
        services.slack.update_view(view_id, view)
    except SlackRateLimited as limit:
        services.stopping.wait(min(limit.retry_after_seconds, MAX_PAUSE_SECONDS))
        services.slack.update_view(view_id, view)
