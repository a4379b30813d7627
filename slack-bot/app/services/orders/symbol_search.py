"""Find the options of the symbol field: instruments with their quote, its change today and its age."""

import time
from collections.abc import Iterable

from app.blocks.options import build_reason_option
from app.blocks.text import MAX_OPTIONS, Json, build_option
from app.errors import OmsError
from app.forms.day_change import DayChange, compute_day_change, format_day_change
from app.forms.instruments import Instrument
from app.forms.numbers import format_money
from app.forms.price import Quote, format_duration
from app.forms.text import InvalidName, parse_symbol
from app.services.dependencies import Services
from app.services.forms.suggestions import suggest_within_time
from app.services.request_origin import RequestOrigin

MAX_FOUND = 50
MAX_QUOTED = 10  # each takes two calls, unless a list had it a moment ago
QUOTE_SECONDS = 1.0  # of the time in which Slack expects the options
NOT_LISTED = "not listed"
NO_INSTRUMENTS = "No instruments are listed. Type a symbol, such as AAPL."
NO_MATCH = "No instrument matches."


def suggest_symbols(services: Services, origin: RequestOrigin, typed: str) -> Json:
    """Return instruments for the typed text, or why there are none. The typed symbol is offered too."""
    return suggest_within_time(
        services, origin, lambda: _load_symbol_options(services, origin, typed.strip())
    )


def find_day_change(
    services: Services, origin: RequestOrigin, symbol: str, quote: Quote | None
) -> DayChange | None:
    """Return how the quote changed today. None if it is not known."""
    if quote is None:
        return None
    try:
        bars = services.day_bars.get_or_load(
            symbol,
            lambda: services.oms.list_day_bars(origin.person, symbol, request_id=origin.request_id),
        )
    except OmsError:
        return None
    return compute_day_change(quote.price, bars, services.now().date().isoformat())


def _load_symbol_options(services: Services, origin: RequestOrigin, typed: str) -> Json:
    instruments = services.oms.list_instruments(
        origin.person, typed, limit=MAX_FOUND, request_id=origin.request_id
    )
    symbol = _parse_typed_symbol(typed)
    instruments = sorted(
        instruments, key=lambda instrument: instrument.symbol != symbol
    )  # the exact one first
    options = list(_build_options(services, origin, instruments))
    if symbol and all(instrument.symbol != symbol for instrument in instruments):
        label = f"{symbol} · {_describe_quote(services, origin, symbol) or NOT_LISTED}"
        options.append(build_option(label, symbol))
    if not options:
        return build_reason_option(NO_MATCH if typed else NO_INSTRUMENTS)
    return {"options": options[:MAX_OPTIONS]}


def _build_options(
    services: Services, origin: RequestOrigin, instruments: Iterable[Instrument]
) -> Iterable[Json]:
    began = time.monotonic()
    for number, instrument in enumerate(instruments):
        is_quoted = number < MAX_QUOTED and time.monotonic() - began < QUOTE_SECONDS
        quote_text = _describe_quote(services, origin, instrument.symbol) if is_quoted else ""
        texts = (instrument.symbol, quote_text, instrument.name)
        yield build_option(" · ".join(text for text in texts if text), instrument.symbol)


def _describe_quote(services: Services, origin: RequestOrigin, symbol: str) -> str:
    try:
        quote = services.quotes.get_or_load(
            symbol, lambda: services.oms.find_quote(origin.person, symbol, request_id=origin.request_id)
        )
    except OmsError:
        return ""
    if quote is None:
        return ""
    change = format_day_change(find_day_change(services, origin, symbol, quote))
    texts = (format_money(quote.price), change, f"{format_duration(quote.age_seconds)} old")
    return " · ".join(text for text in texts if text)


def _parse_typed_symbol(typed: str) -> str:
    try:
        return parse_symbol(typed)
    except InvalidName:
        return ""
