"""Describe failures of reads, and of forms other than those of trades and orders."""

from app.blocks.messages import add_reference
from app.blocks.text import escape
from app.errors import (
    DenialReason,
    IdempotencyKeyTaken,
    NotPlaced,
    OmsError,
    OmsForbidden,
    OmsRejected,
    OutcomeUnknown,
    TooManyRequests,
    UnreadableResponse,
)
from app.services.failure_messages import DENIAL_MESSAGES, UNEXPECTED_RESPONSE, format_retry_time

SUBMIT_AGAIN = "Submit this form again: it takes effect once only."
GO_BACK = "Go back and submit the form again: it takes effect once only."
CHECK_FIRST = "Please check orders and positions before you retry: a new form could apply the change twice."
EARLIER_UNKNOWN = "It is still unknown whether your earlier request took effect."
EARLIER_DONE = (
    "Your earlier request from this form took effect, with other entries. "
    "Please check orders and positions before you submit it again."
)
NO_RESPONSE = "The trading system does not respond. Please try again."


def describe_failure(
    error: OmsError,
    request_id: str,
    *,
    permission: str = "this",
    is_form_open: bool = True,
    is_earlier_unknown: bool = False,
) -> str:
    """Return a sentence in mrkdwn. `permission` is what the person's role would have to include.

    With `is_earlier_unknown`, an earlier submission of the same form may have taken effect.
    """
    advice = SUBMIT_AGAIN if is_form_open else CHECK_FIRST
    if is_earlier_unknown and isinstance(error, IdempotencyKeyTaken):
        return add_reference(f"*Not done.* {EARLIER_DONE}", request_id)
    is_known = isinstance(error, OutcomeUnknown) or (isinstance(error, OmsRejected) and error.is_denial)
    if is_earlier_unknown and not is_known:
        reason = f"*Not done this time.* {_describe_error(error, permission)}"
        return add_reference(f"{reason} {EARLIER_UNKNOWN} {advice}", request_id)
    if isinstance(error, OutcomeUnknown):
        return add_reference(
            f"*Outcome unknown.* The trading system has not confirmed this. {advice}", request_id
        )
    return add_reference(f"*Not done.* {_describe_error(error, permission)}", request_id)


def describe_submission_error(request_id: str, *, is_form_open: bool) -> str:
    """Return the message about an internal error of the bot after a form was submitted.

    It is unknown whether the form took effect.
    """
    sentence = "*An error occurred in the app*, and this may or may not have been done."
    return add_reference(f"{sentence} {GO_BACK if is_form_open else CHECK_FIRST}", request_id)


def describe_read_failure(error: OmsError, request_id: str) -> str:
    """Return a sentence in mrkdwn about a request that the OMS did not carry out."""
    return add_reference(_describe_error(error, "this"), request_id)


def _describe_error(error: OmsError, permission: str) -> str:
    match error:
        case OmsForbidden(reason=DenialReason.ROLE):
            return f"Your role at this desk does not include {permission}. Please ask an administrator."
        case OmsForbidden(reason=reason):
            return DENIAL_MESSAGES[reason]
        case TooManyRequests(retry_after_seconds=seconds):
            return f"You have sent too many requests. {format_retry_time(seconds)}"
        case OmsRejected(problems=problems) if problems:
            return " ".join(escape(problem.message) for problem in problems)
        case OmsRejected() | IdempotencyKeyTaken() | NotPlaced():
            return escape(str(error))
        case _:
            is_unreadable = isinstance(error, UnreadableResponse)
            return f"{UNEXPECTED_RESPONSE} Please try again." if is_unreadable else NO_RESPONSE
