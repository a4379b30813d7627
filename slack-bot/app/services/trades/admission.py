"""Check whether a person may trade, while their form is already open."""

import logging

from app.errors import (
    DenialReason,
    OmsError,
    OmsForbidden,
    OmsRejected,
)
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.forms.views import refuse_form
from app.services.request_origin import RequestOrigin
from app.services.settings.slack_settings import find_channel_refusal

log = logging.getLogger(__name__)


def check_admission(services: Services, origin: RequestOrigin, view_id: str) -> bool:
    """Replace a form that was just opened with a refusal if the person may not trade.

    Return whether the form stays open. It stays open if the OMS does not respond: the OMS decides when it is
    submitted, and no entry is lost.
    """
    try:
        if services.oms.can_trade(origin.person, request_id=origin.request_id):
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


def _check_channel(services: Services, origin: RequestOrigin, view_id: str) -> bool:
    """Replace a form of a channel in which the tenant does not allow trading."""
    sentence = find_channel_refusal(services, origin.channel)
    if sentence:
        refuse_form(services, origin, view_id, OmsRejected(sentence), sentence)
    return not sentence
