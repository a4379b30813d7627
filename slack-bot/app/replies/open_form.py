"""`/trade`: the form opens, or the person is told why not."""

import logging

from app.blocks.messages import notice
from app.blocks.trade_form import trade_form
from app.delivery.slack_api import Opened
from app.errors import Saturated, SlackError, SlackRefused, Stranger
from app.forms.context import FormContext
from app.forms.ticket import Draft
from app.replies import sentences
from app.replies.admission import check_admission, turn_away
from app.replies.desk import Desk
from app.replies.origin import Origin

log = logging.getLogger(__name__)


def open_form(desk: Desk, origin: Origin, draft: Draft) -> None:
    """Open the form at once (the trigger lives 3 s): nothing else is called before."""
    try:
        opened = desk.slack.open_view(origin.trigger_id, trade_form(draft, FormContext(origin.channel)))
    except SlackError as fault:
        log.warning("Form not opened", extra={"request_id": origin.request_id, "fault": str(fault)})
        code = fault.code if isinstance(fault, SlackRefused) else ""
        sentence = sentences.not_opened(code, origin.request_id)
        desk.postman.respond(origin.address(), origin.response_url, notice(sentence))
        return
    desk.urls.remember(opened.view_id, origin.response_url)
    log.info("Form opened", extra={"request_id": origin.request_id})
    _check(desk, origin, opened)


def _check(desk: Desk, origin: Origin, opened: Opened) -> None:
    if opened.team not in ("", origin.person.team):
        turn_away(desk, origin, opened.view_id, Stranger(), sentences.STRANGER)
        return
    try:
        desk.admitting.submit(origin.request_id, check_admission, desk, origin, opened.view_id)
    except Saturated:
        return  # the submission is checked anyway
