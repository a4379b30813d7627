"""Failures, said to people. The text is mrkdwn; what others supplied in it is escaped."""

from app.blocks.messages import with_reference
from app.blocks.text import escape
from app.errors import NotAllowed, NotPlaced, OmsError, Refused

AGAIN = "Please run `/trade` again."
TRIGGER_TOO_OLD = f"The form could not be opened in time. {AGAIN}"
FORM_NOT_OPENED = f"Slack did not open the form. {AGAIN}"
BUSY = "The desk is busy at the moment. Nothing was traded; please try again in a few seconds."
SAME_FORM_IS_SAFE = "Placing it again from this form is safe: it can trade only once."
TRIGGER_CODES = frozenset({
    "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id",
    "trigger_expired", "trigger_exchanged", "invalid_trigger",
})  # fmt: skip


def not_opened(code: str, request_id: str) -> str:
    """Say that a form did not open, and what to do."""
    return TRIGGER_TOO_OLD if code in TRIGGER_CODES else with_reference(FORM_NOT_OPENED, request_id)


def not_placed(fault: OmsError, request_id: str) -> str:
    """Say a failure after which nothing is recorded, for certain."""
    return with_reference(f"*Not placed.* {_why(fault)}", request_id)


def not_known(request_id: str) -> str:
    """Say that it could not be found out in time whether the trade stands."""
    sentence = (
        f"*Still not known whether this was placed.* The trading system could not tell. {SAME_FORM_IS_SAFE}"
    )
    return with_reference(sentence, request_id)


def already_placed(trade_text: str) -> str:
    """Say that a repeated submission found its trade in the ledger."""
    return f"This was placed already, and traded once:\n{trade_text}"


def _why(fault: OmsError) -> str:
    match fault:
        case NotAllowed():
            return "The trading system does not accept this app's key. Please tell whoever runs it."
        case Refused(problems=problems) if problems:
            return " ".join(escape(problem.message) for problem in problems)
        case Refused() | NotPlaced():
            return f"{escape(str(fault))} Nothing was traded."
        case _:
            return "The trading system does not answer. Nothing was sent; please try again."
