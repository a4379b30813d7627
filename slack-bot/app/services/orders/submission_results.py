"""Build the outcomes of a submitted order form."""

from dataclasses import replace

from app.blocks.orders.form import (
    build_order_form,
    build_order_question_form,
    build_proposal,
    format_denial,
)
from app.blocks.orders.messages import build_order_message
from app.blocks.text import Json, build_plain_text
from app.blocks.trade_form import format_question
from app.errors import OmsError, OmsRejected
from app.forms.orders import fields
from app.forms.orders.context import OrderContext
from app.forms.orders.order import Denial, Order
from app.forms.questions import Question
from app.services import failure_messages
from app.services.orders.submitted_order import SubmittedOrder, find_block_errors
from app.services.state.submission_registry import Outcome
from app.services.trades.submission_results import build_update

NO_PORTFOLIO = "There is no portfolio called {name}. Choose one from the list."


def build_placed_outcome(order: Order, context: OrderContext) -> Outcome:
    """Return the outcome of an order that the OMS accepted: the form closes."""
    view = {
        "type": "modal",
        "title": build_plain_text("Order changed" if context.replaces else "Order placed"),
        "close": build_plain_text("Close"),
        "private_metadata": context.dump(),
        "blocks": [build_order_message(order).blocks[0]],
    }
    return Outcome({"response_action": "clear"}, view, is_recorded=True)


def build_order_question_outcome(submitted: SubmittedOrder, questions: list[Question]) -> Outcome:
    """Return the outcome of an order that needs a confirmation: the form shows the questions."""
    reasons = "\n".join(map(format_question, questions))
    view = build_order_question_form(submitted.draft, submitted.context, questions, submitted.lines)
    return _build_redraw(view, f"{reasons}\nThis was not sent. {failure_messages.ORDER_AGAIN}")


def build_denied_outcome(submitted: SubmittedOrder, denial: Denial, context: OrderContext) -> Outcome:
    """Return the outcome of a denied order: the form shows the reason, and a button with a passing order."""
    sentence = f"{format_denial(denial)} Nothing was ordered."
    proposal = build_proposal(denial, submitted.draft)
    view = build_order_form(
        submitted.draft, context, sentence, [proposal] if proposal else [], submitted.lines
    )
    return _build_redraw(view, sentence)


def build_refused_outcome(submitted: SubmittedOrder, error: OmsError, context: OrderContext) -> Outcome:
    """Return the outcome of an order that the OMS did not accept, with an error at each field at fault.

    It stays unknown if an earlier submission of the form may have placed the order.
    """
    sentence = failure_messages.describe_unplaced_trade(
        error, submitted.origin.request_id, is_earlier_unknown=context.is_outcome_unknown
    )
    view = build_order_form(submitted.draft, context, sentence, lines=submitted.lines)
    redrawn = replace(_build_redraw(view, sentence), is_unknown=context.is_outcome_unknown)
    errors = _find_entry_errors(error, submitted)
    if not errors:
        return redrawn
    sentences = find_block_errors(errors, submitted.draft, submitted.context)
    return replace(redrawn, response={"response_action": "errors", "errors": sentences})


def build_unknown_order_outcome(submitted: SubmittedOrder) -> Outcome:
    """Return the outcome of an order that may have been placed. The form keeps its idempotency key."""
    request_id = submitted.origin.request_id
    sentence = failure_messages.describe_unknown_outcome(request_id, is_form_open=True)
    view = build_order_form(
        submitted.draft, submitted.context.with_unknown_outcome(), sentence, lines=submitted.lines
    )
    closed = failure_messages.describe_unknown_outcome(request_id, is_form_open=False)
    return Outcome(build_update(view), view, is_unknown=True, notice=closed)


def build_busy_order_outcome(submitted: SubmittedOrder) -> Outcome:
    """Return the outcome of a submission that was not started because no worker is free."""
    view = build_order_form(submitted.draft, submitted.context, failure_messages.BUSY)
    return _build_redraw(view, failure_messages.BUSY)


def _build_redraw(view: Json, notice: str) -> Outcome:
    return Outcome(build_update(view), view, notice=notice)


def _find_entry_errors(error: OmsError, submitted: SubmittedOrder) -> dict[str, str]:
    """Return the errors by entry. Empty if the OMS reports a field that the form does not have."""
    if not isinstance(error, OmsRejected):
        return {}
    if error.status == 404 and not submitted.context.replaces:
        return {fields.PORTFOLIO: NO_PORTFOLIO.format(name=submitted.ticket.portfolio)}
    errors: dict[str, str] = {}
    for problem in error.problems:
        entry = fields.find_entry(problem.field)
        if entry is None:
            return {}
        message = problem.message or failure_messages.NO_REASON
        errors[entry] = f"{errors.get(entry, '')} {message}".strip()
    return errors
