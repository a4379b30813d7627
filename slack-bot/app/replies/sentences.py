"""Failures, said to people. The text is mrkdwn; what others supplied in it is escaped."""

from app.blocks.messages import with_reference
from app.blocks.text import escape
from app.errors import NotAllowed, NotPlaced, OmsError, Refused

AGAIN = "Please run `/trade` again."
TRIGGER_TOO_OLD = f"The form could not be opened in time. {AGAIN}"
FORM_NOT_OPENED = f"Slack did not open the form. {AGAIN}"
BUSY = "The desk is busy at the moment, and nothing was begun. Please try again in a few seconds."
NOT_KNOWN = "*Still not known whether this was placed.* The trading system could not tell."
SAME_FORM_IS_SAFE = "Placing it again from this form is safe: it can trade only once."
OTHER_FORMS_ARE_NOT = "Please look into the portfolio first: placed from a new form, it could trade twice."
TRIGGER_CODES = frozenset({
    "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id",
    "trigger_expired", "trigger_exchanged", "invalid_trigger",
})  # fmt: skip


def not_opened(code: str, request_id: str) -> str:
    """Say that a form did not open, and what to do."""
    return TRIGGER_TOO_OLD if code in TRIGGER_CODES else with_reference(FORM_NOT_OPENED, request_id)


def not_placed(fault: OmsError, request_id: str, *, earlier_unknown: bool = False) -> str:
    """Say a failure that recorded nothing, for certain; an earlier press of the form may have."""
    if earlier_unknown:
        earlier = f"Whether it was placed before is still not known. {SAME_FORM_IS_SAFE}"
        return with_reference(f"*Not placed this time.* {_why(fault)} {earlier}", request_id)
    return with_reference(f"*Not placed.* {_why(fault)}{_nothing_traded(fault)}", request_id)


def not_known(request_id: str, *, form_is_open: bool) -> str:
    """Say that it could not be found out in time whether the trade stands."""
    advice = SAME_FORM_IS_SAFE if form_is_open else OTHER_FORMS_ARE_NOT
    return with_reference(f"{NOT_KNOWN} {advice}", request_id)


def already_placed(trade_text: str) -> str:
    """Say that a repeated submission found its trade in the ledger."""
    return f"This was placed already, and traded once:\n{trade_text}"


def traded_before(trade_text: str) -> str:
    """Say that a form had traded before its entries were changed."""
    return (
        f"*This form had traded already*, before you changed it:\n{trade_text}\n"
        "What you changed was not traded. For another trade, please run `/trade`."
    )


def went_wrong(request_id: str) -> str:
    """Say a fault of the bot itself."""
    return with_reference(f"*Something went wrong here.* {AGAIN}", request_id)


def form_went_wrong(request_id: str) -> str:
    """Say a fault of the bot itself after a form was submitted: whether it traded is not known."""
    sentence = "*Something went wrong here*, and this may or may not have been placed."
    return with_reference(
        f"{sentence} Go back and place it again: from that form it can trade only once.", request_id
    )


def _why(fault: OmsError) -> str:
    match fault:
        case NotAllowed():
            return "The trading system does not accept this app's key. Please tell whoever runs it."
        case Refused(problems=problems) if problems:
            return " ".join(escape(problem.message) for problem in problems)
        case Refused() | NotPlaced():
            return escape(str(fault))
        case _:
            return "The trading system does not answer. Nothing was sent; please try again."


def _nothing_traded(fault: OmsError) -> str:
    unexplained = isinstance(fault, NotPlaced) or (isinstance(fault, Refused) and not fault.problems)
    return " Nothing was traded." if unexplained else ""
