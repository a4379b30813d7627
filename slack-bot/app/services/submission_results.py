"""How a submission ends, as it is shown in time (the delivery's answer) and late (a redrawn form)."""

from collections.abc import Sequence

from app.blocks.text import Json
from app.blocks.trade_form import asking_form, question_text, trade_form
from app.blocks.views import placed as placed_view
from app.blocks.views import traded_before as traded_before_view
from app.errors import OmsError, Refused
from app.forms import fields
from app.forms.context import FormContext
from app.forms.questions import Question
from app.forms.submission import amount_block
from app.forms.ticket import Ticket, Trade
from app.services import failure_messages
from app.services.submission_registry import Outcome


def placed(trade: Trade, user: str, context: FormContext) -> Outcome:
    """The trade stands: the form closes."""
    return Outcome({"response_action": "clear"}, placed_view(trade, user, context), placed=True)


def traded_before(told: str, context: FormContext) -> Outcome:
    """The form had traded before its entries were changed: it says so in its own place."""
    view = traded_before_view(told, context)
    return Outcome(update(view), view, placed=True)


def asked(ticket: Ticket, context: FormContext, questions: Sequence[Question]) -> Outcome:
    """Something about the trade is doubtful: the form asks whether it is meant."""
    reasons = "\n".join(map(question_text, questions))
    view = asking_form(ticket, context, questions)
    return _redrawn(view, f"{reasons}\nThis was not sent. {failure_messages.AGAIN}")


def failed(fault: OmsError, ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """Nothing was recorded: the fields that are to blame, else a sentence; entries stay."""
    sentence = failure_messages.not_placed(fault, request_id, earlier_unknown=context.unsettled)
    redrawn = _redrawn(trade_form(ticket.draft(), context, sentence), sentence)
    blamed = _blamed_fields(fault, ticket)
    if not blamed:
        return redrawn
    return Outcome({"response_action": "errors", "errors": blamed}, redrawn.view, notice=sentence)


def unknown(ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """It could not be found out: the form stays, with its key, so that placing again cannot trade twice."""
    sentence = failure_messages.not_known(request_id, form_is_open=True)
    view = trade_form(ticket.draft(), context.left_open(), sentence)
    closed = failure_messages.not_known(request_id, form_is_open=False)
    return Outcome(update(view), view, unsettled=True, notice=closed)


def busy(ticket: Ticket, context: FormContext) -> Outcome:
    """No worker is free: nothing was begun."""
    return _redrawn(trade_form(ticket.draft(), context, failure_messages.BUSY), failure_messages.BUSY)


def update(view: Json) -> Json:
    """Return the answer that puts another view in the place of the submitted one."""
    return {"response_action": "update", "view": view}


def _redrawn(view: Json, notice: str) -> Outcome:
    return Outcome(update(view), view, notice=notice)


def _blamed_fields(fault: OmsError, ticket: Ticket) -> dict[str, str]:
    """Return a sentence per block, if the OMS blames fields of the form only. What it says of the price or
    the GMV stands at the one that was typed.
    """
    if not isinstance(fault, Refused):
        return {}
    blamed: dict[str, str] = {}
    for problem in fault.problems:
        block_id = fields.of_oms(problem.field)
        if block_id is None:
            return {}
        if block_id in (fields.PRICE, fields.GMV):
            block_id = amount_block(ticket)
        blamed[block_id] = (
            f"{blamed.get(block_id, '')} {problem.message or failure_messages.NO_REASON}".strip()
        )
    return blamed
