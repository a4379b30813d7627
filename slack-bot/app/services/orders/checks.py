"""Find unusual values of an order, which the person must confirm before it is sent."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from app.blocks.messages import format_time
from app.forms import fields
from app.forms.orders.questions import (
    build_reached_stop_question,
    build_repeated_order_question,
    build_trade_ticket,
    find_typed_price,
    is_repeated,
)
from app.forms.questions import Question, build_short_question
from app.forms.ticket import Side, Ticket
from app.services.dependencies import Services
from app.services.orders.submitted_order import SubmittedOrder
from app.services.trades.confirmation_checks import REPEAT_SECONDS, check_symbol_and_price
from app.services.trades.submitted_trade import TradeSubmission


def list_order_questions(services: Services, submitted: SubmittedOrder) -> list[Question]:
    """Compare an order with the OMS. Return the questions that the person has not confirmed yet.

    Raises `OmsError` if the OMS does not respond. No order is sent then.
    """
    questions = [*_check_price(services, submitted), *_check_stop(services, submitted)]
    if not submitted.context.replaces:
        questions += [*_check_short(services, submitted), *_check_repeats(services, submitted)]
    return [question for question in questions if question.id not in submitted.context.confirmed]


def has_confirmed_repeat(submitted: SubmittedOrder) -> bool:
    """Return whether the person confirmed that the same order is meant again."""
    return any(key.startswith(fields.REPEAT_OK_PREFIX) for key in submitted.context.confirmed)


def _check_price(services: Services, submitted: SubmittedOrder) -> Iterator[Question]:
    """Yield questions about an unknown symbol and an implausible price."""
    price = find_typed_price(submitted.ticket)
    trade = build_trade_ticket(submitted.ticket, Decimal(1))
    if trade is None:
        return
    form = TradeSubmission(
        submitted.origin, trade, submitted.context, submitted.view_id, submitted.root_view_id
    )
    yield from check_symbol_and_price(services, form, price)


def _check_stop(services: Services, submitted: SubmittedOrder) -> Iterator[Question]:
    """Yield the question about a stop price that a live quote has reached."""
    ticket, origin = submitted.ticket, submitted.origin
    if ticket.stop_price is None:
        return
    quote = services.oms.find_quote(origin.person, ticket.symbol, request_id=origin.request_id)
    if quote and quote.is_live and (question := build_reached_stop_question(ticket, quote.price)):
        yield question


def _check_short(services: Services, submitted: SubmittedOrder) -> Iterator[Question]:
    ticket, origin = submitted.ticket, submitted.origin
    if ticket.side is not Side.SELL:
        return
    trade = _build_trade(services, submitted)
    if trade is None:
        return
    holding = services.oms.get_holding(
        origin.person, ticket.portfolio, ticket.symbol, request_id=origin.request_id
    )
    if question := build_short_question(trade, holding):
        yield question


def _build_trade(services: Services, submitted: SubmittedOrder) -> Ticket | None:
    """Return the trade of the order at its own price, else at the quote, else at the last price."""
    ticket, person, request_id = submitted.ticket, submitted.origin.person, submitted.origin.request_id
    if trade := build_trade_ticket(ticket, None):
        return trade
    quote = services.oms.find_quote(person, ticket.symbol, request_id=request_id)
    last = None if quote else services.oms.find_last_price(person, ticket.symbol, request_id=request_id)
    return build_trade_ticket(ticket, quote.price if quote else last)


def _check_repeats(services: Services, submitted: SubmittedOrder) -> Iterator[Question]:
    """Yield questions about the same order by the same person within a minute."""
    ticket, origin = submitted.ticket, submitted.origin
    since = datetime.fromtimestamp(time.time() - REPEAT_SECONDS, UTC)
    for order in services.orders.list_since(origin.person, ticket, since, request_id=origin.request_id):
        if order.actor == origin.person.actor and is_repeated(ticket, order):
            yield build_repeated_order_question(order, format_time(order.created_at))
