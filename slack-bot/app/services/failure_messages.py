"""Describe failures to people, in mrkdwn. Texts from outside are escaped."""

from app.blocks.messages import add_reference
from app.blocks.text import escape, format_literal
from app.errors import (
    DenialReason,
    FieldProblem,
    NotPlaced,
    OmsError,
    OmsForbidden,
    OmsRejected,
    OutcomeUnknown,
    TooManyRequests,
    UnreadableResponse,
)
from app.forms import fields

UNEXPECTED_RESPONSE = "The trading system returned an unexpected response."
NO_REASON = "The trading system does not accept this."
TRADE_AGAIN = "Please run `/trade` again."
ORDER_AGAIN = "Please run `/order` again."
COMMAND_AGAIN = "Please send the command again."
CLICK_AGAIN = "Please click again."
TRY_AGAIN = "Please try again."
TRIGGER_TOO_OLD = "The form could not be opened in time."
FORM_NOT_OPENED = "Slack did not open the form."
BUSY = "The app is busy, and nothing was sent. Please try again in a few seconds."
NOT_KNOWN = "*It is still unknown whether this was placed.* The trading system has not confirmed it."
SAME_FORM_IS_SAFE = "Placing it again from this form is safe: it can trade only once."
OTHER_FORMS_ARE_NOT = "Please check the portfolio first: a new form could place it twice."
UNKNOWN_ACTION = (
    "*Outcome unknown.* The trading system has not confirmed this. "
    "Please check the order before you try again."
)
MAYBE_REPEATED = "The app was restarted while it sent this message, so you may see it twice."
FOREIGN_PERSON = "Only members of the workspace that this app belongs to can trade with it. Nothing was sent."
ORG_WIDE = (
    "This app is installed for a whole organization, which is not supported. Nothing was sent. "
    "Please ask an administrator to install it in the workspace that trades."
)
NOT_INSTALLED = (
    "This app is not installed in your workspace any more, or its installation is not known here. "
    "Please ask an administrator to install it again. Nothing was sent."
)
WORKSPACE_UNKNOWN = (
    "This app could not ask Slack which workspace it belongs to. Nothing was sent. "
    "Please try again in a few seconds."
)
NOT_CONNECTED = (
    "This workspace is not connected to a trading system yet. Nothing was sent. Please ask the operator to "
    "connect it: `python -m app.workspaces bind {team} --oms-key-stdin`"
)
DENIAL_MESSAGES = {
    DenialReason.KEY: "The trading system does not accept this app's key. Please tell its operator.",
    DenialReason.ACTING: "This app's key may not act for people. Please tell its operator.",
    DenialReason.NOT_A_MEMBER: "You are not a member of this desk. Please ask an administrator to add you.",
    DenialReason.ROLE: "Your role at this desk does not include trading. Please ask an administrator.",
    DenialReason.WORKSPACE: "This Slack workspace is not connected. Please tell the operator of this app.",
    DenialReason.SUSPENDED: "This desk is suspended. Please ask the operator of the trading system.",
}
TRIGGER_CODES = frozenset({
    "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id",
    "trigger_expired", "trigger_exchanged", "invalid_trigger",
})  # fmt: skip


def describe_unconnected_workspace(team: str) -> str:
    """Say that a workspace has no OMS key yet."""
    return NOT_CONNECTED.format(team=team)


def describe_unopened_form(code: str, request_id: str, again: str) -> str:
    """Return the message about a form that did not open. `again` states what to do."""
    if code in TRIGGER_CODES:
        return f"{TRIGGER_TOO_OLD} {again}"
    return add_reference(f"{FORM_NOT_OPENED} {again}", request_id)


def describe_refused_person(error: OmsForbidden, request_id: str) -> str:
    """Return the message about a person who may not trade."""
    return add_reference(f"*You cannot trade here.* {DENIAL_MESSAGES[error.reason]}", request_id)


