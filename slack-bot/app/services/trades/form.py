"""Open the form for `/trade`, or notify the person why it does not open."""

import logging
from dataclasses import replace

from app.blocks.text import Json
from app.blocks.trade_form import build_trade_form, get_shown_lines, update_lines
from app.delivery.slack_api import OpenedView
from app.errors import QueueFull
from app.forms.context import FormContext
from app.forms.ticket import Draft
from app.services.dependencies import Services
from app.services.forms.views import open_view, update_opened_view
from app.services.request_origin import RequestOrigin
from app.services.settings.preferences import fill_trade_draft, read_preferences
from app.services.settings.slack_settings import get_channel_portfolio
from app.services.trades.admission import check_admission
from app.services.trades.live_price import load_symbol_lookup

log = logging.getLogger(__name__)


def open_form(services: Services, origin: RequestOrigin, draft: Draft, again: str) -> None:
    """Open the trade form, and check whether the person may trade. `again` is the advice if it does not open.

    It starts with the portfolio of the channel, else with the default portfolio of the preferences if they
    were read before: nothing is read before it opens.
    """
    draft = replace(draft, portfolio=draft.portfolio or get_channel_portfolio(services, origin.channel))
    filled = fill_trade_draft(draft, services.preferences.find(origin.person))
    view = build_trade_form(filled, FormContext(origin.channel))
    opened = open_view(services, origin, view, again)
    if opened is None:
        return
    try:
        services.admission_workers.submit(
            origin.request_id, _check_and_load, services, origin, opened, filled, view
        )
    except QueueFull:
        return  # the OMS checks the submission as well


def _check_and_load(
    services: Services, origin: RequestOrigin, opened: OpenedView, draft: Draft, view: Json
) -> None:
    """Check whether the person may trade, show the quote, and read the preferences for the next form."""
    if not check_admission(services, origin, opened.view_id):
        return
    if draft.symbol:
        symbol_lookup = load_symbol_lookup(services, origin, draft.symbol)
        updated = update_lines(view, draft, symbol_lookup)
        is_current = get_shown_lines(updated) == get_shown_lines(view)
        if not is_current and not services.open_forms.has_keystrokes(opened.view_id):
            update_opened_view(services, origin, opened.view_id, updated, opened.hash)
    read_preferences(services, origin.person, origin.request_id)
