"""Find what is unusual about a trade, so that the person confirms it before it is sent."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from app.blocks.messages import format_time
from app.errors import OmsError, format_log_name
from app.forms.price import find_price_warning
from app.forms.questions import (
    MAX_NEAREST,
    Question,
    build_portfolio_id,
    build_portfolio_question,
    build_price_question,
    build_repeat_question,
    build_short_question,
    build_symbol_id,
    build_symbol_question,
    find_nearest_names,
    is_repeat,
)
from app.forms.text import name_key
from app.forms.ticket import Side
from app.services.dependencies import Services
from app.services.trades.submitted_trade import TradeSubmission

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60
MAX_CANDIDATES = 1000  # results of one call


def list_questions(services: Services, order: TradeSubmission) -> list[Question]:
    """Compare a ticket with the OMS. Return the questions that the person has not confirmed yet.

    Raises `OmsError` if the OMS does not answer. No trade is sent then.
    """
    questions = (
        *check_symbol_and_price(services, order, order.ticket.price),
        *_check_portfolio(services, order),
    )
    return [question for question in questions if not order.is_confirmed(question.id)]


def check_symbol_and_price(
    services: Services, order: TradeSubmission, price: Decimal | None
) -> Iterator[Question]:
    """Yield questions about an unknown symbol and an implausible price. Without a price, only the first.

    A symbol is known if it has a live quote, was traded, or is a listed instrument.
    """
    ticket, person, request_id = order.ticket, order.origin.person, order.origin.request_id
    quote = services.oms.get_quote(person, ticket.symbol, request_id=request_id)
    quoted = quote.price if quote and quote.is_live else None
    last = (
        services.oms.get_last_price(person, ticket.symbol, request_id=request_id) if quoted is None else None
    )
    is_priced = quoted is not None or last is not None
    if not (is_priced or order.is_confirmed(build_symbol_id(ticket.symbol)) or _is_listed(services, order)):
        yield build_symbol_question(ticket.symbol, _nearest_symbols(services, order))
    if price is None:
        return
    reason = (
        find_price_warning(price, last)
        if quoted is None
        else find_price_warning(price, quoted, reference_name="quote")
    )
    if reason:
        yield build_price_question(ticket, reason)


def _check_portfolio(services: Services, order: TradeSubmission) -> Iterator[Question]:
    """Yield questions about a new portfolio, a short sale, and a repeated trade."""
    ticket, origin = order.ticket, order.origin
    is_known = _portfolio_exists(services, order)
    if not (is_known or order.is_confirmed(build_portfolio_id(ticket.portfolio))):
        yield build_portfolio_question(ticket.portfolio, _nearest_portfolios(services, order))
    if ticket.side is Side.SELL:
        holding = services.oms.get_holding(
            origin.person, ticket.portfolio, ticket.symbol, request_id=origin.request_id
        )
        if question := build_short_question(ticket, holding):
            yield question
    if is_known:
        yield from _check_repeats(services, order)


def _check_repeats(services: Services, order: TradeSubmission) -> Iterator[Question]:
    """Yield questions about the same trade by the same person within a minute."""
    ticket, origin = order.ticket, order.origin
    since = datetime.fromtimestamp(time.time() - REPEAT_SECONDS, UTC)
    for trade in services.oms.list_own_trades(
        origin.person, ticket, since=since, request_id=origin.request_id
    ):
        if is_repeat(ticket, trade):
            yield build_repeat_question(trade, format_time(trade.timestamp))


def _is_listed(services: Services, order: TradeSubmission) -> bool:
    person, request_id = order.origin.person, order.origin.request_id
    return services.oms.is_listed(person, order.ticket.symbol, request_id=request_id)


def _portfolio_exists(services: Services, order: TradeSubmission) -> bool:
    name, person, request_id = order.ticket.portfolio, order.origin.person, order.origin.request_id
    cache_key = f"{person.actor}:{name_key(name)}"  # people see different portfolios
    if cache_key in services.known_portfolios:
        return True
    if services.oms.find_portfolio(person, name, request_id=request_id) is None:
        return False
    services.known_portfolios.add(cache_key)
    return True


def _nearest_symbols(services: Services, order: TradeSubmission) -> list[str]:
    """Return the instruments that match by name, then those with the most similar symbols."""
    person, request_id, symbol = order.origin.person, order.origin.request_id, order.ticket.symbol
    try:
        matching, first, instruments = (
            services.oms.list_instruments(person, part, limit=MAX_CANDIDATES, request_id=request_id)
            for part in (symbol, symbol[:1], "")
        )
    except OmsError as error:
        log.info("No nearest symbols", extra={"request_id": request_id, "fault": format_log_name(error)})
        return []
    names = {instrument.symbol: instrument.label for instrument in (*first, *instruments, *matching)}
    nearest = [instrument.symbol for instrument in matching[:MAX_NEAREST]] + find_nearest_names(symbol, names)
    return [names[key] for key in dict.fromkeys(nearest)][:MAX_NEAREST]


def _nearest_portfolios(services: Services, order: TradeSubmission) -> list[str]:
    person, request_id, name = order.origin.person, order.origin.request_id, order.ticket.portfolio
    try:
        first, others = (
            services.oms.list_portfolios(person, part, limit=MAX_CANDIDATES, request_id=request_id)
            for part in (name[:2], "")
        )
    except OmsError as error:  # ask the question without suggestions
        log.info("No nearest portfolios", extra={"request_id": request_id, "fault": format_log_name(error)})
        return []
    return find_nearest_names(name, [*first, *others])
