"""Check whether a person may trade, while their form is already open."""

import logging

from app.blocks import views
from app.errors import BotError, DenialReason, NotAllowed, OmsError, SlackError, format_log_name
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.origin import Origin

log = logging.getLogger(__name__)


def check_admission(services: Services, origin: Origin, view_id: str) -> None:
    """Replace a form that was just opened by a refusal if the person may not trade.

    If the OMS does not answer, the form stays open: the OMS decides when the form is submitted, and no entry
    is lost.
    """
    try:
        if services.oms.may_trade(origin.person, request_id=origin.request_id):
            return
        reason = NotAllowed(DenialReason.ROLE)
    except NotAllowed as error:
        reason = error
    except OmsError as error:
        log.info("Role not known", extra={"request_id": origin.request_id, "fault": str(error)})
        return
    refuse_form(services, origin, view_id, reason, failure_messages.barred(reason, origin.request_id))


def refuse_form(services: Services, origin: Origin, view_id: str, why: BotError, sentence: str) -> None:
    """Replace an open form by a sentence."""
    extra = {"request_id": origin.request_id, "person": origin.person.actor}
    log.warning("Form taken back", extra=extra | {"fault": format_log_name(why)})
    try:
        services.slack.update_view(view_id, views.refused_view(sentence))
    except SlackError as error:
        log.info("Form not redrawn", extra=extra | {"fault": str(error)})
