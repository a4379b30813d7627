"""Show matching instruments, price, GMV and quote while a person types in the form."""

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from app.blocks.trade_form import SymbolLookup, build_form_lines, get_shown_lines, update_lines
from app.errors import OmsError, SlackError, format_log_name
from app.forms.submission import read_draft
from app.forms.text import InvalidName, parse_symbol
from app.request_priority import run_outside
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin
from app.services.state.open_forms import OpenForm, OpenForms

log = logging.getLogger(__name__)

MAX_MATCHES = 20


class LineUpdate(NamedTuple):
    """The functions that update the lines of a kind of form.

    `load` returns the data about the entries of a view (None without one). `build` returns the updated view,
    None if its lines are current. With `always`, the lines of the view are not compared.
    """

    load: Callable[[Services, RequestOrigin, dict[str, Any] | None], Any]
    build: Callable[[dict[str, Any], Any, bool], dict[str, Any] | None]


def update_price_lines(services: Services, forms: OpenForms, origin: RequestOrigin, view_id: str) -> None:
    """Wait for a pause in typing, then update the lines of the trade form."""
    update_lines_when_idle(services, forms, origin, view_id, PRICE_LINES)


def update_lines_when_idle(
    services: Services, forms: OpenForms, origin: RequestOrigin, view_id: str, update: LineUpdate
) -> None:
    """Wait for a pause in typing, then update the lines of the form."""
    form = forms.get(view_id)
    while not services.stopping.is_set():
        with form.lock:
            pause_seconds = _pause_left(services, form)
            view = form.view
        if pause_seconds > 0:
            with run_outside():
                services.stopping.wait(pause_seconds)
            continue
        line_values = update.load(
            services, origin, view
        )  # without the lock: a keystroke must not wait for the OMS
        with form.lock:
            if _pause_left(services, form) <= 0:
                form.has_waiter = False
                _draw_lines(services, form, origin, line_values, update)
                return


def _pause_left(services: Services, form: OpenForm) -> float:
    return form.active_at + services.waits.typing_pause - time.monotonic()


def _load_typed_symbol(
    services: Services, origin: RequestOrigin, view: dict[str, Any] | None
) -> SymbolLookup:
    typed = read_draft(view["state"]["values"]).symbol if view else ""
    return load_symbol_lookup(services, origin, typed.strip())


def load_symbol_lookup(services: Services, origin: RequestOrigin, typed: str) -> SymbolLookup:
    """Return the quote of a typed symbol and the instruments that match it."""
    if not typed:
        return SymbolLookup()
    person, request_id = origin.person, origin.request_id
    try:
        instruments = services.oms.list_instruments(person, typed, limit=MAX_MATCHES, request_id=request_id)
        quote = services.oms.find_quote(person, parse_symbol(typed), request_id=request_id)
    except InvalidName:
        return SymbolLookup(None, instruments)
    except OmsError as error:
        log.info("No quote", extra={"request_id": request_id, "fault": format_log_name(error)})
        return SymbolLookup()
    return SymbolLookup(quote, instruments)


def _build_price_lines(
    view: dict[str, Any], symbol_lookup: SymbolLookup, always: bool
) -> dict[str, Any] | None:
    draft = read_draft(view["state"]["values"])
    if not always and get_shown_lines(view) == build_form_lines(draft, symbol_lookup):
        return None
    return update_lines(view, draft, symbol_lookup)


PRICE_LINES = LineUpdate(_load_typed_symbol, _build_price_lines)


def _draw_lines(
    services: Services, form: OpenForm, origin: RequestOrigin, line_values: Any, update: LineUpdate
) -> None:
    view = form.view
    form.view = None
    if view is None:
        return
    # After a redraw by this process, the lines in Slack's payload are outdated: do not compare with them.
    updated = update.build(view, line_values, bool(form.newer_hash))
    if updated is None:
        return
    current_hash = form.latest(str(view.get("hash", "")))
    try:
        updated_hash = services.slack.update_view(str(view["id"]), updated, current_hash)
    except SlackError as error:
        log.info("Price line not updated", extra={"request_id": origin.request_id, "fault": str(error)})
        return
    if updated_hash and updated_hash != current_hash:
        form.newer_hash[current_hash] = updated_hash
