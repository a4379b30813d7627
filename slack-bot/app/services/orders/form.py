"""Open the order form, and redraw it while a person fills it in."""

import logging
from dataclasses import replace
from typing import Any, NamedTuple

from app.blocks.amounts import format_figure
from app.blocks.orders.form import (
    PREVIEW_PROMPT,
    PROPOSAL_SEPARATOR,
    build_loading_view,
    build_order_form,
    get_shown_order_lines,
    update_order_lines,
)
from app.blocks.orders.preview import build_preview
from app.blocks.text import Json, escape
from app.errors import InvalidEntries, OmsError, OmsRejected, SlackError, format_log_name
from app.forms.day_change import DayChange, format_day_change
from app.forms.instruments import Instrument, build_symbol_line
from app.forms.orders import fields
from app.forms.orders.context import OrderContext
from app.forms.orders.order import Order, PortfolioCash, Preview, build_order_draft
from app.forms.orders.submission import parse_order_draft, read_order_draft
from app.forms.orders.ticket import OrderDraft
from app.forms.price import Quote, format_quote
from app.forms.text import InvalidName, parse_symbol
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.forms.views import open_view, update_opened_view
from app.services.orders.symbol_search import find_day_change
from app.services.request_origin import RequestOrigin
from app.services.settings.preferences import fill_order_draft, load_preferences
from app.services.settings.slack_settings import get_channel_portfolio
from app.services.state.open_forms import OpenForms
from app.services.trades.admission import check_admission
from app.services.trades.live_price import MAX_MATCHES, LineUpdate

log = logging.getLogger(__name__)

LOADING = "Loading the order…"
NO_ACCESS = "You have no access to this order."
NOT_OPEN = "This order is no longer open, so it cannot be changed. Its message shows the current status."


class OrderFormData(NamedTuple):
    """The data of the OMS that the form shows. `problem` states why there is no preview."""

    instruments: list[Instrument] | None = None
    quote: Quote | None = None
    change: DayChange | None = None
    cash: PortfolioCash | None = None
    preview: Preview | None = None
    problem: str = ""


def open_order_form(services: Services, origin: RequestOrigin, draft: OrderDraft, again: str) -> None:
    """Open the order form. `again` is the advice if it does not open.

    The order's message goes to the channel, or to the person of a private order.
    """
    draft = replace(draft, portfolio=draft.portfolio or get_channel_portfolio(services, origin.channel))
    private = OrderContext("", typed_in=origin.channel)
    context = private if draft.is_private else OrderContext(origin.channel)
    order_draft = fill_order_draft(draft, services.preferences.find(origin.person))
    opened = open_view(services, origin, build_order_form(order_draft, context), again)
    if opened is None or not check_admission(services, origin, opened.view_id):
        return
    filled = fill_order_draft(draft, load_preferences(services, origin.person, origin.request_id))
    if filled != order_draft:
        context = context.with_next_revision()  # Slack keeps entries whose block stays
    is_typing = services.open_forms.has_keystrokes(opened.view_id)
    if not is_typing and (filled != order_draft or filled.symbol):
        _show_lines(services, origin, opened.view_id, opened.hash, filled, context)


def open_form_for_order(services: Services, origin: RequestOrigin, order_id: str, *, is_change: bool) -> None:
    """Open the form that changes an open order, or one for a new order like it.

    The form opens before the order is read, because the trigger is valid for only 3 seconds.
    """
    opened = open_view(services, origin, build_loading_view(LOADING), failure_messages.CLICK_AGAIN)
    if opened is None:
        return
    try:
        order = services.orders.find_by_id(origin.person, order_id, request_id=origin.request_id)
        view = (
            build_loading_view(NO_ACCESS)
            if order is None
            else _build_form_for_order(origin, order, is_change)
        )
    except OmsError as error:
        view = build_loading_view(failure_messages.describe_failed_action(error, origin.request_id))
    update_opened_view(services, origin, opened.view_id, view, opened.hash)


def _build_form_for_order(origin: RequestOrigin, order: Order, is_change: bool) -> Json:
    if is_change and order.is_final:
        return build_loading_view(NOT_OPEN)
    context = OrderContext(origin.channel, replaces=order.id if is_change else "")
    return build_order_form(build_order_draft(order), context)


def redraw_choice(
    services: Services, forms: OpenForms, origin: RequestOrigin, view: dict[str, Any], _value: str
) -> None:
    """Show the fields that the chosen type and time in force need. Typed entries are kept."""
    context = OrderContext.load(str(view.get("private_metadata", "")))
    draft = read_order_draft(view["state"]["values"], context)
    form = build_order_form(draft, context, lines=get_shown_order_lines(view))
    view_hash = _redraw_form(services, forms, origin, view, form)
    if view_hash is not None:
        _show_lines(services, origin, str(view["id"]), view_hash, draft, context)


