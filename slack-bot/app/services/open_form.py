"""Open the form for `/trade`, or notify the person why it does not open."""

import logging
from dataclasses import replace

from app.blocks.messages import build_notice
from app.blocks.text import Json
from app.blocks.trade_form import build_trade_form, get_shown_lines, update_lines
from app.delivery.slack_api import OpenedView
from app.errors import ForeignPerson, QueueFull, SlackError, SlackRefused
from app.forms.context import FormContext
from app.forms.ticket import Draft
from app.services import failure_messages
from app.services.admission import check_admission, refuse_form
from app.services.dependencies import Services
from app.services.live_price import load_market_facts
from app.services.origin import Origin
from app.services.preferences import fill_trade_draft, read_preferences
from app.services.slack_settings import get_channel_portfolio

log = logging.getLogger(__name__)


def open_form(services: Services, origin: Origin, draft: Draft) -> None:
    """Open the trade form, and check whether the person may trade.

    It starts with the portfolio of the channel, else with the default portfolio of the preferences if they
    were read before: nothing is read before it opens.
    """
    draft = replace(draft, portfolio=draft.portfolio or get_channel_portfolio(services, origin.channel))
    filled = fill_trade_draft(draft, services.preferences.find(origin.person))
    view = build_trade_form(filled, FormContext(origin.channel))
    opened = open_view(services, origin, view)
    if opened is None:
        return
    try:
        services.admission_workers.submit(
            origin.request_id, _check_and_load, services, origin, opened, filled, view
        )
    except QueueFull:
        return  # the OMS checks the submission as well


def _check_and_load(services: Services, origin: Origin, opened: OpenedView, draft: Draft, view: Json) -> None:
    """Check whether the person may trade, show the quote, and read the preferences for the next form."""
    if not check_admission(services, origin, opened.view_id):
        return
    if draft.symbol:
        market_facts = load_market_facts(services, origin, draft.symbol)
        updated = update_lines(view, draft, market_facts)
        is_current = get_shown_lines(updated) == get_shown_lines(view)
        if not is_current and not services.open_forms.has_keystrokes(opened.view_id):
            update_opened_view(services, origin, opened.view_id, updated, opened.hash)
    read_preferences(services, origin.person, origin.request_id)


def open_view(
    services: Services, origin: Origin, view: Json, again: str = failure_messages.AGAIN
) -> OpenedView | None:
    """Open a form. Return None if it is not open; `again` tells the person what to do then.

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


def update_opened_view(services: Services, origin: Origin, view_id: str, view: Json, view_hash: str) -> None:
    """Fill in a form that was just drawn, unless it was submitted or redrawn since then."""
    try:
        services.slack.update_view(view_id, view, view_hash or None)
    except SlackError as error:
        log.info("Form not filled in", extra={"request_id": origin.request_id, "fault": str(error)})
