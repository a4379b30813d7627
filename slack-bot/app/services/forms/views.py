"""Open a form, fill it in, or replace it with a refusal."""

import logging

from app.blocks import views
from app.blocks.messages import build_notice
from app.blocks.text import Json
from app.delivery.slack_api import OpenedView
from app.errors import BotError, ForeignPerson, SlackError, SlackRefused, format_log_name
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)


def open_view(services: Services, origin: RequestOrigin, view: Json, again: str) -> OpenedView | None:
    """Open a form. Return None if it is not open; `again` is the advice to the person in this case.

    Nothing else is called first, because the trigger is valid for only 3 seconds.
    """
    try:
        opened = services.slack.open_view(origin.trigger_id, view)
    except SlackError as error:
        log.warning("Form not opened", extra={"request_id": origin.request_id, "fault": str(error)})
        code = error.code if isinstance(error, SlackRefused) else ""
        sentence = failure_messages.describe_unopened_form(code, origin.request_id, again)
        services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(sentence))
        return None
    services.urls.remember(opened.view_id, origin.response_url)
    log.info("Form opened", extra={"request_id": origin.request_id})
    if opened.team not in ("", origin.person.team):
        refuse_form(services, origin, opened.view_id, ForeignPerson(), failure_messages.FOREIGN_PERSON)
        return None
    return opened


def update_opened_view(
    services: Services, origin: RequestOrigin, view_id: str, view: Json, view_hash: str
) -> None:
    """Fill in a form that was just drawn, unless it was submitted or redrawn since then."""
    try:
        services.slack.update_view(view_id, view, view_hash or None)
    except SlackError as error:
        log.info("Form not filled in", extra={"request_id": origin.request_id, "fault": str(error)})


def refuse_form(
    services: Services, origin: RequestOrigin, view_id: str, error: BotError, sentence: str
) -> None:
    """Replace an open form with a sentence."""
    extra = {"request_id": origin.request_id, "person": origin.person.actor}
    log.warning("Form refused", extra=extra | {"fault": format_log_name(error)})
    try:
        services.slack.update_view(view_id, views.build_refused_view(sentence))
    except SlackError as failure:
        log.info("Form not redrawn", extra=extra | {"fault": str(failure)})