def apply_proposal(
    services: Services, forms: OpenForms, origin: RequestOrigin, view: dict[str, Any], proposal: str
) -> None:
    """Fill in the nearest order that passes. The person still places it."""
    context = OrderContext.load(str(view.get("private_metadata", "")))
    draft = read_order_draft(view["state"]["values"], context)
    entry, _, text = proposal.partition(PROPOSAL_SEPARATOR)
    if entry not in fields.LABELS:
        return
    changes: dict[str, Any] = {entry: text} | ({fields.VALUE: ""} if entry == fields.QUANTITY else {})
    filled = replace(draft, **changes)
    context = context.with_next_revision()
    banner = f"{fields.LABELS[entry]} {escape(format_figure(text))} is filled in. Nothing was sent yet."
    form = build_order_form(filled, context, banner, lines=get_shown_order_lines(view))
    view_hash = _redraw_form(services, forms, origin, view, form)
    if view_hash is not None:
        _show_lines(services, origin, str(view["id"]), view_hash, filled, context, banner)


def _redraw_form(
    services: Services, forms: OpenForms, origin: RequestOrigin, view: dict[str, Any], updated: Json
) -> str | None:
    """Replace the form, and remove the view of the latest keystroke. Return the hash, None if it failed."""
    form = forms.get(str(view["id"]))
    view_id = str(view["id"])
    with form.lock:
        form.view = None
        current_hash = form.latest(str(view.get("hash", "")))
        try:
            updated_hash = services.slack.update_view(view_id, updated)
        except SlackError as error:
            log.info("Order form not redrawn", extra={"request_id": origin.request_id, "fault": str(error)})
            return None
        if updated_hash and updated_hash != current_hash:
            form.newer_hash[current_hash] = updated_hash
        return updated_hash


def _show_lines(
    services: Services,
    origin: RequestOrigin,
    view_id: str,
    view_hash: str,
    draft: OrderDraft,
    context: OrderContext,
    banner: str = "",
) -> None:
    """Show the quote and the preview of entries that the bot has just drawn, below the banner."""
    form_data = _load_draft_data(services, origin, draft)
    form = build_order_form(draft, context, banner, lines=_format_lines(draft, form_data))
    update_opened_view(services, origin, view_id, form, view_hash)


def _load_form_data(services: Services, origin: RequestOrigin, view: dict[str, Any] | None) -> OrderFormData:
    """Return the instrument, the quote, the cash and the preview of the current entries."""
    if view is None:
        return OrderFormData()
    context = OrderContext.load(str(view.get("private_metadata", "")))
    return _load_draft_data(services, origin, read_order_draft(view["state"]["values"], context))


def _load_draft_data(services: Services, origin: RequestOrigin, draft: OrderDraft) -> OrderFormData:
    form_data = OrderFormData()
    try:
        form_data = _load_symbol(services, origin, draft.symbol.strip())
        ticket = parse_order_draft(draft)
        cash = services.orders.find_cash(origin.person, ticket.portfolio, request_id=origin.request_id)
        preview = services.orders.preview(origin.person, ticket, request_id=origin.request_id)
    except InvalidEntries:
        return form_data
    except OmsError as error:
        log.info("No preview", extra={"request_id": origin.request_id, "fault": format_log_name(error)})
        return form_data._replace(problem=_describe_preview_error(error))
    return form_data._replace(cash=cash, preview=preview)


def _load_symbol(services: Services, origin: RequestOrigin, typed: str) -> OrderFormData:
    if not typed:
        return OrderFormData()
    person, request_id = origin.person, origin.request_id
    instruments = services.oms.list_instruments(person, typed, limit=MAX_MATCHES, request_id=request_id)
    try:
        symbol = parse_symbol(typed)
    except InvalidName:
        return OrderFormData(instruments)
    quote = services.oms.find_quote(person, symbol, request_id=request_id)
    return OrderFormData(instruments, quote, find_day_change(services, origin, symbol, quote))


def _describe_preview_error(error: OmsError) -> str:
    if isinstance(error, OmsRejected):
        return " ".join(problem.message for problem in error.problems) or str(error)
    return "There is no preview at the moment."


def _build_lines(view: dict[str, Any], form_data: OrderFormData, always: bool) -> dict[str, Any] | None:
    context = OrderContext.load(str(view.get("private_metadata", "")))
    draft = read_order_draft(view["state"]["values"], context)
    lines = _format_lines(draft, form_data)
    if not always and lines == get_shown_order_lines(view):
        return None
    return update_order_lines(view, *lines)


def _format_lines(draft: OrderDraft, form_data: OrderFormData) -> tuple[str, str]:
    symbol = build_symbol_line(draft.symbol, form_data.instruments)
    market = (symbol, format_quote(form_data.quote), format_day_change(form_data.change))
    symbol_line = escape(" · ".join(part for part in market if part))
    preview = (
        build_preview(form_data.preview, form_data.cash) if form_data.preview else escape(form_data.problem)
    )
    return symbol_line, preview or PREVIEW_PROMPT


ORDER_LINES = LineUpdate(_load_form_data, _build_lines)
