"""Build the outcomes of a submission: each has the response to Slack, and the view for a later redraw."""

from collections.abc import Sequence

from app.blocks.text import Json
from app.blocks.trade_form import build_question_form, build_trade_form, format_question
from app.blocks.views import build_placed_view, build_traded_before_view
from app.errors import OmsError, OmsRejected
from app.forms import fields
from app.forms.context import FormContext
from app.forms.questions import Question
from app.forms.submission import find_amount_block
from app.forms.ticket import Ticket, Trade
from app.services import failure_messages
from app.services.state.submission_registry import Outcome


def build_recorded_outcome(trade: Trade, user: str, context: FormContext) -> Outcome:
    """Return the outcome of a recorded trade: the form closes."""
    return Outcome({"response_action": "clear"}, build_placed_view(trade, user, context), is_recorded=True)


def build_traded_before_outcome(text: str, context: FormContext) -> Outcome:
    """Return the outcome of a form that had traded before its entries were changed."""
    view = build_traded_before_view(text, context)
    return Outcome(build_update(view), view, is_recorded=True)


def build_question_outcome(ticket: Ticket, context: FormContext, questions: Sequence[Question]) -> Outcome:
    """Return the outcome of a trade that needs a confirmation: the form shows the questions."""
    reasons = "\n".join(map(format_question, questions))
    view = build_question_form(ticket, context, questions)
    return _build_redraw(view, f"{reasons}\nThis was not sent. {failure_messages.TRADE_AGAIN}")


def build_failed_outcome(error: OmsError, ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """Return the outcome of a trade that was not recorded.

    The form shows an error at each field at fault, else a sentence. Entries are kept.
    """
    sentence = failure_messages.describe_unplaced_trade(
        error, request_id, is_earlier_unknown=context.is_outcome_unknown
    )
    redrawn = _build_redraw(build_trade_form(ticket.draft(), context, sentence), sentence)
    field_errors = _find_field_errors(error, ticket)
    if not field_errors:
        return redrawn
    response = {"response_action": "errors", "errors": field_errors}
    return Outcome(response, redrawn.view, notice=sentence)


def build_unknown_outcome(ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """Return the outcome of a trade that may have been recorded.

    The form keeps its idempotency key, so that submitting it again cannot trade twice.
    """
    sentence = failure_messages.describe_unknown_outcome(request_id, is_form_open=True)
    view = build_trade_form(ticket.draft(), context.with_unknown_outcome(), sentence)
    closed = failure_messages.describe_unknown_outcome(request_id, is_form_open=False)
    return Outcome(build_update(view), view, is_unknown=True, notice=closed)


def build_busy_outcome(ticket: Ticket, context: FormContext) -> Outcome:
    """Return the outcome of a submission that was not started because no worker is free."""
    return _build_redraw(
        build_trade_form(ticket.draft(), context, failure_messages.BUSY), failure_messages.BUSY
    )


def build_update(view: Json) -> Json:
    """Return the response that replaces the submitted view."""
    return {"response_action": "update", "view": view}


def _build_redraw(view: Json, notice: str) -> Outcome:
    return Outcome(build_update(view), view, notice=notice)


def _find_field_errors(error: OmsError, ticket: Ticket) -> dict[str, str]:
    """Return the errors by block id. Empty if the OMS reports a field that the form does not have.

    Errors of the price or the GMV are reported at the typed field.
    """
    if not isinstance(error, OmsRejected):
        return {}
    errors: dict[str, str] = {}
    for problem in error.problems:
        block_id = fields.find_block(problem.field)
        if block_id is None:
            return {}
        if block_id in (fields.PRICE, fields.GMV):
            block_id = find_amount_block(ticket)
        message = problem.message or failure_messages.NO_REASON
        errors[block_id] = f"{errors.get(block_id, '')} {message}".strip()
    return errors
