"""Check whether a person may trade, while their form is already open."""

import logging

from app.blocks import views
from app.errors import (
    BotError,
    DenialReason,
    OmsError,
    OmsForbidden,
    OmsRejected,
    SlackError,
    format_log_name,
)
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.origin import Origin
from app.services.slack_settings import find_channel_refusal

log = logging.getLogger(__name__)


def check_admission(services: Services, origin: Origin, view_id: str) -> bool:
    """Replace a form that was just opened with a refusal if the person may not trade.

    Return whether the form stays open. If the OMS does not answer, it does: the OMS decides when the form is
    submitted, and no entry is lost.
    """
    try:
        if services.oms.may_trade(origin.person, request_id=origin.request_id):
            return _check_channel(services, origin, view_id)
        denial = OmsForbidden(DenialReason.ROLE)
    except OmsForbidden as error:
        denial = error
    except OmsError as error:
        log.info("Role unknown", extra={"request_id": origin.request_id, "fault": str(error)})
        return True
    refuse_form(
        services, origin, view_id, denial, failure_messages.describe_refused_person(denial, origin.request_id)
    )
    return False


def _check_channel(services: Services, origin: Origin, view_id: str) -> bool:
    """Replace a form of a channel in which the tenant does not allow trading."""
    sentence = find_channel_refusal(services, origin.channel)
    if sentence:
        refuse_form(services, origin, view_id, OmsRejected(sentence), sentence)
    return not sentence


def refuse_form(services: Services, origin: Origin, view_id: str, error: BotError, sentence: str) -> None:
    """Replace an open form with a sentence."""
    extra = {"request_id": origin.request_id, "person": origin.person.actor}
    log.warning("Form refused", extra=extra | {"fault": format_log_name(error)})
    try:
        services.slack.update_view(view_id, views.build_refused_view(sentence))
    except SlackError as failure:
        log.info("Form not redrawn", extra=extra | {"fault": str(failure)})
