"""How a submission ends, as it is shown in time (the delivery's answer) and late (a redrawn form)."""

from app.blocks.text import Json, escape
from app.blocks.trade_form import question_for, trade_form
from app.blocks.views import placed as placed_view
from app.errors import OmsError, Refused
from app.forms import fields
from app.forms.context import FormContext
from app.forms.ticket import Ticket, Trade
from app.replies import sentences
from app.replies.claims import Outcome

NO_REASON = "The trading system does not accept this."


def placed(trade: Trade, user: str, context: FormContext) -> Outcome:
    """The trade stands: the form closes."""
    return Outcome({"response_action": "clear"}, placed_view(trade, user, context), placed=True)


def asked(ticket: Ticket, context: FormContext, doubt: str) -> Outcome:
    """The price is implausible: the form asks whether it is meant."""
    notice = f"*Please check the price.* {escape(doubt)} Nothing was traded; {sentences.AGAIN}"
    return _redrawn(question_for(ticket, context, doubt), notice)


def failed(fault: OmsError, ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """Nothing was recorded: the fields that are to blame, else a sentence; entries stay."""
    sentence = sentences.not_placed(fault, request_id)
    # A denial is an answer: what comes after it is a new request. The other failures leave the key free.
    after = context.denied() if isinstance(fault, Refused) else context
    redrawn = _redrawn(trade_form(ticket.draft(), after, sentence), sentence)
    blamed = _blamed_fields(fault)
    if not blamed:
        return redrawn
    return Outcome({"response_action": "errors", "errors": blamed}, redrawn.view, notice=sentence)


def unknown(ticket: Ticket, context: FormContext, request_id: str) -> Outcome:
    """It could not be found out: the form stays, with its key, so that placing again cannot trade twice."""
    sentence = sentences.not_known(request_id)
    view = trade_form(ticket.draft(), context, sentence)
    return Outcome(update(view), view, unsettled=True, notice=sentence)


def busy(ticket: Ticket, context: FormContext) -> Outcome:
    """No worker is free: nothing was begun."""
    return _redrawn(trade_form(ticket.draft(), context, sentences.BUSY), sentences.BUSY)


def update(view: Json) -> Json:
    """Return the answer that puts another view in the place of the submitted one."""
    return {"response_action": "update", "view": view}


def _redrawn(view: Json, notice: str) -> Outcome:
    return Outcome(update(view), view, notice=notice)


def _blamed_fields(fault: OmsError) -> dict[str, str]:
    """Return a sentence per block, if the OMS blames fields of the form only."""
    if not isinstance(fault, Refused):
        return {}
    blamed: dict[str, str] = {}
    for problem in fault.problems:
        block_id = fields.OF_OMS.get(problem.field.rpartition(".")[2])
        if block_id is None:
            return {}
        blamed[block_id] = f"{blamed.get(block_id, '')} {problem.message or NO_REASON}".strip()
    return blamed
