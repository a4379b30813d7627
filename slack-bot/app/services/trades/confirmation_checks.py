"""Find unusual values of a trade, which the person must confirm before it is sent."""

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


def list_questions(services: Services, submitted: TradeSubmission) -> list[Question]:
    """Compare a ticket with the OMS. Return the questions that the person has not confirmed yet.

    Raises `OmsError` if the OMS does not respond. No trade is sent then.
    """
    questions = (
        *check_symbol_and_price(services, submitted, submitted.ticket.price),
        *_check_portfolio(services, submitted),
    )
    return [question for question in questions if not submitted.is_confirmed(question.id)]


def check_symbol_and_price(
    services: Services, submitted: TradeSubmission, price: Decimal | None
) -> Iterator[Question]:
    """Yield questions about an unknown symbol and an implausible price. Without a price, only the first.

    A symbol is known if it has a live quote, was traded, or is a listed instrument.
    """
    ticket, person, request_id = submitted.ticket, submitted.origin.person, submitted.origin.request_id
    quote = services.oms.find_quote(person, ticket.symbol, request_id=request_id)
    quoted = quote.price if quote and quote.is_live else None
    last = (
        services.oms.find_last_price(person, ticket.symbol, request_id=request_id) if quoted is None else None
    )
    is_priced = quoted is not None or last is not None
    if not (
        is_priced or submitted.is_confirmed(build_symbol_id(ticket.symbol)) or _is_listed(services, submitted)
    ):
        yield build_symbol_question(ticket.symbol, _find_nearest_symbols(services, submitted))
    if price is None:
        return
    reason = (
        find_price_warning(price, last)
        if quoted is None
        else find_price_warning(price, quoted, reference_name="quote")
    )
    if reason:
        yield build_price_question(ticket, reason)


def _check_portfolio(services: Services, submitted: TradeSubmission) -> Iterator[Question]:
    """Yield questions about a new portfolio, a short sale, and a repeated trade."""
    ticket, origin = submitted.ticket, submitted.origin
    is_known = _has_portfolio(services, submitted)
    if not (is_known or submitted.is_confirmed(build_portfolio_id(ticket.portfolio))):
        yield build_portfolio_question(ticket.portfolio, _find_nearest_portfolios(services, submitted))
    if ticket.side is Side.SELL:
        holding = services.oms.get_holding(
            origin.person, ticket.portfolio, ticket.symbol, request_id=origin.request_id
        )
        if question := build_short_question(ticket, holding):
            yield question
    if is_known:
        yield from _check_repeats(services, submitted)


def _check_repeats(services: Services, submitted: TradeSubmission) -> Iterator[Question]:
    """Yield questions about the same trade by the same person within a minute."""
    ticket, origin = submitted.ticket, submitted.origin
    since = datetime.fromtimestamp(time.time() - REPEAT_SECONDS, UTC)
    for trade in services.oms.list_own_trades(
        origin.person, ticket, since=since, request_id=origin.request_id
    ):
        if is_repeat(ticket, trade):
            yield build_repeat_question(trade, format_time(trade.timestamp))


def _is_listed(services: Services, submitted: TradeSubmission) -> bool:
    person, request_id = submitted.origin.person, submitted.origin.request_id
    return services.oms.is_listed(person, submitted.ticket.symbol, request_id=request_id)


def _has_portfolio(services: Services, submitted: TradeSubmission) -> bool:
    name, person, request_id = (
        submitted.ticket.portfolio,
        submitted.origin.person,
        submitted.origin.request_id,
    )
    cache_key = f"{person.actor}:{name_key(name)}"  # people see different portfolios
    if cache_key in services.known_portfolios:
        return True
    if services.oms.find_portfolio(person, name, request_id=request_id) is None:
        return False
    services.known_portfolios.add(cache_key)
    return True


def _find_nearest_symbols(services: Services, submitted: TradeSubmission) -> list[str]:
    """Return the instruments that match by name, then those with the most similar symbols."""
    person, request_id, symbol = submitted.origin.person, submitted.origin.request_id, submitted.ticket.symbol
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


def _find_nearest_portfolios(services: Services, submitted: TradeSubmission) -> list[str]:
    person, request_id, name = (
        submitted.origin.person,
        submitted.origin.request_id,
        submitted.ticket.portfolio,
    )
    try:
        first, all_names = (
            services.oms.list_portfolios(person, part, limit=MAX_CANDIDATES, request_id=request_id)
            for part in (name[:2], "")
        )
    except OmsError as error:  # ask the question without suggestions
        log.info("No nearest portfolios", extra={"request_id": request_id, "fault": format_log_name(error)})
        return []
    return find_nearest_names(name, [*first, *all_names])