def describe_unplaced_trade(error: OmsError, request_id: str, *, is_earlier_unknown: bool = False) -> str:
    """Return the message about a trade that was certainly not recorded.

    With `is_earlier_unknown`, an earlier submission of the same form may have been recorded.
    """
    if is_earlier_unknown:
        earlier = f"It is still unknown whether it was placed before. {SAME_FORM_IS_SAFE}"
        return add_reference(f"*Not placed this time.* {_describe_reason(error)} {earlier}", request_id)
    return add_reference(f"*Not placed.* {_describe_reason(error)}{_describe_effect(error)}", request_id)


def describe_failed_action(error: OmsError, request_id: str) -> str:
    """Return the message about a request on an existing order that the OMS has not confirmed."""
    if isinstance(error, OutcomeUnknown):
        return add_reference(UNKNOWN_ACTION, request_id)
    return add_reference(f"*Not done.* {_describe_reason(error)}", request_id)


def describe_unknown_outcome(request_id: str, *, is_form_open: bool) -> str:
    """Return the message about a trade of which it is unknown whether it was recorded."""
    advice = SAME_FORM_IS_SAFE if is_form_open else OTHER_FORMS_ARE_NOT
    return add_reference(f"{NOT_KNOWN} {advice}", request_id)


def describe_unrecorded_trade(order_text: str, request_id: str, again: str) -> str:
    """Return the message that a trade with an unknown outcome turned out not to be recorded.

    `again` tells the person how to place it again.
    """
    sentence = (
        f"*Not placed.* The trading system has no record of {format_literal(order_text)}. Nothing was traded."
    )
    return add_reference(f"{sentence} {again}", request_id)


def describe_denied_order(order_text: str, reason: str, request_id: str) -> str:
    """Return the message that an order with an unknown outcome was denied. `reason` is in mrkdwn."""
    return add_reference(f"*Denied.* {format_literal(order_text)}: {reason} Nothing was traded.", request_id)


def describe_repeated_submission(trade_text: str) -> str:
    """Return the message about a repeated submission whose trade was recorded before."""
    return f"This was placed already, and traded once:\n{trade_text}"


def describe_earlier_trade(trade_text: str) -> str:
    """Return the message about a form that had traded before its entries were changed."""
    return (
        f"*This form had traded already*, before you changed it:\n{trade_text}\n"
        "Your changes were not traded. For another trade, please run `/trade`."
    )


def describe_bot_error(request_id: str, again: str) -> str:
    """Return the message about an internal error before anything was sent. `again` states what to do."""
    return add_reference(f"*An error occurred in the app.* {again}", request_id)


def describe_form_error(request_id: str) -> str:
    """Return the message about an internal error after a form was submitted.

    It is unknown whether the form traded.
    """
    sentence = "*An error occurred in the app*, and this may or may not have been placed."
    return add_reference(
        f"{sentence} Go back and place it again: from that form it can trade only once.", request_id
    )


def _describe_reason(error: OmsError) -> str:
    match error:
        case OmsForbidden(reason=reason):
            return DENIAL_MESSAGES[reason]
        case TooManyRequests(retry_after_seconds=seconds):
            return f"You have sent too many requests. {format_retry_time(seconds)}"
        case OmsRejected(problems=problems) if problems:
            return " ".join(_format_problem(problem) for problem in problems)
        case OmsRejected() | NotPlaced():
            return escape(str(error))
        case UnreadableResponse():
            return f"{UNEXPECTED_RESPONSE} Nothing was sent; please try again."
        case _:
            return "The trading system does not respond. Nothing was sent; please try again."


def format_retry_time(seconds: int | None) -> str:
    """Return when to try again, as a sentence."""
    if seconds is None:
        return "Please try again in a while."
    return f"Please try again in {seconds} second{'' if seconds == 1 else 's'}."


def _format_problem(problem: FieldProblem) -> str:
    """Return the error of a field with the field's label, for a message outside the form."""
    label = fields.LABELS.get(fields.find_block(problem.field) or "")
    message = escape(problem.message or NO_REASON)
    return f"{label}: {message}" if label else message


def _describe_effect(error: OmsError) -> str:
    unexplained = isinstance(error, NotPlaced) or (isinstance(error, OmsRejected) and not error.problems)
    return " Nothing was traded." if unexplained else ""
