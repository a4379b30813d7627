"""Respond to the submission of a form, other than the forms of trades and orders."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from app.blocks.form_parts import build_text_view, redraw_with_banner
from app.blocks.messages import build_notice
from app.blocks.text import Json
from app.errors import (
    IdempotencyKeyTaken,
    InvalidEntries,
    OmsError,
    OmsRejected,
    OutcomeUnknown,
    QueueFull,
    SlackError,
    format_log_name,
)
from app.forms.request_context import RequestContext, read_entries
from app.request_priority import REQUESTS
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.pending_notices import store_notice
from app.services.request_failures import describe_failure, describe_submission_error
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

UNKNOWN_TITLE = "Outcome unknown"
WAITING = "The trading system has not responded yet. The result will be shown here."
BLOCKS_BY_FIELD = {"take_profit": "take_profit", "stop_loss": "stop_loss", "quantity": "close_quantity"}


@dataclass(frozen=True)
class FormSubmission:
    """A submitted form: its entries by block id, and the idempotency key of the change."""

    origin: RequestOrigin
    view: Mapping[str, Any]
    entries: Mapping[str, str]
    context: RequestContext

    @property
    def key(self) -> str:
        """The idempotency key: workspace, view and attempt."""
        return f"{self.origin.person.team}:{self.view['id']}:{self.context.attempt}"


@dataclass(frozen=True)
class FormResult:
    """The view after a submission. `errors` are sentences by block id; the form stays then.

    `text` is the result in mrkdwn, for a message if the form is closed meanwhile.
    """

    view: Json
    errors: Mapping[str, str]
    text: str

    @property
    def response(self) -> Json:
        """The response to Slack's request."""
        if self.errors:
            return {"response_action": "errors", "errors": dict(self.errors)}
        return {"response_action": "update", "view": self.view}


@dataclass(frozen=True)
class FormAction:
    """The action of a form. `perform` returns a title and a text. `permission` names the required rights."""

    perform: Callable[[Services, FormSubmission], tuple[str, str]]
    permission: str


def submit_form(
    services: Services, origin: RequestOrigin, view: Mapping[str, Any], action: FormAction
) -> Json:
    """Return the response to a submission. A slow result replaces the view later."""
    context = RequestContext.load(str(view.get("private_metadata", "")))
    submission = FormSubmission(origin, view, read_entries(view), context)
    try:
        future = services.trade_workers.submit(
            origin.request_id, _perform_action, services, submission, action
        )
    except QueueFull:
        return {"response_action": "update", "view": redraw_with_banner(view, failure_messages.BUSY, context)}
    try:
        with REQUESTS.exclude():
            return future.result(timeout=services.waits.submission).response
    except FutureTimeout:
        threading.Thread(
            target=_redraw_later, args=(services, submission, future), name="late-form", daemon=True
        ).start()
        return {"response_action": "update", "view": build_text_view("Working…", WAITING)}


def _perform_action(services: Services, submission: FormSubmission, action: FormAction) -> FormResult:
    request_id, context = submission.origin.request_id, submission.context
    extra = {"request_id": request_id, "person": submission.origin.person.actor, "key": submission.key}
    try:
        title, text = action.perform(services, submission)
    except InvalidEntries as bad:
        sentence = " ".join(bad.sentences.values())
        return FormResult(redraw_with_banner(submission.view, sentence, context), bad.sentences, sentence)
    except OmsError as error:
        log.warning("Form refused", extra=extra | {"fault": format_log_name(error)})
        sentence, text = (
            describe_failure(
                error,
                request_id,
                permission=action.permission,
                is_form_open=is_open,
                is_earlier_unknown=context.is_outcome_unknown,
            )
            for is_open in (True, False)
        )
        next_context = _get_next_context(context, error)
        errors = {} if isinstance(error, OutcomeUnknown) else _find_field_errors(error, submission)
        return FormResult(redraw_with_banner(submission.view, sentence, next_context), errors, text)
    log.info("Form carried out", extra=extra)
    return FormResult(build_text_view(title, text), {}, f"*{title}*\n{text}")


def _get_next_context(context: RequestContext, error: OmsError) -> RequestContext:
    """Return the context of the form after an error. The key stays the same while an outcome is unknown."""
    if isinstance(error, OutcomeUnknown):
        return context.with_unknown_outcome()
    is_denial = isinstance(error, OmsRejected) and error.is_denial
    if is_denial or isinstance(error, IdempotencyKeyTaken):
        return context.with_known_outcome()
    return context.with_refusal()


def _find_field_errors(error: OmsError, submission: FormSubmission) -> dict[str, str]:
    """Return the errors by block id. Empty if the form does not have one of the fields at fault."""
    problems = error.problems if isinstance(error, OmsRejected) else ()
    errors = {
        block_id: problem.message
        for problem in problems
        if (block_id := _find_block(problem.field.removeprefix("body."), submission))
    }
    return errors if errors and errors.keys() <= submission.entries.keys() else {}


def _find_block(field: str, submission: FormSubmission) -> str:
    """Return the entry of a field, which may be a part of an object such as `parameters`."""
    name = field.partition(".")[0]
    return field if field in submission.entries else BLOCKS_BY_FIELD.get(name, name)


def _redraw_later(services: Services, submission: FormSubmission, future: "Future[FormResult]") -> None:
    """Show a late result in the form. If the form is closed, send it to the person."""
    origin = submission.origin
    began = time.monotonic()
    try:
        result = future.result()
    except Exception:  # the person waits for a result
        log.exception("Form failed", extra={"request_id": origin.request_id})
        sentence = describe_submission_error(origin.request_id, is_form_open=False)
        result = FormResult(build_text_view(UNKNOWN_TITLE, sentence), {}, sentence)
    to = store_notice(services, origin.get_recipient(), result.text, f"{submission.key}:{origin.request_id}")
    services.stopping.wait(max(0.0, began + services.waits.redraw_after - time.monotonic()))
    try:
        services.slack.update_view(str(submission.view["id"]), result.view)
    except SlackError as error:
        log.info("Form not redrawn", extra={"request_id": origin.request_id, "fault": str(error)})
        services.message_sender.send_privately(to, build_notice(result.text))
    else:
        if to.claim is not None:
            to.claim.finish()
